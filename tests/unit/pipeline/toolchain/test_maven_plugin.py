"""Maven's own plugin: nothing of it runs before its hash was compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from farm import digests
from farm.errors import ToolMissing
from pipeline.toolchain import maven_plugin

PLUGIN, LIBRARY = "g.h:plugin:1", "i:library:2"
CONTENT = {PLUGIN: b"the plugin", LIBRARY: b"a library"}
PINNED = {coordinates: digests.of_bytes(content) for coordinates, content in CONTENT.items()}


class Maven:
    """Answers as Maven does: the files come with the first goal, and with `help` it says what it loads."""

    def __init__(self, repository: Path, loads: tuple[str, ...] = (PLUGIN, LIBRARY)) -> None:
        self.repository, self.loads = repository, loads
        self.goals: list[str] = []

    def run(self, _plugin: str, goal: str, scratch: Path, _hint: str) -> None:
        self.goals.append(goal)
        for coordinates in (PLUGIN,) if goal == maven_plugin.NO_GOAL else self.loads:
            path = maven_plugin.file_of(coordinates, self.repository)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(CONTENT.get(coordinates, b"another"))
        lines = [f"[DEBUG] Using local repository at {self.repository}"]
        if goal == maven_plugin.HARMLESS_GOAL:
            lines += [f"[\x1b[36mDEBUG\x1b[m]   Included: {':jar:'.join(one.rsplit(':', 1))}" for one in self.loads]
        (scratch / "plugin.log").write_text("\n".join(lines) + "\n")
        if goal == maven_plugin.NO_GOAL:
            raise ToolMissing("There is no such goal.")


@pytest.fixture
def maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maven:
    made = Maven(tmp_path / "repository")
    monkeypatch.setattr(maven_plugin, "_run", made.run)
    return made


def test_a_plugin_whose_files_are_the_pinned_ones_may_run(tmp_path: Path, maven: Maven) -> None:
    maven_plugin.require_pinned(PLUGIN, PINNED, tmp_path, "try again.")
    assert maven.goals == [maven_plugin.NO_GOAL, maven_plugin.HARMLESS_GOAL]


def test_another_plugin_is_refused_before_any_of_its_goals_runs(tmp_path: Path, maven: Maven) -> None:
    with pytest.raises(ToolMissing, match=r"^g\.h:plugin:1 is refused before Maven runs it: its SHA-256 is"):
        maven_plugin.require_pinned(PLUGIN, PINNED | {PLUGIN: "0" * 64}, tmp_path, "try again.")
    assert maven.goals == [maven_plugin.NO_GOAL]


@pytest.mark.parametrize("pinned", [PINNED | {LIBRARY: "0" * 64}, {PLUGIN: PINNED[PLUGIN]}])
def test_another_library_and_one_that_is_not_pinned_are_refused(tmp_path: Path, maven: Maven, pinned) -> None:
    with pytest.raises(ToolMissing, match=r"^i:library:2 is refused before Maven runs it"):
        maven_plugin.require_pinned(PLUGIN, pinned, tmp_path, "try again.")


def test_a_maven_that_says_nothing_is_refused(tmp_path: Path, maven: Maven) -> None:
    maven.loads = ()
    with pytest.raises(ToolMissing, match="does not say what it loads"):
        maven_plugin.require_pinned(PLUGIN, PINNED, tmp_path, "try again.")
