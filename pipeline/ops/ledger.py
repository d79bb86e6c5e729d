"""The ledger of a model: each of its ops with version, number, place, first runtime, and the AARs that register it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from farm.errors import FileUnreadable
from pipeline.ops import dangers, reading, versions
from pipeline.ops.aar import AarReading, Answer
from pipeline.ops.reading import OpKind, OpUse

# Parts of a model that are listed by name; of a hostile file there may be any number.
MOST_PARTS = 500
ORDER = {kind: str(place) for place, kind in enumerate(OpKind)}


class LedgerEntry(BaseModel):
    """One op in one version. runs: TensorFlow's op behind a Flex operator. graphs and parts: how often by signature, or
    by the name of another subgraph, and by part of the model; what belongs to none is left out. since: the first
    runtime that has it. danger: why no job may bring it in. aars: by AAR and ABI."""

    model_config = ConfigDict(frozen=True)

    kind: OpKind
    name: str
    version: int
    count: int
    runs: str | None
    graphs: dict[str, int]
    parts: dict[str, int]
    since: str | None
    danger: str | None
    aars: dict[str, dict[str, Answer]]


class Ledger(BaseModel):
    """All ops of a model. runtime: the first that has every built-in op; None when a version is in no table."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    operators: int
    runtime: str | None
    ops: tuple[LedgerEntry, ...]

    def of_kind(self, *kinds: OpKind) -> tuple[LedgerEntry, ...]:
        """The entries of some kinds."""
        return tuple(entry for entry in self.ops if entry.kind in kinds)

    @property
    def summary(self) -> str:
        """One line: how many ops of each kind, and what they need."""
        kinds = Counter(entry.kind for entry in self.ops)
        names = (
            (OpKind.BUILTIN, "built-in"),
            (OpKind.FLEX, "Flex"),
            (OpKind.TFTEXT, "TF Text"),
            (OpKind.CUSTOM, "custom"),
        )
        counted = ", ".join(f"{kinds[kind]} {name}" for kind, name in names if kinds[kind])
        needs = f"; TFLite {self.runtime} or later" if self.runtime else ""
        return f"{self.operators} operators of {len(self.ops)} kinds: {counted}{needs}."


def make(path: Path, aars: Sequence[AarReading]) -> Ledger:
    """The ledger of a `.tflite` or of the model in an APK; FileUnreadable."""
    return of_uses(reading.read_operators(path), aars)


def read(path: Path) -> Ledger:
    """A ledger that a job wrote; FileUnreadable when it is none."""
    try:
        return Ledger.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise FileUnreadable(f"{path} is no list of ops of this farm; take it from the job again.") from error


def of_uses(uses: Iterable[OpUse], aars: Sequence[AarReading]) -> Ledger:
    """The ledger of these operators."""
    groups: dict[tuple[str, ...], _Group] = {}
    total = 0
    for use in uses:
        total += 1
        key = (ORDER[use.kind], use.name, f"{use.version:04}", use.runs or "", use.fault or "")
        groups.setdefault(key, _Group(use)).add(use)
    entries = tuple(groups[key].entry(aars) for key in sorted(groups))
    return Ledger(operators=total, runtime=_runtime(entries), ops=entries)


@dataclass
class _Group:
    """Operators that are the same op."""

    first: OpUse
    graphs: Counter[str] = field(default_factory=Counter)
    parts: Counter[str] = field(default_factory=Counter)

    def add(self, use: OpUse) -> None:
        self.graphs[use.graph] += 1
        if use.part and (use.part in self.parts or len(self.parts) < MOST_PARTS):
            self.parts[use.part] += 1

    def entry(self, aars: Sequence[AarReading]) -> LedgerEntry:
        use = self.first
        return LedgerEntry(
            kind=use.kind,
            name=use.name,
            version=use.version,
            count=self.graphs.total(),
            runs=use.runs,
            graphs=dict(self.graphs),
            parts=dict(self.parts),
            since=versions.first_runtime(use.name, use.version) if use.kind is OpKind.BUILTIN else None,
            danger=dangers.danger(use),
            aars={one.name: one.has(use) for one in aars},
        )


def _runtime(entries: Sequence[LedgerEntry]) -> str | None:
    since = [entry.since for entry in entries if entry.kind is OpKind.BUILTIN]
    known = [each for each in since if each is not None]
    return max(known, key=versions.as_numbers, default=None) if len(known) == len(since) else None
