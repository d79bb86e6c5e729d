"""A PEFT adapter merged into the tensors of a Transformers folder, one matrix at a time as it is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from farm import adapter_files
from farm.errors import AdapterUnusable
from pipeline.conversion.checkpoints.tensors import FLOATS, Tensor, tensors_of
from pipeline.conversion.viewed_weights import Array, Parameter
from pipeline.models import adapter_config
from pipeline.models.adapter_config import AdapterConfig

PEFT_PREFIX = "base_model.model."
# What PEFT calls a module's two matrices; older releases keep the adapter's name in it.
MATRIX = re.compile(r"(?P<module>.+)\.lora_(?P<part>[AB])(\.default)?\.weight")
# Where an output or embedding is adapted, PEFT saves the base's own matrix too.
COPY = re.compile(r"(?P<module>.+)\.base_layer\.weight")
# "All linear layers" are those between embedding and output.
OUTER = re.compile(r"embed|wte|wpe|lm_head|norm|ln_")
# Merged matrices that are kept: queries, keys and values are read together.
KEPT = 4


@dataclass(frozen=True, eq=False)
class LowRank:
    """One module's matrices: down [rank, in], up [out, rank]; the change is scale * up @ down."""

    module: str
    down: Tensor
    up: Tensor
    scale: float


class Adapter:
    """The modules that an adapter changes, found by the names of the base's tensors."""

    def __init__(
        self, config: AdapterConfig, modules: Sequence[LowRank], copies: Mapping[str, Tensor], prefixes: Sequence[str]
    ) -> None:
        self._config = config
        self._prefixes = sorted({*prefixes, "model.", "transformer."}, key=len, reverse=True)
        self._modules = {self._core(each.module): each for each in modules}
        self._copies = {self._core(module): copy for module, copy in copies.items()}
        self._left = dict(self._modules)
        self._merged = lru_cache(maxsize=KEPT)(self._merge)

    def parameter(self, tensor: Tensor) -> Parameter:
        """The tensor with the adapter's change, where it has one."""
        core = self._core(tensor.path.removesuffix(".weight"))
        found = self._modules.get(core) if tensor.path.endswith(".weight") else None
        if found is None:
            return tensor.parameter()
        self._require_fit(found, tensor)
        copy = self._copies.get(core)
        if copy is not None and not (copy.shape == tensor.shape and np.array_equal(copy.array, tensor.array)):
            raise AdapterUnusable(
                f"The adapter brings another {found.module[:80]!r} than the base has; merge it with PEFT, submit that."
            )
        self._left.pop(core, None)
        plain = tensor.parameter()
        return Parameter(lambda: self._merged(found, tensor), plain.variables)

    def finish(self, base: Iterable[Tensor]) -> None:
        """AdapterUnusable names a module that the base does not have, or that the adapter's files lack.

        base: the language model's tensors."""
        if self._left:
            module = next(iter(self._left.values())).module
            raise AdapterUnusable(
                f"The adapter changes {len(self._left)} modules that the base does not have, first {module[:80]!r};"
                f" give the model that it was trained on{self._trained_on()}."
            )
        for tensor in base:
            module = tensor.path.removesuffix(".weight")
            if self._core(module) in self._modules or len(tensor.shape) != 2 or OUTER.search(module):
                continue
            if module != tensor.path and self._config.is_target(module):
                raise AdapterUnusable(
                    f"{adapter_files.PEFT_CONFIG} targets {module[:80]!r}, but {adapter_files.PEFT_WEIGHTS} holds"
                    " nothing for it; copy both files of one adapter."
                )

    def leave_out(self, prefixes: tuple[str, ...]) -> None:
        """Parts of the base that are none of the language model's."""
        self._left = {core: each for core, each in self._left.items() if not core.startswith(prefixes)}

    def _merge(self, module: LowRank, tensor: Tensor) -> Array:
        change = module.up.array.astype(np.float32) @ module.down.array.astype(np.float32)
        change *= np.float32(module.scale)
        return tensor.array.astype(np.float32) + (change.T if self._config.transposed else change)

    def _require_fit(self, module: LowRank, tensor: Tensor) -> None:
        change = (module.up.shape[0], module.down.shape[1])
        if tensor.shape != (change[::-1] if self._config.transposed else change):
            raise AdapterUnusable(
                f"The adapter changes a {list(change)} matrix in {module.module[:80]!r}, and the base has"
                f" {list(tensor.shape)} there: it is an adapter for another model{self._trained_on()}; give that base."
            )

    def _trained_on(self) -> str:
        return f" ({self._config.base})" if self._config.base else ""

    def _core(self, module: str) -> str:
        """A module's path without the prefix, which differs between saved models and adapters."""
        prefix = next((prefix for prefix in self._prefixes if module.startswith(prefix)), "")
        return module.removeprefix(prefix)


