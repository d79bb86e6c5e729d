"""A model of the I/O mode `tokens` in LiteRT, with its KV caches.

One buffer for each cache, which every signature reads and writes: `DYNAMIC_UPDATE_SLICE` then writes the new rows where
they belong, and a step copies nothing. All signatures share one packing of the weights as well. Against the
interpreter's own signature runner, which copies every cache in and out at each token, that is twice as fast at GPT-2
base size, in less than half the memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from farm.errors import FileUnreadable, SequenceTooLong
from farm.native_output import stdout_suppressed
from pipeline.inference.compiled import Signature, first_line, open_compiled, read_buffer, signature_shape
from pipeline.inference.contract import DECODE, LOGITS, POSITIONS, TOKENS, Contract, TensorShape, read_contract
from pipeline.inference.prefill import Feed, plan_prefill

Float32 = NDArray[np.float32]


class TokenModel:
    """A model that reads tokens and gives logits; `position` counts the tokens read so far."""

    def __init__(self, path: Path, threads: int = 1):
        """Open a file; FileUnreadable when it is none, damaged, or not of the I/O mode `tokens`'s contract."""
        if not path.is_file():
            raise FileUnreadable(f"{path} is no file; give a .tflite file.")
        try:
            model = open_compiled(path, threads)
            shapes = {name: signature_shape(model, name) for name in model.get_signature_list()}
        except (ValueError, RuntimeError) as error:
            raise FileUnreadable(
                f"{path} can't be opened as a .tflite model ({first_line(error)}); make it again."
            ) from error
        self.contract: Contract = read_contract(shapes, str(path))
        try:
            self._caches = {name: model.create_input_buffer_by_name(DECODE, name) for name in self.contract.caches}

            def open_signature(name: str) -> Signature:
                return Signature(model, name, shapes[name], self._caches)

            self._decode = open_signature(DECODE)
            self._prefill = {length: open_signature(f"prefill_{length}") for length in self.contract.prefill}
            verify = self.contract.verify
            self._verify = None if verify is None else open_signature(f"score_{verify}")
        except (ValueError, RuntimeError) as error:
            raise FileUnreadable(
                f"{path} can't be run on this machine ({first_line(error)}); make it again with another recipe."
            ) from error
        # Rows ahead of the position weigh nothing in the attention, but only if they are finite numbers.
        with stdout_suppressed():  # the first buffer that is written has something to say
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
        return _logits(self._decode)[0]

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
        return _logits(self._verify)[: len(tokens)]

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
        shape = TensorShape("float32", self.contract.cache_sizes)
        return {name: read_buffer(buffer, shape) for name, buffer in self._caches.items()}

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

    def _run(self, signature: Signature, tokens: Sequence[int]) -> None:
        length = signature.shape.inputs[TOKENS].sizes[1]
        padded = np.zeros((1, length), np.int32)
        padded[0, : len(tokens)] = tokens
        places = np.arange(self.position, self.position + length, dtype=np.int32)
        signature.write(**{TOKENS: padded, POSITIONS: places})
        signature.run()
        self.position += len(tokens)


def _logits(signature: Signature) -> Float32:
    """[n, V] of the last run."""
    return signature.read(LOGITS)[0]
