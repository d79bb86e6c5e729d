"""The Maven artifacts of the Android half: fetched by the machine's own Maven, let in only with the pinned hash.

`python -m pipeline.toolchain.maven` fetches what is missing and checks what is there.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from farm import digests, settings
from farm.errors import FarmError, ToolMissing
from pipeline import process
from pipeline.toolchain import maven_plugin, pins, tools
from pipeline.toolchain.pins import MavenArtifact, Pins, Role
from pipeline.toolchain.tools import Tool

# So many artifacts are named as they are fetched; more would fill a screen.
NAMED = 5
FETCH_TIMEOUT = 1800.0
HINT = "see that Maven can reach its repositories (its settings.xml names mirrors and proxies), then run it again."


@dataclass(frozen=True)
class Toolchain:
    """The folder in which the verified artifacts lie, flat, and the table that pins them."""

    folder: Path
    pins: Pins

    def path(self, artifact: MavenArtifact) -> Path:
        """Where an artifact lies; ToolMissing when it was not fetched."""
        path = self.folder / artifact.file_name
        if not path.is_file():
            raise ToolMissing(f"The Android toolchain lacks {artifact.file_name}; run `farm doctor --fetch`.")
        return path

    def paths(self, role: Role) -> tuple[Path, ...]:
        """The files of a role, in the table's order."""
        return tuple(self.path(artifact) for artifact in self.pins.with_role(role))

    @property
    def platform(self) -> Path:
        """What stands for android.jar."""
        return self.paths(Role.PLATFORM)[0]

    def missing(self) -> tuple[MavenArtifact, ...]:
        """What has not been fetched yet; hashes are not looked at, since nothing becomes visible without its own."""
        return tuple(one for one in self._files() if not (self.folder / one.file_name).is_file())

    def damaged(self) -> tuple[MavenArtifact, ...]:
        """What is there with another hash than the pinned one."""
        present = (one for one in self._files() if (self.folder / one.file_name).is_file())
        return tuple(one for one in present if digests.of_file(self.folder / one.file_name) != one.sha256)

    def _files(self) -> Iterable[MavenArtifact]:
        """Every file once: an artifact may be pinned in more than one role."""
        return {(one.file_name, one.sha256): one for one in self.pins.artifacts}.values()


def at(folder: Path) -> Toolchain:
    """The toolchain in that folder."""
    return Toolchain(folder, pins.load())


def fetch(toolchain: Toolchain, say: Callable[[str], None]) -> int:
    """Fetch what is missing or damaged, verify it, make it visible. The number of artifacts fetched.

    ToolMissing when Maven can't get one, or when a file has another hash than the pinned one: it stays outside.
    """
    for artifact in toolchain.damaged():
        say(f"{artifact.file_name} has changed since it was fetched and is fetched again")
        (toolchain.folder / artifact.file_name).unlink()
    wanted = toolchain.missing()
    if not wanted:
        return 0
    toolchain.folder.mkdir(parents=True, exist_ok=True)
    named = f": {', '.join(artifact.coordinates for artifact in wanted)}" if len(wanted) <= NAMED else ""
    say(f"Fetching {len(wanted)} Maven artifacts (820 MB in all on a new machine){named}")
    with tempfile.TemporaryDirectory(dir=toolchain.folder, prefix=".fetch-") as scratch:
        downloads = _download(toolchain.pins, wanted, Path(scratch), say)
        for artifact in wanted:
            admit(artifact, downloads / artifact.file_name, toolchain.folder)
    return len(wanted)


def admit(artifact: MavenArtifact, file: Path, folder: Path) -> None:
    """Move a downloaded file of the same file system into the toolchain, if it has the pinned hash."""
    if not file.is_file():
        raise ToolMissing(f"Maven brought no {artifact.file_name}; {HINT}")
    found = digests.of_file(file)
    if found != artifact.sha256:
        raise ToolMissing(
            f"{artifact.coordinates} is refused: its SHA-256 is {found} where artifacts.toml pins {artifact.sha256};"
            " remove it from Maven's local repository and run `farm doctor --fetch` again."
        )
    file.replace(folder / artifact.file_name)


def project(wanted: Sequence[MavenArtifact], second_repository: str | None) -> str:
    """A Maven project that depends on exactly these artifacts and nothing of theirs."""
    dependencies = "".join(_dependency(artifact) for artifact in wanted)
    repositories = ""
    if second_repository is not None:
        repositories = (
            f"<repositories><repository><id>google</id><url>{escape(second_repository)}</url>"
            "<snapshots><enabled>false</enabled></snapshots></repository></repositories>"
        )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>dev.kerasfarm</groupId><artifactId>toolchain</artifactId><version>1</version>"
        f"<packaging>pom</packaging>{repositories}<dependencies>{dependencies}</dependencies></project>\n"
    )


def _dependency(artifact: MavenArtifact) -> str:
    fields = {
        "groupId": artifact.group,
        "artifactId": artifact.name,
        "version": artifact.version,
        "type": artifact.extension,
        "classifier": artifact.classifier,
    }
    body = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items() if value)
    everything = "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>"
    return f"<dependency>{body}{everything}</dependency>"


def _download(table: Pins, wanted: Sequence[MavenArtifact], scratch: Path, say: Callable[[str], None]) -> Path:
    """Let Maven copy the artifacts into a folder: first from its own repositories only, then with the second one."""
    tools.find(Tool.MAVEN)
    maven_plugin.require_pinned(table.plugin, table.plugin_files, scratch, HINT)
    try:
        return _copy_dependencies(table, wanted, None, scratch)
    except ToolMissing:
        say(f"This machine's Maven repositories lack one of them; asking {table.second_repository} too")
    try:
        return _copy_dependencies(table, wanted, table.second_repository, scratch)
    except ToolMissing as failure:
        raise ToolMissing(f"Maven can't fetch the Android toolchain (its messages are above); {HINT}") from failure


def _copy_dependencies(
    table: Pins, wanted: Sequence[MavenArtifact], second_repository: str | None, scratch: Path
) -> Path:
    definition, downloads = scratch / "pom.xml", scratch / "downloads"
    for compatible in rounds(wanted):
        definition.write_text(project(compatible, second_repository))
        process.run(
            (
                tools.find(Tool.MAVEN), "--batch-mode", "--no-transfer-progress", "--file", definition,
                f"{table.plugin}:copy-dependencies", f"-DoutputDirectory={downloads}",
            ),
            timeout=FETCH_TIMEOUT, error=ToolMissing, hint=HINT, cwd=scratch,
        )  # fmt: skip
    return downloads


def rounds(wanted: Sequence[MavenArtifact]) -> list[list[MavenArtifact]]:
    """The artifacts in as few lists as possible, each with one version of a thing: a Maven project takes no two."""
    found: list[dict[tuple[str | None, ...], MavenArtifact]] = []
    for artifact in wanted:
        identity = (artifact.group, artifact.name, artifact.extension, artifact.classifier)
        free = next((taken for taken in found if identity not in taken), None)
        if free is None:
            found.append(free := {})
        free[identity] = artifact
    return [list(taken.values()) for taken in found]


def main() -> int:
    """Fetch and check the toolchain of this machine's settings; the exit code is the error's, or 0."""
    try:
        toolchain = at(settings.load().toolchain)
        count = fetch(toolchain, _say)
    except FarmError as error:
        _say(error.sentence)
        return error.exit_code
    if count:
        _say(f"{count} artifacts verified in {os.path.relpath(toolchain.folder)}")
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