def read_adapter(folder: Path, prefixes: Sequence[str]) -> tuple[Adapter, str] | None:
    """The adapter beside a checkpoint, and what to say of it; None where there is none. prefixes: of its family's
    tensors."""
    place = folder / adapter_files.FOLDER
    if not place.is_dir():
        return None
    if not (place / adapter_files.PEFT_CONFIG).is_file():
        raise AdapterUnusable(
            "KerasHub's adapter fits a KerasHub preset or .keras file, and the base is a Transformers folder; give the"
            " preset that the adapter was trained on."
        )
    if not (place / adapter_files.PEFT_WEIGHTS).is_file():
        raise AdapterUnusable(f"The adapter has no {adapter_files.PEFT_WEIGHTS}; copy both files of one adapter.")
    config = adapter_config.read(place / adapter_files.PEFT_CONFIG)
    tensors = tensors_of(place / adapter_files.PEFT_WEIGHTS)
    tensors.require_finite()
    by_name = {tensor.path.removeprefix(PEFT_PREFIX): tensor for tensor in tensors}
    copies = {match["module"]: tensor for name, tensor in by_name.items() if (match := COPY.fullmatch(name))}
    modules = _modules({name: tensor for name, tensor in by_name.items() if not COPY.fullmatch(name)}, config)
    trained = f", trained on {config.base}" if config.base else ""
    note = f"A LoRA adapter of {len(modules)} modules{trained} is merged into the weights."
    return Adapter(config, modules, copies, prefixes), note


def _modules(tensors: Mapping[str, Tensor], config: AdapterConfig) -> list[LowRank]:
    """The pairs of matrices, in their ranks."""
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        match = MATRIX.fullmatch(name)
        if match is None or tensor.dtype not in FLOATS or len(tensor.shape) != 2:
            raise AdapterUnusable(
                f"The adapter's tensor {tensor.path[:80]!r} ({tensor.dtype}, {list(tensor.shape)}) is no LoRA matrix of"
                " a linear layer; merge the adapter into its base with PEFT and submit that."
            )
        parts.setdefault(match["module"], {})[match["part"]] = tensor
    if not parts:
        raise AdapterUnusable(f"{adapter_files.PEFT_WEIGHTS} holds no LoRA matrices; save the adapter again.")
    return [_low_rank(module, pair, config) for module, pair in parts.items()]


def _low_rank(module: str, pair: dict[str, Tensor], config: AdapterConfig) -> LowRank:
    if len(pair) != 2:
        raise AdapterUnusable(f"The adapter holds only lora_{next(iter(pair))} of {module[:80]!r}; save it again.")
    down, up, rank = pair["A"], pair["B"], config.rank_of(module)
    if not down.shape[0] == up.shape[1] == rank:
        raise AdapterUnusable(
            f"The adapter's ranks differ: {adapter_files.PEFT_CONFIG} says {rank} for {module[:80]!r}, and its matrices"
            f" have {down.shape[0]} and {up.shape[1]}; copy both files of one adapter."
        )
    return LowRank(module, down, up, config.scale_of(module))
