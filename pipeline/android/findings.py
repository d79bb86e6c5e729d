"""What checks find: a fault, how grave it is, how to fix it, and the rule behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from farm.errors import PackageInvalid
from pipeline.android.play import PlayRules

SubjectT = TypeVar("SubjectT")
ExpectationT = TypeVar("ExpectationT")


class Severity(StrEnum):
    """An error keeps a package out of Play or off phones; a warning is worth a thought."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Fault:
    """What a check yields: a clause that says what is wrong, with the package as `it`."""

    cause: str
    severity: Severity = Severity.ERROR


@dataclass(frozen=True)
class Finding:
    """A fault with all that a reader needs. check: the name of the check that found it; rule: an address."""

    check: str
    severity: Severity
    cause: str
    fix: str
    rule: str


@dataclass(frozen=True)
class Check(Generic[SubjectT, ExpectationT]):
    """One thing that is looked at. fix: a sentence for whoever has such a fault."""

    name: str
    fix: str
    find: Callable[[SubjectT, ExpectationT], Iterator[Fault]]

    def run(self, subject: SubjectT, expected: ExpectationT, rules: PlayRules) -> list[Finding]:
        """All findings of this check. A fault that makes the package unreadable is raised as PackageInvalid."""
        return [
            Finding(self.name, fault.severity, fault.cause, self.fix, rules.sources[self.name])
            for fault in self.find(subject, expected)
        ]


def errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Those that a package must not have."""
    return tuple(finding for finding in findings if finding.severity is Severity.ERROR)


def require_none(name: str, findings: Iterable[Finding]) -> None:
    """Raise PackageInvalid, which names every error among the findings, if there is one."""
    if found := errors(findings):
        causes = ", and ".join(finding.cause for finding in found)
        raise PackageInvalid(f"The package {name} fails its checks: {causes}; build the package again.")
