"""ALiBi: attention with a bias that falls linearly with the distance."""

from __future__ import annotations

import math


def linear_slopes(heads: int, steepest: float = 8.0) -> tuple[float, ...]:
    """ALiBi's slopes as BLOOM and Falcon have them, also for a number of heads that is no power of two."""

    def powers(count: int) -> list[float]:
        return [2.0 ** (-steepest * (index + 1) / count) for index in range(count)]

    whole = 1 << int(math.log2(heads))
    return tuple(powers(whole) + powers(2 * whole)[0::2][: heads - whole])
