"""The import closure of a module within the repository: every module that it may import, directly or through others.

Imports inside functions and below conditions count, and so do the `__init__` of each package on the way.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from farm import digests, locations
from farm.errors import SettingsInvalid
from pipeline.provenance import modules
from pipeline.provenance.modules import ModuleSource

# It reads every source, and none of them decides what comes of another one.
DATA_FILES: tuple[str, ...] = ()


@dataclass(frozen=True)
class Closure:
    """sources: the modules' files, and data: the files that these declare, both as paths below the repository.
    imports: top-level names from outside the repository. roles: see ModuleSource. patterns: as the data were declared.
    """

    sources: frozenset[str]
    data: frozenset[str]
    imports: frozenset[str]
    roles: frozenset[str]
    patterns: frozenset[str]

    @property
    def files(self) -> frozenset[str]:
        """All files of the repository that decide a result."""
        return self.sources | self.data


@dataclass
class Repository:
    """The modules below a folder, each read once. packages: those of them that are its own; None for all. An installed
    farm lies among the packages of others."""

    root: Path
    packages: frozenset[str] | None = None
    _sources: dict[str, ModuleSource] = field(default_factory=dict)
    _paths: dict[str, str | None] = field(default_factory=dict)
    _listed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _digests: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of_farm(cls) -> Repository:
        """The farm's own modules, in a checkout or where it is installed."""
        return cls(locations.ROOT, frozenset(locations.PACKAGES))

    def closure(self, *roots: str) -> Closure:
        """The closure of these modules, by dotted names; SettingsInvalid when one is missing or declares wrongly."""
        found: dict[str, ModuleSource] = {}
        outside, todo = set[str](), []
        for root in roots:
            if self.path_of(root) is None:
                raise SettingsInvalid(f"The farm has no module {root}; install it again.")
            todo += self._parents(root)
        while todo:
            name = todo.pop()
            path = self.path_of(name)
            if path is None or path in found:
                continue
            found[path] = source = self._read(name, path)
            for imported in source.imports:
                top = imported.partition(".")[0]
                within = self._parents(imported) if self.packages is None or top in self.packages else []
                todo += within
                if not within:
                    outside.add(top)
            # A program of the repository's own, which a module starts, decides as a module does.
            todo += [_dotted(each) for each in self._data(source, path) if each.endswith(".py")]
        data = {each for path, source in found.items() for each in self._data(source, path)}
        return Closure(
            sources=frozenset(found),
            data=frozenset(data - set(found)),
            imports=frozenset(outside),
            roles=frozenset(role for source in found.values() for role in source.roles),
            patterns=frozenset(pattern for source in found.values() for pattern in source.data_files),
        )

    def path_of(self, name: str) -> str | None:
        """The file of the module of that dotted name, below the repository; None when there is none."""
        if name not in self._paths:
            stem = name.replace(".", "/")
            candidates = (f"{stem}/__init__.py", f"{stem}.py")
            self._paths[name] = next((each for each in candidates if (self.root / each).is_file()), None)
        return self._paths[name]

    def digest(self, path: str) -> str:
        """Hex SHA-256 of a file below the repository."""
        if path not in self._digests:
            self._digests[path] = digests.of_file(self.root / path)
        return self._digests[path]

    def _parents(self, name: str) -> list[str]:
        """The modules that importing a dotted name runs: its packages, and itself if it is one."""
        words = name.split(".")
        prefixes = [".".join(words[: count + 1]) for count in range(len(words))]
        return [each for each in prefixes if self.path_of(each) is not None]

    def _read(self, name: str, path: str) -> ModuleSource:
        if path not in self._sources:
            self._sources[path] = modules.read(self.root / path, name, path)
        return self._sources[path]

    def _data(self, source: ModuleSource, path: str) -> Iterator[str]:
        for pattern in source.data_files:
            if pattern not in self._listed:
                self._listed[pattern] = tuple(sorted(matching(self.root, pattern)))
            if not self._listed[pattern]:
                raise SettingsInvalid(f"{path} declares the data {pattern}, which matches no file; correct it.")
            yield from self._listed[pattern]


def matching(root: Path, pattern: str) -> Iterable[str]:
    """The files below `root` that match a glob pattern; names that begin with a dot count."""
    found = glob.iglob(pattern, root_dir=root, recursive=True, include_hidden=True)  # noqa: PTH207 # pathlib is slower
    return (each for each in found if "__pycache__" not in each and (root / each).is_file())


def _dotted(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
