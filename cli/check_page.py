"""What `farm check` found, for people and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from cli import units
from cli.tables import plain_table
from cli.terminal import Terminal, printable
from pipeline.android import findings
from pipeline.android.checks import Expectation
from pipeline.android.findings import Check, Finding, Severity

STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow"}


@dataclasses.dataclass(frozen=True)
class CheckPage:
    """A package, the checks that were run, what they found, and how many methods each dex file refers to."""

    file: Path
    size: int
    checks: tuple[str, ...]
    methods: dict[str, int]
    findings: tuple[Finding, ...]

    @classmethod
    def of(
        cls,
        file: Path,
        methods: dict[str, int],
        expected: Expectation,
        run: Sequence[Check[Any, Any]],
        found: Sequence[Finding],
    ) -> CheckPage:
        """All that is shown of a checked package."""
        names = tuple(one.name for one in run if one.name != "identity" or expected.app)
        return cls(file, file.stat().st_size, names, methods, tuple(found))

    def json_object(self) -> dict[str, Any]:
        """Everything that was found."""
        return {
            "file": str(self.file),
            "size": self.size,
            "ok": not findings.errors(self.findings),
            "checks": list(self.checks),
            "methods": self.methods,
            "findings": [dataclasses.asdict(finding) for finding in self.findings],
        }


def show(page: CheckPage, terminal: Terminal) -> None:
    """Each finding with its fix and rule, then one line over all."""
    for finding in page.findings:
        terminal.show(
            Text.assemble(
                (finding.severity.value, STYLES[finding.severity]),
                (f"  {finding.check}: ", "bold"),
                printable(finding.cause),
            )
        )
        terminal.show(f"    fix   {finding.fix}")
        terminal.show(Text(f"    rule  {finding.rule}\n", "dim"))
    table = plain_table("check", "errors", "warnings", right=("errors", "warnings"))
    for name in page.checks:
        counts = [
            sum(one.check == name and one.severity is severity for one in page.findings)
            for severity in (Severity.ERROR, Severity.WARNING)
        ]
        table.add_row(name, *(str(count or "ok") for count in counts))
    terminal.show(table)
    total = len(findings.errors(page.findings))
    verdict = f"{units.count(total, 'error')} in {page.file.name}" if total else f"{page.file.name} has no error"
    code = units.count(sum(page.methods.values()), "method")
    terminal.remark(f"\n{verdict}; {units.size(page.size)}, {code} referred to.")
