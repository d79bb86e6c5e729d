"""The installed distributions that bring what a closure imports, with what they require, and their versions."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata

EXTRA = re.compile(r"""extra\s*==""")


class Environment:
    """The distributions of this interpreter, read once."""

    def __init__(self) -> None:
        self._makers: Mapping[str, list[str]] | None = None
        self._required: dict[str, tuple[str, ...]] = {}
        self._versions: dict[str, str | None] = {}

    def versions(self, imports: Iterable[str]) -> dict[str, str]:
        """The versions of Python and of all distributions behind these top-level names, and of those they require.

        Whatever is not installed is left out: a stage of another kind of worker may need it.
        """
        found, todo = (
            {"python": platform.python_version()},
            [
                name
                for imported in imports
                if imported not in sys.stdlib_module_names
                for name in self._makers_of(imported)
            ],
        )
        while todo:
            name = normal(todo.pop())
            version = None if name in found else self._version(name)
            if version is not None:
                found[name] = version
                todo += self._required[name]
        return dict(sorted(found.items()))

    def _makers_of(self, imported: str) -> list[str]:
        if self._makers is None:
            self._makers = metadata.packages_distributions()
        return self._makers.get(imported, [])

    def _version(self, name: str) -> str | None:
        if name not in self._versions:
            try:
                distribution = metadata.distribution(name)
            except metadata.PackageNotFoundError:
                self._versions[name], self._required[name] = None, ()
            else:
                # Markers of platforms are not looked at: what they leave out is not installed, or does no harm here.
                required = [each for each in distribution.requires or () if EXTRA.search(each) is None]
                self._versions[name] = distribution.version
                self._required[name] = tuple(re.split(r"[^A-Za-z0-9._-]", each, maxsplit=1)[0] for each in required)
        return self._versions[name]


def normal(name: str) -> str:
    """A distribution's name in the one form that PyPI compares."""
    return re.sub(r"[-_.]+", "-", name).lower()
