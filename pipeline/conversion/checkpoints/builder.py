"""Collects the description and the weights of one checkpoint while its family names the tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from farm.errors import ModelDamaged, UnsupportedArchitecture
from pipeline.conversion.checkpoints.adapter import Adapter
from pipeline.conversion.checkpoints.settings import Settings
from pipeline.conversion.checkpoints.tensors import Tensors
from pipeline.conversion.description import OUTPUT_EMBEDDING, TOKEN_EMBEDDING, DecoderDescription
from pipeline.conversion.viewed_weights import Array, Parameter, ViewedWeights

HEAD = "lm_head.weight"
MOST_LAYERS = 1024


@dataclass(frozen=True)
class Architecture:
    """A checkpoint as the decoder takes it. positions: the longest context, None without a limit; notes: what the
    user should know of how it was read."""

    description: DecoderDescription
    positions: int | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Embeddings:
    """What the embeddings tell about the description. size: of one token's row."""

    vocabulary_size: int
    size: int
    tied: bool
    notes: tuple[str, ...]


class Builder:
    """One checkpoint's settings, tensors and the weights made of them. prefix: of the names of all tensors but the
    head's; head: the name of the output embedding, where it is not tied."""

    def __init__(
        self, settings: Settings, tensors: Tensors, prefixes: Sequence[str], *, adapter: Adapter | None = None
    ) -> None:
        self.settings = settings
        self.tensors = tensors
        self.weights = ViewedWeights()
        self.head = HEAD
        self._adapter = adapter
        self._ignored: set[str] = set()
        # A base model is saved without the prefix of the model with a head.
        self.prefix = next((prefix for prefix in prefixes if any(t.path.startswith(prefix) for t in tensors)), "")

    def has(self, name: str) -> bool:
        """Whether there is a tensor of that name behind the prefix."""
        return self.prefix + name in self.tensors

    def parameter(self, name: str, shape: tuple[int, ...]) -> Parameter:
        """A tensor by its name behind the prefix; ModelDamaged when it has another shape than the settings say."""
        return self._whole(self.prefix + name, shape)

    def layers(self, key: str, default: int) -> int:
        """The number of layers; ModelDamaged where there are fewer tensors than that."""
        count = self.settings.natural(key, default)
        if count > min(len(self.tensors), MOST_LAYERS):
            raise ModelDamaged(
                f"config.json sets {key} to {count}, and the files hold {len(self.tensors)} tensors in all; copy all"
                " files of one model."
            )
        return count

    def add_embeddings(self, name: str, rows: int, size: int, *, tied: bool, head: str | None = None) -> Embeddings:
        """The token embedding, and the output embedding where it is another."""
        self.weights.add_table(TOKEN_EMBEDDING, self.parameter(name, (rows, size)))
        head = head or self.head
        notes: tuple[str, ...] = ()
        if head in self.tensors:
            if tied:
                self._require_same(head, self.prefix + name)
            else:
                self.weights.add_table(OUTPUT_EMBEDDING, self._whole(head, (rows, size)))
        elif not tied:
            tied = True
            notes = (f"The files hold no {head}, so the token embedding serves for the output, as if it was tied.",)
        return Embeddings(rows, size, tied, notes)

    def linear(self, target: str, name: str, out: int, inputs: int, *, bias: bool, transposed: bool = False) -> None:
        """One projection as `<target>_weight` and `<target>_bias`. transposed: the file has it [in, out]."""
        self.fused(target, (name,), (out,), inputs, bias=bias, transposed=transposed)

    def fused(
        self,
        target: str,
        names: Sequence[str],
        outs: Sequence[int],
        inputs: int,
        *,
        bias: bool,
        transposed: bool = False,
    ) -> None:
        """Projections of the same input, one below the other."""
        kernels = []
        for name, out in zip(names, outs, strict=True):
            shape = (inputs, out) if transposed else (out, inputs)
            kernel = self.parameter(f"{name}.weight", shape)
            kernels.append((kernel.select(np.transpose) if transposed else kernel, 1))
        biases = [self.parameter(f"{n}.bias", (out,)) if bias else None for n, out in zip(names, outs, strict=True)]
        self.weights.add_projection(target, kernels, biases)

    def sliced(
        self, target: str, name: str, shape: tuple[int, ...], views: Sequence[Callable[[Array], Array]], *, axes: int,
        bias: bool,
    ) -> None:  # fmt: skip
        """Queries, keys and values that the file keeps in one tensor, which `shape` ([..., inputs]) takes apart.

        views: one for each part, of the reshaped tensor without its last axis; axes: how many of a view's are rows.
        """
        flat = (int(np.prod(shape[:-1])), shape[-1])
        kernel = self.parameter(f"{name}.weight", flat)
        parts = [(kernel.select(_view(shape, view), share=1), axes) for view in views]
        self.weights.add_projection(
            target, _shared(parts), _shared_biases(self, name, shape, views) if bias else [None]
        )

    def norm(self, target: str, name: str, size: int, *, bias: bool = False, offset: float = 0.0) -> None:
        """A norm as `<target>_scale` and `<target>_bias`. offset: 1 where the file keeps scale - 1."""
        self.weights.add_vector(f"{target}_scale", self.parameter(f"{name}.weight", (size,)), offset)
        if bias:
            self.weights.add_vector(f"{target}_bias", self.parameter(f"{name}.bias", (size,)))

    def plain_norm(self, target: str, size: int) -> None:
        """A norm without values of its own: ones and zeros."""
        self.weights.add_vector(f"{target}_scale", Parameter(lambda: np.ones(size, np.float32), ()))
        self.weights.add_vector(f"{target}_bias", Parameter(lambda: np.zeros(size, np.float32), ()))

    def tensors_partly_used(self, name: str) -> None:
        """A tensor of which the family leaves rows unread."""
        self._ignored.add(self.prefix + name)

    def ignore(self, *names: str) -> None:
        """Tensors behind the prefix that older releases wrote and that nothing computes with, where they are there."""
        self._ignored |= {self.prefix + name for name in names}

    def leave_out(self, prefixes: tuple[str, ...]) -> int:
        """Parts of the checkpoint that are none of the language model's; how many tensors they have."""
        found = [tensor.path for tensor in self.tensors if tensor.path.startswith(prefixes)]
        self._ignored.update(found)
        if self._adapter is not None:
            self._adapter.leave_out(prefixes)
        return len(found)

    def finish(self) -> None:
        """Every key and every element of every tensor is used; UnsupportedArchitecture names the first that is not."""
        self.settings.finish()
        for tensor in self.tensors:
            if tensor.path in self._ignored:
                self.weights.mark_derived(tensor)
        if self._adapter is not None:
            self._adapter.finish(tensor for tensor in self.tensors if tensor.path not in self._ignored)
        left = self.weights.unused(list(self.tensors))
        if left:
            raise UnsupportedArchitecture(
                f"The files hold {len(left)} tensors that the model's family does not have, first {left[0][:80]!r}: the"
                " result would be another model; give the checkpoint without them, or one of their own family."
            )

    def _whole(self, full: str, shape: tuple[int, ...]) -> Parameter:
        tensor = self.tensors.get(full)
        if tensor.shape != shape:
            raise ModelDamaged(
                f"The tensor {full[:80]!r} is {list(tensor.shape)}, where config.json asks for {list(shape)}; copy all"
                " files of one model, or correct the config."
            )
        return tensor.parameter() if self._adapter is None else self._adapter.parameter(tensor)

    def _require_same(self, head: str, embedding: str) -> None:
        first, second = self.tensors.get(head), self.tensors.get(embedding)
        if first.shape != second.shape or not np.array_equal(first.array, second.array):
            raise UnsupportedArchitecture(
                f"config.json ties the output to the token embedding, but the files hold a {head} of their own with"
                " other values; set tie_word_embeddings to false, or leave the tensor out."
            )
        self._ignored.add(head)


def _view(shape: tuple[int, ...], view: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda array: view(array.reshape(shape))


def _shared(parts: list[tuple[Parameter, int]]) -> list[tuple[Parameter, int]]:
    """Each part counts for the elements that it shows of the tensor."""
    return [(_counted(parameter), axes) for parameter, axes in parts]


def _counted(parameter: Parameter) -> Parameter:
    shown = int(parameter.read().size)
    return Parameter(parameter.read, tuple((variable, shown) for variable, _ in parameter.variables))


def _shared_biases(
    builder: Builder, name: str, shape: tuple[int, ...], views: Sequence[Callable[[Array], Array]]
) -> list[Parameter]:
    # The bias has the shape of the kernel's rows and one column, which is taken off again.
    rows = shape[:-1]

    def column(view: Callable[[Array], Array]) -> Callable[[Array], Array]:
        return lambda array: view(array.reshape(*rows, 1))[..., 0]

    bias = builder.parameter(f"{name}.bias", (int(np.prod(rows)),))
    return [_counted(bias.select(column(view))) for view in views]
