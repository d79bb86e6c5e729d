"""A model of the tokens lane in ai-edge-litert, with its KV caches.

`SignatureRunner` copies every cache into the interpreter and out of it again at every token, which costs more than the
arithmetic of a small model. Here only the rows that a call has written are carried from its output caches to its input
caches, through views of the interpreter's own memory: 170 instead of 80 tokens/s at GPT-2 base size.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from farm.errors import FileUnreadable, SequenceTooLong
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


class _Signature:
    """One signature: its subgraph, its tensors, and how many rows of its input caches are up to date."""

    def __init__(self, interpreter: Any, name: str):
        self.name = name
        self._owner = interpreter
        # The public API reaches tensors of the first subgraph only; the wrapper below it reaches all.
        self._wrapper = interpreter._interpreter
        self._subgraph = self._wrapper.GetSubgraphIndexFromSignature(name)
        definition = interpreter._get_full_signature_list()[name]
        self._inputs: dict[str, int] = definition["inputs"]
        self._outputs: dict[str, int] = definition["outputs"]
        self.valid_rows = 0

    def shape(self) -> SignatureShape:
        """The tensors' types and sizes."""
        return SignatureShape(
            {name: self._tensor_shape(index) for name, index in self._inputs.items()},
            {name: self._tensor_shape(index) for name, index in self._outputs.items()},
        )

    def _tensor_shape(self, index: int) -> TensorShape:
        dtype = np.dtype(self._wrapper.TensorType(index, self._subgraph))
        return TensorShape(dtype.name, tuple(int(n) for n in self._wrapper.TensorSize(index, self._subgraph)))

    def allocate(self) -> None:
        """Plan the memory. Must come before any other call."""
        self._wrapper.AllocateTensors(self._subgraph)

    def input(self, name: str) -> NDArray[Any]:
        """A view of an input, valid until the next call into the interpreter."""
        return self._wrapper.tensor(self._owner, self._inputs[name], self._subgraph)

    def output(self, name: str) -> NDArray[Any]:
        """A view of an output, valid until the next call into the interpreter."""
        return self._wrapper.tensor(self._owner, self._outputs[name], self._subgraph)

    def invoke(self) -> None:
        """Run the subgraph."""
        self._wrapper.Invoke(self._subgraph)


