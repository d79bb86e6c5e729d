"""Weights must be numbers: NaN and infinity are found before a conversion, with the tensor's name and their count."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from farm.errors import ModelDamaged

# Elements that are looked at together.
CHUNK = 1 << 22
# The bits of a bfloat16 that are all set in NaN and infinity.
BFLOAT16_EXPONENT = 0x7F80


def require_finite(values: NDArray[Any], name: str) -> None:
    """ModelDamaged when one of a weight's values is no finite number. Two-byte opaque values are bfloat16."""
    count = sum(_faulty(part) for part in chunks(values))
    if count:
        raise ModelDamaged(
            f"{count} of the {values.size} values of {name[:120]} are NaN or infinite; save the model from a state"
            " before training went wrong."
        )


def chunks(values: Any) -> Any:
    """Parts of an array or of an HDF5 dataset, along its first axis."""
    if not values.ndim or not values.size:
        yield np.asarray(values[()]).reshape(-1)
        return
    step = max(1, CHUNK // max(1, values.size // values.shape[0]))
    for start in range(0, values.shape[0], step):
        yield np.asarray(values[start : start + step])


def _faulty(part: NDArray[Any]) -> int:
    if part.dtype.kind == "f":
        return int(part.size - np.count_nonzero(np.isfinite(part)))
    if part.dtype.itemsize == 2 and part.dtype.kind == "V":
        bits = np.ascontiguousarray(part).view(np.uint16)
        return int(np.count_nonzero((bits & BFLOAT16_EXPONENT) == BFLOAT16_EXPONENT))
    return 0
