"""Control groups of both versions, on a tree of files such as the kernel shows; what it makes of them is tested in
tests/security."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from worker import control_group
from worker.control_group import ControlGroups, find

OWN = {2: "0::/farm\n", 1: "4:memory:/farm\n3:pids:/farm\n2:cpu,cpuacct:/farm\n0::/\n"}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ControlGroups | None]:
    """What is found in a tree of files. The kernel's files of a group go with its folder, these do not."""
    monkeypatch.setattr(control_group, "_REMOVE_SECONDS", 0.0)

    def make(
        version: int, *, kinds: str = "cpu memory pids", enabled: str = "", members: str = ""
    ) -> ControlGroups | None:
        (tmp_path / "own").write_text(OWN[version])
        if version == 1:
            for kind in kinds.split():
                (tmp_path / kind / "farm").mkdir(parents=True)
        else:
            (tmp_path / "farm").mkdir()
            (tmp_path / "cgroup.controllers").write_text(kinds)
            for name, content in (("controllers", kinds), ("subtree_control", enabled), ("procs", members)):
                (tmp_path / "farm" / f"cgroup.{name}").write_text(content)
        return find(tmp_path, tmp_path / "own")

    return make


def content(folder: Path, *names: str) -> dict[str, str]:
    return {name: (folder / name).read_text() for name in names}


def test_version_2_limits_memory_processes_and_time(tree: Callable[..., ControlGroups | None], tmp_path: Path) -> None:
    groups = tree(2, members=str(os.getpid()))
    assert groups is not None
    assert groups.version == 2
    made = groups.make(300 << 20, 3)
    assert made is not None
    (folder,) = set(made.folders.values())
    assert folder.parent == tmp_path / "farm"
    wanted = {
        "memory.max": str(300 << 20), "memory.swap.max": "0", "memory.oom.group": "1", "pids.max": "4096",
        "cpu.max": "300000 100000", "cpu.weight": "50",
    }  # fmt: skip
    assert content(folder, *wanted) == wanted
    assert made.entrances == (folder / "cgroup.procs",)
    # The worker, alone in its group, has moved below it, so that its children can be limited.
    assert (tmp_path / "farm/farm-worker/cgroup.procs").read_text() == str(os.getpid())
    assert (tmp_path / "farm/cgroup.subtree_control").read_text() == "+cpu"  # the last of two writes
    (folder / "memory.events").write_text("low 0\noom 2\noom_kill 2\n")
    assert made.memory_kills() == 2


def test_version_2_without_processor_time_or_where_it_is_enabled(tree: Callable[..., ControlGroups | None]) -> None:
    groups = tree(2, kinds="memory pids", enabled="memory pids")
    assert groups is not None
    made = groups.make(1 << 30, 2)
    assert made is not None
    assert not (made.folders["memory"] / "cpu.max").exists()


def test_version_1_has_a_tree_a_kind(tree: Callable[..., ControlGroups | None], tmp_path: Path) -> None:
    groups = tree(1)
    assert groups is not None
    assert groups.version == 1
    made = groups.make(300 << 20, 3)
    assert made is not None
    assert {kind: folder.parent for kind, folder in made.folders.items()} == {
        kind: tmp_path / kind / "farm" for kind in ("cpu", "memory", "pids")
    }
    assert content(made.folders["memory"], "memory.limit_in_bytes") == {"memory.limit_in_bytes": str(300 << 20)}
    assert content(made.folders["pids"], "pids.max") == {"pids.max": "4096"}
    wanted = {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "300000", "cpu.shares": "512"}
    assert content(made.folders["cpu"], *wanted) == wanted
    (made.folders["memory"] / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    assert made.memory_kills() == 1


@pytest.mark.parametrize(("version", "kinds"), [(2, "memory cpu"), (1, "pids cpu"), (1, "")])
def test_without_memory_and_processes_there_is_no_group(
    tree: Callable[..., ControlGroups | None], version: int, kinds: str
) -> None:
    assert tree(version, kinds=kinds) is None
