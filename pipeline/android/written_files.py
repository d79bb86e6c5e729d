"""Files of the repository that are written from its tables, and not by hand."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from farm.errors import FarmError


def write(folder: Path, make: Callable[[], Mapping[str, str]]) -> int:
    """Write what `make` gives, content by name below the folder; the exit code is its error's, or 0."""
    try:
        for name, content in make().items():
            (folder / name).write_text(content)
    except FarmError as error:
        sys.stderr.write(f"{error.sentence}\n")
        return error.exit_code
    return 0
