"""How much memory a model takes for the longest text that it may read and write."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipeline.inference import growth
from pipeline.inference.contract import RUN
from pipeline.inference.inspection import Inspection, SignatureInfo

# One step's signature in the static form.
STEP = "decode"
_CACHE = re.compile(
    r"(?:kv_cache|window_(?P<window>\d+))_[kv]_\d+: float32\[1,(?P<heads>\d+),(?P<rows>n|\d+),(?P<size>\d+)\]"
)


@dataclass(frozen=True)
class MemoryEstimate:
    """context: the longest text in tokens. weight_bytes: the constants, kept in memory once; cache_bytes: the keys and
    values of a text of that length."""

    context: int
    weight_bytes: int
    cache_bytes: int

    @property
    def bytes(self) -> int:
        """Both together."""
        return self.weight_bytes + self.cache_bytes


def estimate(model: Inspection, context: int | None) -> MemoryEstimate | None:
    """The memory of a model's longest text; None for a file without caches of the farm's names, or whose limit nobody
    knows.

    context: what model-info.json says; the static form says so itself.
    """
    signature = next((one for name in (RUN, STEP) for one in model.signatures if one.name == name), None)
    caches = [] if signature is None else list(_caches(signature))
    fixed = {int(match["rows"]) for match in caches if match["rows"] != "n"}
    limit = max(fixed, default=context)
    if not caches or limit is None:
        return None
    cached = sum(int(match["heads"]) * int(match["size"]) * _rows(match, limit) * 4 for match in caches)
    return MemoryEstimate(limit, sum(share.bytes for share in model.sizes if share.kind != "graph"), cached)


def _caches(signature: SignatureInfo) -> list[re.Match[str]]:
    return [match for tensor in signature.inputs if (match := _CACHE.fullmatch(tensor))]


def _rows(cache: re.Match[str], limit: int) -> int:
    """How many rows a cache has for a text as long as that."""
    if cache["rows"] != "n":
        return int(cache["rows"])
    return growth.cached_rows(limit, None if cache["window"] is None else int(cache["window"]))
