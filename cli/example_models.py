"""Examples that the repository makes by itself on first use, because their weights are not in it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cli.terminal import Terminal
from farm import locations
from farm.errors import HubUnreachable
from pipeline import process

SCRIPT = "__main__.py"
CONFIG = "config.json"
TIMEOUT = 1800.0


def make_if_missing(reference: str, terminal: Terminal) -> None:
    """Run the script of the example that a model reference names, unless its model is there; HubUnreachable."""
    folder = example_folder(reference)
    if folder is None or (folder / CONFIG).is_file() or not (folder / SCRIPT).is_file():
        return
    terminal.remark(f"Making examples/{folder.name}, which is done once.")
    process.run(
        [sys.executable, "-m", f"examples.{folder.name}"],
        timeout=TIMEOUT,
        error=HubUnreachable,
        hint=f"run `python -m examples.{folder.name}` to see all that it says.",
        cwd=locations.ROOT,
        env={**os.environ, "PYTHONPATH": str(locations.ROOT)},
    )


def example_folder(reference: str) -> Path | None:
    """The repository's own folder that a reference means: `examples/NAME`, or any path to it; None for all others."""
    if "://" in reference:
        return None
    path = Path(reference).expanduser()
    if not path.exists() and reference.startswith("examples/"):
        path = locations.ROOT / reference
    path = path.resolve()
    return path if path.parent == locations.EXAMPLES else None
