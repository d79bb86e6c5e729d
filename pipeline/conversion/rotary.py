"""The frequencies of a rotary position embedding."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.conversion.description import RotaryEmbedding


def inverse_frequencies(rotary: RotaryEmbedding) -> NDArray[np.float32]:
    """Radians per position, [size / 2]."""
    exponents = np.arange(0, rotary.size, 2, dtype=np.float32) / rotary.size
    frequencies = 1.0 / np.power(np.float32(rotary.base), exponents) / rotary.position_scale
    if rotary.llama3 is not None:
        scaling = rotary.llama3
        wavelengths = 2 * math.pi / frequencies
        ratio = scaling.pretraining_length / wavelengths
        spread = scaling.high_frequency_factor - scaling.low_frequency_factor
        # 0 for slow frequencies, which are stretched in full; 1 for fast ones, which stay.
        kept = np.clip((ratio - scaling.low_frequency_factor) / spread, 0.0, 1.0)
        frequencies = (1 - kept) * frequencies / scaling.factor + kept * frequencies
    if rotary.frequency_divisors is not None:
        frequencies = frequencies / np.asarray(rotary.frequency_divisors)
    return frequencies.astype(np.float32)