class TokenModel:
    """A model that reads tokens and gives logits; `position` counts the tokens read so far."""

    def __init__(self, path: Path, threads: int = 1):
        """Open a file; FileUnreadable when it is none, damaged, or not of the tokens lane's contract."""
        if not path.is_file():
            raise FileUnreadable(f"{path} is no file; give a .tflite file.")
        try:
            self._interpreter: Any = Interpreter(str(path), num_threads=threads)
            names = self._interpreter.get_signature_list()
            signatures = {name: _Signature(self._interpreter, name) for name in names}
            shapes = {name: signature.shape() for name, signature in signatures.items()}
        except (ValueError, RuntimeError) as error:
            raise FileUnreadable(
                f"{path} can't be opened as a .tflite model ({_first_line(error)}); make it again."
            ) from error
        self.contract: Contract = read_contract(shapes, str(path))
        self._decode = signatures[DECODE]
        self._prefill = {length: signatures[f"prefill_{length}"] for length in self.contract.prefill}
        verify = self.contract.verify
        self._verify = None if verify is None else signatures[f"verify_{verify}"]
        self._signatures = (self._decode, *self._prefill.values(), *([] if self._verify is None else [self._verify]))
        self._allocate(path)
        self._last, self._last_start = self._decode, 0
        self.position = 0

    def _allocate(self, path: Path) -> None:
        try:
            for signature in self._signatures:
                signature.allocate()
        except (ValueError, RuntimeError) as error:
            raise FileUnreadable(
                f"{path} can't be run on this machine ({_first_line(error)}); make it again with another recipe."
            ) from error
        for signature in self._signatures:
            for name in self.contract.caches:
                # Rows ahead of the position weigh nothing in the attention, but only if they are finite numbers.
                signature.input(name).fill(0.0)

    def rewind(self, position: int = 0) -> None:
        """Forget every token from `position` on."""
        if not 0 <= position <= self.position:
            raise ValueError(f"can't rewind from {self.position} to {position}")
        self.position = position
        for signature in self._signatures:
            signature.valid_rows = min(signature.valid_rows, position)

    def prefill(self, tokens: Sequence[int], feeds: Sequence[Feed] | None = None) -> None:
        """Read tokens without asking for logits; `feeds` replaces the usual cut into calls. SequenceTooLong."""
        self._require_room(len(tokens))
        if feeds is None:
            feeds = plan_prefill(len(tokens), self.position, self.contract.prefill, self.contract.context)
        read = 0
        for feed in feeds:
            signature = self._decode if feed.length == 1 else self._prefill[feed.length]
            self._run(signature, tokens[read : read + feed.count], feed.length)
            read += feed.count

    def step(self, token: int) -> Float32:
        """Read one token; the logits [V] of what comes next, the caller's own copy. SequenceTooLong."""
        self._require_room(1)
        self._run(self._decode, (token,), 1)
        return self._decode.output(LOGITS).reshape(-1).astype(np.float32)

    def room_to_score(self) -> int:
        """How many tokens `score` can read in one call at this position; 1 where that would be a step."""
        length = self.contract.verify
        return 1 if length is None or self.position + length > self.contract.context else length

    def score(self, tokens: Sequence[int]) -> Float32:
        """Read 1 to `room_to_score` tokens in one call; the logits [N,V] after each. SequenceTooLong."""
        self._require_room(len(tokens))
        if len(tokens) == 1 or self._verify is None or self.contract.verify is None:
            return np.stack([self.step(token) for token in tokens])
        self._run(self._verify, tokens, self.contract.verify)
        return self._verify.output(LOGITS)[0, : len(tokens)].astype(np.float32)

    def read(self, tokens: Sequence[int]) -> Float32:
        """Read a prompt of one or more tokens; the logits [V] of what comes next."""
        self.prefill(tokens[:-1])
        return self.step(tokens[-1])

    def logits_for(self, tokens: Sequence[int]) -> Float32:
        """The logits [N,V] after each of N tokens, one decode step each, from position 0."""
        self.rewind()
        return np.stack([self.step(token) for token in tokens])

    def caches(self) -> dict[str, NDArray[Any]]:
        """Copies of the caches as the next call would read them."""
        self._bring_up_to_date(self._decode)
        return {name: self._decode.input(name).copy() for name in self.contract.caches}

    def untouched_rows_differ(self) -> float:
        """Largest change that the last call made to cache rows before the ones it was to write.

        The rows are not carried along, so a graph that scrambles them would go unnoticed: 0.0 for a sound one.
        """
        before = self._last_start
        return max(
            float(np.abs(self._last.output(name)[:, :, :before] - self._last.input(name)[:, :, :before]).max(initial=0))
            for name in self.contract.caches
        )

    def _require_room(self, count: int) -> None:
        needed = self.position + count
        if needed > self.contract.context:
            raise SequenceTooLong(
                f"{needed} tokens do not fit into the model's context of {self.contract.context}; shorten the prompt or"
                " ask for fewer tokens."
            )

    def _run(self, signature: _Signature, tokens: Sequence[int], length: int) -> None:
        start, stop = self.position, self.position + len(tokens)
        self._bring_up_to_date(signature)
        token_input = signature.input(TOKENS)
        token_input.fill(0)
        token_input[0, : len(tokens)] = tokens
        signature.input(POSITIONS)[:] = np.arange(start, start + length, dtype=np.int32)
        signature.invoke()
        for name in self.contract.caches:
            signature.input(name)[:, :, start:stop] = signature.output(name)[:, :, start:stop]
        signature.valid_rows = self.position = stop
        self._last, self._last_start = signature, start

    def _bring_up_to_date(self, signature: _Signature) -> None:
        """Copy the cache rows that other signatures have written since this one ran last."""
        start, stop = signature.valid_rows, self.position
        if start == stop:
            return
        newest = max(self._signatures, key=lambda other: other.valid_rows)
        for name in self.contract.caches:
            signature.input(name)[:, :, start:stop] = newest.input(name)[:, :, start:stop]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0][:160]
