"""The Maven plugin that fetches: its own file and all that Maven loads beside it, compared before any of it runs.

Asked for a goal that does not exist, Maven fetches the plugin's file to look for it, and runs nothing. Asked for the
goal `help`, which is a class of that file alone, it fetches and loads all the others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from farm import digests
from farm.errors import ToolMissing
from pipeline import process
from pipeline.toolchain import tools
from pipeline.toolchain.tools import Tool

TIMEOUT = 600.0
NO_GOAL, HARMLESS_GOAL = "none", "help"
# A word in colour has these around it.
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_REPOSITORY = re.compile(r"Using local repository at (.+)$", re.MULTILINE)
_LOADED = re.compile(r"  Included: ([^:\s]+):([^:\s]+):jar:(?:[^:\s]+:)?([^:\s]+)\s*$", re.MULTILINE)


def require_pinned(plugin: str, pinned: Mapping[str, str], scratch: Path, hint: str) -> None:
    """Let Maven fetch its plugin and compare all of it; ToolMissing for a file that is not pinned or has changed.

    pinned: SHA-256 by `group:name:version`.
    """
    # It fails, because there is no such goal.
    with suppress(ToolMissing):
        _run(plugin, NO_GOAL, scratch, hint)
    _require(plugin, pinned, _repository(_log(scratch), hint))
    _run(plugin, HARMLESS_GOAL, scratch, hint)
    said = _log(scratch)
    loaded = {":".join(found) for found in _LOADED.findall(said)}
    if plugin not in loaded:
        raise ToolMissing(f"Maven does not say what it loads for {plugin}, so that nothing can be compared; {hint}")
    for coordinates in sorted(loaded):
        _require(coordinates, pinned, _repository(said, hint))


def file_of(coordinates: str, repository: Path) -> Path:
    """Where a repository has a jar."""
    group, name, version = coordinates.split(":")
    return repository.joinpath(*group.split("."), name, version, f"{name}-{version}.jar")


def _require(coordinates: str, pinned: Mapping[str, str], repository: Path) -> None:
    path = file_of(coordinates, repository)
    if not path.is_file():
        raise ToolMissing(f"Maven brought no {coordinates}, which it needs to fetch the toolchain; run it again.")
    found = digests.of_file(path)
    if found != pinned.get(coordinates):
        raise ToolMissing(
            f"{coordinates} is refused before Maven runs it: its SHA-256 is {found} where artifacts.toml pins"
            f" {pinned.get(coordinates, 'nothing')}; remove {path} and run `farm doctor --fetch` again."
        )


def _run(plugin: str, goal: str, scratch: Path, hint: str) -> None:
    log = ("--debug", "--log-file", scratch / "plugin.log")
    process.run(
        (tools.find(Tool.MAVEN), "--batch-mode", "--no-transfer-progress", *log, f"{plugin}:{goal}"),
        timeout=TIMEOUT, error=ToolMissing, hint=hint, cwd=scratch,
    )  # fmt: skip


def _log(scratch: Path) -> str:
    path = scratch / "plugin.log"
    return _COLOUR.sub("", path.read_text(errors="replace")) if path.is_file() else ""


def _repository(said: str, hint: str) -> Path:
    found = _REPOSITORY.search(said)
    if found is None:
        raise ToolMissing(f"Maven does not say where its local repository is; {hint}")
    return Path(found[1].strip())
