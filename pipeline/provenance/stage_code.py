"""The digest over all that decides a stage's result beside its inputs and the job's spec.

Each stage's modules, the data files that they declare, the versions of the packages that they import, and the pinned
Maven artifacts of the roles that they ask for. It is found once per version of the farm and kept in a file; after that
only the sizes and times of change of these files are looked at, so that an edited checkout is seen.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import sys
import threading
import time
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from farm import digests, locations, stages
from pipeline.provenance.closure import Closure, Repository
from pipeline.provenance.modules import EVERY_ROLE
from pipeline.provenance.packages import Environment

# The table of artifacts decides by its roles, see `pinned`; the sources of this package only where they are imported.
DATA_FILES: tuple[str, ...] = ()
FILE = "stage-code.json"
PROCESS = "pipeline.stages.__main__"
PINS = "pipeline/toolchain/pins.py"
TABLE = "android-builder/artifacts.toml"
# For how long what was found is taken for still so.
FRESH_SECONDS = 1.0
# A file that was changed so shortly before it was read may change again without its time of change telling it.
SETTLED_NS = 100_000_000


@dataclass(frozen=True)
class _State:
    """What was found, with the stamps of the files that decide it, and stamps and entries of their folders."""

    digests: Mapping[str, str]
    files: Mapping[str, list[int]]
    folders: Mapping[str, tuple[list[int], list[str]]]

    def holds(self) -> bool:
        """Whether nothing has changed since, and the stages are the same."""
        if list(self.digests) != [stage.name.value for stage in stages.STAGES]:
            return False
        if any(_stamp(path) != stamp for path, stamp in self.files.items()):
            return False
        # A folder's stamp changes with every file that Python compiles, too.
        return all(_stamp(path) == stamp or _entries(path) == names for path, (stamp, names) in self.folders.items())


_latest: dict[str, tuple[float, _State]] = {}
_looking = threading.Lock()


def of_job(home: Path) -> str:
    """The digest over all stages."""
    return digests.of_json(dict(of_stages(home)))


def of_stages(home: Path) -> Mapping[str, str]:
    """The digest of each stage by its name, as FRESH_SECONDS ago or later; home: the farm's folder, which keeps them.

    SettingsInvalid when a module's declarations are wrong.
    """
    root = str(locations.ROOT)
    # One thread looks, and the others have what it found. Besides, before Python 3.11.8 two threads that parse at once
    # can end in a SystemError (gh-106905).
    with _looking:
        return _look(root, home)


def _look(root: str, home: Path) -> Mapping[str, str]:
    looked_at, state = _latest.get(root, (-math.inf, None))
    if state is None or time.monotonic() - looked_at >= FRESH_SECONDS:
        looked_at = time.monotonic()
        if state is None or not state.holds():
            state = _kept(home / FILE)
        if state is None or not state.holds():
            state = _find()
            _keep(home / FILE, state)
        _latest[root] = looked_at, state
    return state.digests


def of_module(name: str) -> str:
    """The digest of one module and all that it imports."""
    with _looking:
        repository = Repository.of_farm()
        return digest(repository, repository.closure(name), Environment())


def stage_closure(repository: Repository, stage: stages.Stage) -> Closure:
    """All that a stage's process may import and read."""
    return repository.closure(PROCESS, stage.module)


def digest(repository: Repository, closure: Closure, environment: Environment) -> str:
    """The digest over a closure's content."""
    return digests.of_json(
        {
            "files": {path: repository.digest(path) for path in sorted(closure.files)},
            "packages": environment.versions(closure.imports),
            "pins": pinned(repository.root, closure),
        }
    )


def pinned(root: Path, closure: Closure) -> Mapping[str, Any] | None:
    """What a closure uses of the pinned toolchain: its settings, and the artifacts of its roles with their hashes."""
    if PINS not in closure.sources:
        return None
    table = tomllib.loads((root / TABLE).read_text())
    roles = {role.lower().replace("_", "-") for role in closure.roles}
    return {
        **{name: part for name, part in table.items() if name not in ("artifact", "maven")},
        "artifacts": [each for each in table["artifact"] if each["role"] in roles or EVERY_ROLE in roles],
    }


def _find() -> _State:
    """Read all sources: a second or two, once per version."""
    root = locations.ROOT
    repository, environment = Repository.of_farm(), Environment()
    closures = {stage.name.value: stage_closure(repository, stage) for stage in stages.STAGES}
    files, folders = _watched(root, closures.values())
    # Before anything is read: what changes meanwhile then differs at the next look.
    file_stamps = {path: _stamp(path) for path in files}
    folder_stamps = {path: (_stamp(path), _entries(path)) for path in folders}
    found = {name: digest(repository, each, environment) for name, each in closures.items()}
    return _State(found, file_stamps, folder_stamps)


def _watched(root: Path, closures: Iterable[Closure]) -> tuple[list[str], list[str]]:
    """All files that decide, and the folders in which new ones would decide too."""
    files, patterns = {TABLE}, set[str]()
    for closure in closures:
        files |= closure.files
        patterns |= closure.patterns
    # A new module may take the place of a name, and a new file match a pattern.
    folders = {str(Path(each).parent) for each in files}
    for pattern in (each for each in patterns if "**" in each):
        fixed = pattern.split("*")[0].rpartition("/")[0]
        folders |= {os.path.relpath(folder, root) for folder, _, _ in os.walk(root / fixed)}
    # Packages come and go as folders of these.
    packages = [each for each in sys.path if each.endswith(("site-packages", "dist-packages"))]
    return [str(root / each) for each in sorted(files)], [*(str(root / each) for each in sorted(folders)), *packages]


def _stamp(path: str) -> list[int]:
    """Both times of change, since a copy may keep one of them, and the size."""
    try:
        status = os.stat(path)  # noqa: PTH116 # asked for hundreds of files for every job, and pathlib takes its time
    except OSError:
        return []
    return [status.st_mtime_ns, status.st_ctime_ns, status.st_size]


def _entries(folder: str) -> list[str]:
    with suppress(OSError):
        return sorted(name for name in os.listdir(folder) if name != "__pycache__")  # noqa: PTH208 # as above
    return []


def _kept(file: Path) -> _State | None:
    """What an earlier process found with this same interpreter and these same rules; None when there is none."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads(file.read_bytes())
        if found["by"] == _by():
            return _State(
                found["digests"], found["files"], {path: (at, names) for path, (at, names) in found["folders"].items()}
            )
    return None


def _keep(file: Path, state: _State) -> None:
    """For the next process; not while a file is still being edited. A folder that cannot be written does no harm."""
    newest = max((max(stamp[:2]) for stamp in state.files.values() if stamp), default=0)
    if time.time_ns() - newest < SETTLED_NS or not file.parent.is_dir():
        return
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    with suppress(OSError):
        draft.write_text(json.dumps({"by": _by(), **asdict(state)}))
        draft.rename(file)


def _by() -> list[str]:
    """Who found it: the rules of this package decide what a state means, and so does the interpreter."""
    own = Path(__file__).parent
    return [str(locations.ROOT), sys.version, digests.of_sources(own, ("*.py",))]
