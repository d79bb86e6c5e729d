"""What a binding came to."""

from __future__ import annotations

from dataclasses import dataclass

from farm.recipes import WeightForm


@dataclass(frozen=True)
class FormTotal:
    """How many weights are stored in a form, and the bytes of their values."""

    form: WeightForm
    weights: int
    bytes: int


@dataclass(frozen=True)
class BindingReport:
    """Bytes of the whole file and of its head (the graph without weights), seconds per half, and totals per form."""

    file_bytes: int
    head_bytes: int
    graph_seconds: float
    weight_seconds: float
    forms: tuple[FormTotal, ...]
