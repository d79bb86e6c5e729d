"""A model of the tokens lane in LiteRT, with its KV caches.

One buffer for each cache, which every signature reads and writes: `DYNAMIC_UPDATE_SLICE` then writes the new rows where
they belong, and a step copies nothing. All signatures share one packing of the weights as well. Against the
interpreter's own signature runner, which copies every cache in and out at each token, that is twice as fast at GPT-2
base size, in less than half the memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import ai_edge_litert
import numpy as np
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.cpu_options import CpuOptions
from ai_edge_litert.environment import Environment
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.options import Options
from numpy.typing import NDArray

from farm.errors import FileUnreadable, SequenceTooLong
from farm.native_output import hold_back_at_exit, kept_back
from worker.inference.contract import (
    DECODE,
    LOGITS,
    POSITIONS,
    TOKENS,
    Contract,
    SignatureShape,
    TensorShape,
    read_contract,
)
from worker.inference.prefill import Feed, plan_prefill

Float32 = NDArray[np.float32]
# XNNPACK's name for a cache of packed weights that is no file.
IN_MEMORY = ":memory:"


class _Signature:
    """One signature with its tensors' buffers; those of the caches are the model's."""

    def __init__(self, model: Any, name: str, caches: Mapping[str, Any]):
        self._model = model
        self._name = name
        shape = signature_shape(model, name)
        self._logit_sizes = shape.outputs[LOGITS].sizes if LOGITS in shape.outputs else (0, 0, 0)
        self.length: int = shape.inputs[TOKENS].sizes[1]
        create_input, create_output = model.create_input_buffer_by_name, model.create_output_buffer_by_name
        self._inputs = {item: caches.get(item) or create_input(name, item) for item in shape.inputs}
        self._outputs = {item: caches.get(item) or create_output(name, item) for item in shape.outputs}

    def run(self, tokens: Sequence[int], position: int) -> None:
        """Read tokens at the places from `position` on; the rest of the signature's length is padded with token 0."""
        padded = np.zeros((1, self.length), np.int32)
        padded[0, : len(tokens)] = tokens
        self._inputs[TOKENS].write(padded)
        self._inputs[POSITIONS].write(np.arange(position, position + self.length, dtype=np.int32))
        self._model.run_by_name(self._name, self._inputs, self._outputs)

    def logits(self) -> Float32:
        """Of the last run, [length, V]; the caller's own copy. Not of a prefill."""
        found: Float32 = self._outputs[LOGITS].read(int(np.prod(self._logit_sizes)), np.float32)
        return found.reshape(self._logit_sizes[1:])


