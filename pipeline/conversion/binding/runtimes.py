"""Which runtime computes which form of weights rightly, and the operator versions that keep the others away.

Found by running each pair, not by reading release notes. A runtime refuses a file whose operators have versions that
it does not know, so the right number turns nonsense into an error; but no number stops TFLite 2.19 and 2.20 from
computing int4 in blocks wrongly, hence the table of runtimes beside the versions.
"""

from __future__ import annotations

from dataclasses import dataclass

from farm.errors import RecipeNotRunnable
from farm.recipes import WeightFormat
from farm.runtimes import Runtime

HOST_RUNTIME = Runtime.AI_EDGE_LITERT_2_3

_ALL = frozenset(Runtime)
_SINCE_2_17 = _ALL - {Runtime.TFLITE_2_14, Runtime.TFLITE_2_16}
_SINCE_2_19 = _SINCE_2_17 - {Runtime.TFLITE_2_17}
_SINCE_2_21 = _SINCE_2_19 - {Runtime.TFLITE_2_19, Runtime.TFLITE_2_20}


@dataclass(frozen=True)
class FormatSupport:
    """Operator versions that a form needs, the runtimes that compute it rightly, and what the others do.

    min_runtime: what the file says of itself in its metadata, None to leave the converter's own figure. instead: the
    weight_format in which the same recipe is stored for the others, None for none.
    """

    fully_connected: int
    embedding_lookup: int
    runtimes: frozenset[Runtime]
    otherwise: str
    min_runtime: str | None
    instead: WeightFormat | None = None


SUPPORT: dict[WeightFormat, FormatSupport] = {
    WeightFormat.FLOAT32: FormatSupport(1, 1, _ALL, "", None),
    WeightFormat.FLOAT16: FormatSupport(1, 1, _ALL, "", None),
    WeightFormat.INT8_PER_TENSOR: FormatSupport(9, 3, _ALL, "", None),
    WeightFormat.INT8_PER_ROW: FormatSupport(
        12, 4, _SINCE_2_17, "has no per-row int8", "2.17.0", instead=WeightFormat.INT8_PER_TENSOR
    ),
    WeightFormat.INT4_PER_ROW: FormatSupport(12, 4, _SINCE_2_19, "has no per-row int4", "2.19.0"),
    WeightFormat.INT4_BLOCKS_OF_32: FormatSupport(13, 4, _SINCE_2_21, "computes int4 in blocks wrongly", "2.21.0"),
}


def check_runnable(weight_format: WeightFormat, runtime: Runtime) -> None:
    """RecipeNotRunnable when the runtime is known not to compute that weight_format, or to compute it wrongly."""
    support = SUPPORT[weight_format]
    if runtime not in support.runtimes:
        others = ", ".join(known for known in Runtime if known in support.runtimes)
        raise RecipeNotRunnable(
            f"{runtime} {support.otherwise}; choose another recipe, or one of the runtimes {others}."
        )


def format_for(weight_format: WeightFormat, runtime: Runtime) -> WeightFormat:
    """How a recipe's weight_format is stored for that runtime: as it is, or in the one that older runtimes have
    instead."""
    support = SUPPORT[weight_format]
    return weight_format if runtime in support.runtimes or support.instead is None else support.instead
