"""How many rows the caches have, how a text is cut into calls, and which rows a token sees.

The Kotlin engine decides the same; tests/fixtures/length_traces.json holds both to it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

# Caches begin with so many rows, and are doubled when a call needs more.
FIRST_ROWS = 256
# The most tokens of a call. A call's cost a token no longer falls beyond, and a prompt can be stopped between calls.
LONGEST_CALL = 128
# The most tokens whose logits are read to see which drafts hold. For more rows of a product XNNPACK reads all weights
# again: measured with AVX-512, where it does from the sixth row on; its kernels for phones take four.
SCORED_TOKENS = 4
# Added to the scores of keys that must not be seen.
UNSEEN = -1e9


def rows_for(tokens: int, limit: int) -> int:
    """The rows of a cache that must hold so many tokens of a text that may have `limit`."""
    rows = FIRST_ROWS
    while rows < tokens:
        rows *= 2
    return min(rows, limit)


def ring_size(window: int) -> int:
    """The rows of a full ring: what a window sees, and what a call writes before the first token looks back."""
    return window + LONGEST_CALL


def cached_rows(rows: int, window: int | None) -> int:
    """The rows of the caches of an attention window, where those without a window have `rows`."""
    return rows if window is None else min(rows, ring_size(window))


def longest_call(position: int, windows: Iterable[int | None]) -> int:
    """How many tokens a call at this position can write at most: no call goes on behind the end of a ring."""
    rings = (ring_size(window) for window in windows if window is not None)
    return min([LONGEST_CALL, *(ring - position % ring for ring in rings)])


def cut(count: int, position: int, windows: Iterable[int | None]) -> list[int]:
    """The calls that read `count` tokens from this position on."""
    windows, calls = tuple(windows), []
    while count > 0:
        calls.append(min(count, longest_call(position, windows)))
        count, position = count - calls[-1], position + calls[-1]
    return calls


def can_rewind(position: int, written: int, rows: int, windows: Iterable[int | None]) -> bool:
    """Whether the caches still hold what a token at this position sees, after positions below `written` were written.

    rows: of the caches without a window.
    """
    if position == 0:
        return True
    rings = [(window, cached_rows(rows, window)) for window in windows if window is not None]
    return all(written <= ring or written - position <= ring - window for window, ring in rings)


def mask(position: int, count: int, rows: int, window: int | None) -> Float32:
    """What `count` tokens from this position on see of a cache of so many rows: float32 [count, rows]."""
    held, tokens = np.arange(rows)[None], np.arange(position, position + count)[:, None]
    if window is None:
        seen = held <= tokens
    else:
        # Each row holds the latest position that is written to it.
        last = position + count - 1
        held = last - (last - held) % rows
        seen = (held >= 0) & (held <= tokens) & (tokens - held < window)
    return np.where(seen, np.float32(0), np.float32(UNSEEN))
