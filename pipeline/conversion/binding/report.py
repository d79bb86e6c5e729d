"""What a binding came to."""

from __future__ import annotations

from dataclasses import dataclass

from farm.recipes import WeightFormat


@dataclass(frozen=True)
class FormatTotal:
    """How many weights are stored in a weight_format, and the bytes of their values."""

    weight_format: WeightFormat
    weights: int
    bytes: int


@dataclass(frozen=True)
class BindingReport:
    """Bytes of the whole file and of its head (the graph without weights), seconds per half, and totals per form."""

    file_bytes: int
    head_bytes: int
    graph_seconds: float
    weight_seconds: float
    weight_formats: tuple[FormatTotal, ...]
