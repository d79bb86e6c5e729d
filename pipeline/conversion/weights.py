"""Where the binder gets weights from: a few rows at a time, so that no second copy of the model is ever in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


class WeightSource(Protocol):
    """Named float32 weights. Matrices are [out, in], vectors [n]."""

    def names(self) -> Sequence[str]:
        """Every weight, in a fixed order."""

    def shape(self, name: str) -> tuple[int, ...]:
        """The weight's shape; KeyError when there is none of that name."""

    def rows(self, name: str, start: int, stop: int) -> Float32:
        """Rows `start` to `stop` (elements of a vector) as a C-contiguous array that the caller may change."""
