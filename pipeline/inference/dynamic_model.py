"""A model in the dynamic form: one signature whose inputs are resized to the call and to the length of the text.

A step costs what the text costs, not what the context would. Caches are read and written in place, and grow by
doubling; XNNPACK reshapes without packing the weights again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import psutil
from typing_extensions import override

from farm.errors import SequenceTooLong
from farm.native_output import stdout_suppressed
from pipeline.inference import growth
from pipeline.inference.compiled import read_buffer
from pipeline.inference.contract import (
    LOGITS,
    POSITIONS,
    ROWS,
    RUN,
    TOKENS,
    Contract,
    TensorShape,
    mask_name,
    start_name,
)
from pipeline.inference.prefill import Feed
from pipeline.inference.token_model import Float32, TokenModel


class DynamicModel(TokenModel):
    """A TokenModel over an open compiled model."""

    def __init__(self, model: Any, contract: Contract):
        super().__init__(contract)
        self._model = model
        self._sizes: dict[str, tuple[int, ...]] = {}
        self._buffers: dict[str, Any] = {}
        self._caches: dict[str, Any] = {}
        layers = contract.windows or ()
        self._windows = tuple(dict.fromkeys(layers))
        self._window_of = dict(zip(contract.caches, (window for window in layers for _ in "kv"), strict=True))
        self._rows = 0
        # One more than the last position that was written since the text began.
        self._written = 0
        with stdout_suppressed():  # the first buffer that is written has something to say
            self._resize_caches(growth.rows_for(1, contract.context))

    @property
    def rows(self) -> int:
        """How many rows the caches of layers without a window have."""
        return self._rows

    @property
    def longest_call(self) -> int:
        """How many tokens one call can read at this position at most."""
        return growth.longest_call(self.position, self._windows)

    @override
    def reset(self) -> None:
        super().reset()
        self._written = 0
        least = growth.rows_for(1, self.contract.context)
        if self._rows > least:
            self._caches.clear()
            self._resize_caches(least)

    @override
    def rewind(self, position: int = 0) -> None:
        super().rewind(position)
        if position == 0:
            self._written = 0

    @override
    def keeps(self, position: int) -> bool:
        kept = growth.can_rewind(position, self._written, self._rows, self._windows)
        return super().keeps(position) and kept

    @override
    def step(self, token: int) -> Float32:
        return self._run((token,), 1)[0]

    @override
    def room_to_score(self) -> int:
        room = self.contract.context - self.position
        return max(1, min(growth.SCORED_TOKENS, self.longest_call, room))

    @override
    def score(self, tokens: Sequence[int]) -> Float32:
        return self._run(tokens, len(tokens))

    @override
    def read(self, tokens: Sequence[int]) -> Float32:
        self._require_room(len(tokens))
        *calls, last = self._cut(len(tokens))
        self.prefill(tokens[: -last.count], calls)
        return self._run(tokens[-last.count :], 1)[0]

    @override
    def feeds_of_every_kind(self, most: int) -> Iterator[Feed]:
        for count in (2, 5, min(most // 2, growth.LONGEST_CALL)):
            if 0 < count <= most:
                yield Feed(count, count)

    @override
    def caches(self) -> dict[str, Float32]:
        return {name: self._cache(name) for name in self._caches}

    @override
    def put_caches(self, values: Mapping[str, Float32]) -> None:
        for name, value in values.items():
            self._caches[name].write(value)

    def call_inputs(self, tokens: Sequence[int], wanted: int = 1) -> dict[str, np.ndarray[Any, Any]]:
        """What a call that reads these tokens takes beside the caches, which must have room for them."""
        count, start = len(tokens), self.position
        inputs: dict[str, np.ndarray[Any, Any]] = {
            TOKENS: np.array([tokens], np.int32),
            POSITIONS: np.arange(start, start + count, dtype=np.int32),
            ROWS: np.arange(count - wanted, count, dtype=np.int32),
        }
        for window in self._windows:
            held = growth.cached_rows(self._rows, window)
            inputs[mask_name(window)] = growth.mask(start, count, held, window)[None, None]
            if window is not None:
                inputs[start_name(window)] = np.array([start % held], np.int32)
        return inputs

    @override
    def _cut(self, count: int) -> Sequence[Feed]:
        return [Feed(length, length) for length in growth.cut(count, self.position, self._windows)]

    @override
    def _feed(self, tokens: Sequence[int], feed: Feed) -> None:
        self._run(tokens, 1)

    def _run(self, tokens: Sequence[int], wanted: int) -> Float32:
        """Read tokens in one call; the logits [wanted, V] after the last ones."""
        self._require_room(len(tokens))
        rows = growth.rows_for(self.position + len(tokens), self.contract.context)
        if rows > self._rows:
            self._grow(rows)
        for name, value in self.call_inputs(tokens, wanted).items():
            self._write(name, value)
        logits = self._buffers.get(LOGITS)
        if logits is None:
            logits = self._buffers[LOGITS] = self._model.create_output_buffer_by_name(RUN, LOGITS)
        self._model.run_by_name(RUN, self._buffers | self._caches, {LOGITS: logits} | self._caches)
        self.position += len(tokens)
        self._written = max(self._written, self.position)
        return read_buffer(logits, TensorShape("float32", (1, wanted, self.contract.vocabulary_size)))[0]

    def _write(self, name: str, value: np.ndarray[Any, Any]) -> None:
        """Put a value into an input of that size."""
        if self._sizes.get(name) != value.shape:
            self._resize(name, value.shape)
            self._buffers[name] = self._model.create_input_buffer_by_name(RUN, name)
            if name == ROWS:
                # Made for the number of logits that was wanted before.
                self._buffers.pop(LOGITS, None)
        self._buffers[name].write(value)

    def _resize(self, name: str, sizes: tuple[int, ...]) -> None:
        self._model.resize_input_tensor_by_name(RUN, name, list(sizes))
        self._sizes[name] = sizes

    def _cache(self, name: str) -> Float32:
        return read_buffer(self._caches[name], TensorShape("float32", self._sizes[name]))

    def _grow(self, rows: int) -> None:
        """Make the caches longer; SequenceTooLong where there is no memory for it, and the text stays as it is."""
        needed, available = self._bytes(rows), psutil.virtual_memory().available
        if needed > available:
            raise SequenceTooLong(
                f"The text is {self.position} tokens long, and there is no memory for more: caches for {rows} tokens"
                f" take {needed >> 20} MB, and {available >> 20} MB are free. Up to {self._rows} tokens fit; start a"
                " new text, or close other programs."
            )
        self._resize_caches(rows)

    def _bytes(self, rows: int) -> int:
        """What caches for so many rows take."""
        held = [growth.cached_rows(rows, window) for window in self._window_of.values()]
        return sum(held) * 4 * self.contract.kv_heads * self.contract.head_dim

    def _resize_caches(self, rows: int) -> None:
        """Let the caches have so many rows, those that were there first."""
        for name, window in self._window_of.items():
            sizes = (1, self.contract.kv_heads, growth.cached_rows(rows, window), self.contract.head_dim)
            if self._sizes.get(name) == sizes and name in self._caches:
                continue
            # Rows ahead of the position weigh nothing in the attention, but only if they are finite numbers.
            values = np.zeros(sizes, np.float32)
            if name in self._caches:
                kept = self._cache(name)
                values[:, :, : kept.shape[2]] = kept
            self._resize(name, sizes)
            self._caches[name] = self._model.create_input_buffer_by_name(RUN, name)
            self._caches[name].write(values)
        self._rows = rows
