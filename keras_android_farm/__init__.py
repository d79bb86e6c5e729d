"""The program `farm`, protected from other files that have the names of the farm's packages.

The farm's packages have short names (`cli`, `db`, `client` ...). A folder in PYTHONPATH, or the current folder of
`python -m`, may hold a `db.py` of its own. This package has a name that nobody else uses; it makes Python look for the
short names beside itself first. Nothing else is looked up in another order.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

PACKAGES = frozenset({"farm", "db", "client", "pipeline", "worker", "server", "cli"})
ROOT = Path(__file__).resolve().parents[1]


class OwnPackages(MetaPathFinder):
    """Finds the farm's packages in the folder that holds this one, whatever stands before it in sys.path."""

    @classmethod
    def find_spec(
        cls,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """The package of that name if it is the farm's own; None leaves every other name to Python."""
        return PathFinder.find_spec(fullname, [str(ROOT)], target) if path is None and fullname in PACKAGES else None


def main() -> None:
    """Run the command line."""
    sys.meta_path.insert(0, OwnPackages)
    from cli.main import main as run

    run()