class TokenModel:
    """A model that reads tokens and gives logits; `position` counts the tokens read so far."""

    def __init__(self, path: Path, threads: int = 1):
        """Open a file; FileUnreadable when it is none, damaged, or not of the tokens lane's contract."""
        if not path.is_file():
            raise FileUnreadable(f"{path} is no file; give a .tflite file.")
        try:
            model = open_compiled(path, threads)
            names = list(model.get_signature_list())
            shapes = {name: signature_shape(model, name) for name in names}
        except (ValueError, RuntimeError) as error:
            raise FileUnreadable(
                f"{path} can't be opened as a .tflite model ({_first_line(error)}); make it again."
            ) from error
        self.contract: Contract = read_contract(shapes, str(path))
        try:
            self._caches = {name: model.create_input_buffer_by_name(DECODE, name) for name in self.contract.caches}
            lengths = self.contract.prefill
            self._decode = _Signature(model, DECODE, self._caches)
            self._prefill = {length: _Signature(model, f"prefill_{length}", self._caches) for length in lengths}
            verify = self.contract.verify
            self._verify = None if verify is None else _Signature(model, f"verify_{verify}", self._caches)
        except (ValueError, RuntimeError) as error:
            raise FileUnreadable(
                f"{path} can't be run on this machine ({_first_line(error)}); make it again with another recipe."
            ) from error
        # Rows ahead of the position weigh nothing in the attention, but only if they are finite numbers.
        with kept_back():  # the first buffer that is written has something to say
            self.put_caches(dict.fromkeys(self.contract.caches, np.zeros(self.contract.cache_sizes, np.float32)))
        self.position = 0

    def rewind(self, position: int = 0) -> None:
        """Forget every token from `position` on."""
        if not 0 <= position <= self.position:
            raise ValueError(f"can't rewind from {self.position} to {position}")
        self.position = position

    def prefill(self, tokens: Sequence[int], feeds: Sequence[Feed] | None = None) -> None:
        """Read tokens without asking for logits; `feeds` replaces the usual cut into calls. SequenceTooLong."""
        self._require_room(len(tokens))
        if feeds is None:
            feeds = plan_prefill(len(tokens), self.position, self.contract.prefill, self.contract.context)
        read = 0
        for feed in feeds:
            signature = self._decode if feed.length == 1 else self._prefill[feed.length]
            self._run(signature, tokens[read : read + feed.count])
            read += feed.count

    def step(self, token: int) -> Float32:
        """Read one token; the logits [V] of what comes next, the caller's own copy. SequenceTooLong."""
        self._require_room(1)
        self._run(self._decode, (token,))
        return self._decode.logits()[0]

    def room_to_score(self) -> int:
        """How many tokens `score` can read in one call at this position; 1 where that would be a step."""
        length = self.contract.verify
        return 1 if length is None or self.position + length > self.contract.context else length

    def score(self, tokens: Sequence[int]) -> Float32:
        """Read 1 to `room_to_score` tokens in one call; the logits [N,V] after each. SequenceTooLong."""
        self._require_room(len(tokens))
        if len(tokens) == 1 or self._verify is None:
            return np.stack([self.step(token) for token in tokens])
        self._run(self._verify, tokens)
        return self._verify.logits()[: len(tokens)]

    def read(self, tokens: Sequence[int]) -> Float32:
        """Read a prompt of one or more tokens; the logits [V] of what comes next."""
        self.prefill(tokens[:-1])
        return self.step(tokens[-1])

    def logits_for(self, tokens: Sequence[int]) -> Float32:
        """The logits [N,V] after each of N tokens, one decode step each, from position 0."""
        self.rewind()
        return np.stack([self.step(token) for token in tokens])

    def caches(self) -> dict[str, Float32]:
        """Copies [1,H,T,D] of the caches as the next call would read them."""
        sizes = self.contract.cache_sizes
        count = int(np.prod(sizes))
        return {name: buffer.read(count, np.float32).reshape(sizes) for name, buffer in self._caches.items()}

    def put_caches(self, values: Mapping[str, Float32]) -> None:
        """Let the next call read these [1,H,T,D] as the caches of those names."""
        for name, value in values.items():
            self._caches[name].write(value)

    def _require_room(self, count: int) -> None:
        needed = self.position + count
        if needed > self.contract.context:
            raise SequenceTooLong(
                f"{needed} tokens do not fit into the model's context of {self.contract.context}; shorten the prompt or"
                " ask for fewer tokens."
            )

    def _run(self, signature: _Signature, tokens: Sequence[int]) -> None:
        signature.run(tokens, self.position)
        self.position += len(tokens)


def open_compiled(path: Path, threads: int) -> Any:
    """A file in LiteRT on the processor, its subgraphs sharing one packing of weights; ValueError, RuntimeError."""
    options = Options(cpu_options=CpuOptions(num_threads=threads, xnnpack_weight_cache_path=IN_MEMORY))
    with kept_back():
        # It checks the file's structure, which a compiled model takes on trust: a damaged file can hold that for ever.
        Interpreter(str(path), num_threads=threads)
        return CompiledModel.from_file(str(path), environment=_environment(), options=options)


def signature_shape(model: Any, name: str) -> SignatureShape:
    """The tensors of a signature of an open model."""
    inputs, outputs = model.get_input_tensor_details(name), model.get_output_tensor_details(name)
    return SignatureShape(_shapes(inputs), _shapes(outputs))


def _shapes(details: Mapping[str, Mapping[str, Any]]) -> dict[str, TensorShape]:
    return {
        name: TensorShape(_type_name(item["dtype"]), tuple(int(size) for size in item["shape"]))
        for name, item in details.items()
    }


def _type_name(dtype: Any) -> str:
    # It has no word for strings, of which the strings lane has signatures beside these.
    return "unknown" if dtype == "unknown" else np.dtype(dtype).name


@cache
def _environment() -> Any:
    # It would look for the libraries of accelerators that are not there; in this folder are none.
    hold_back_at_exit()
    return Environment.create(compiler_plugin_path=str(Path(ai_edge_litert.__file__).parent / "tools"))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0][:160]
