"""Where the programs of phones' processors are found."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest

from pipeline.toolchain import arm_machine
from pipeline.toolchain.arm_machine import NATIVE


@pytest.fixture(autouse=True)
def _on_a_desktop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


def extracted(toolchain: Path) -> Path:
    root = toolchain / arm_machine.FOLDER
    java = root / "usr/lib/jvm/java-17-openjdk-arm64/bin/java"
    java.parent.mkdir(parents=True)
    java.touch()
    (root / arm_machine.PROCESSORS).mkdir(parents=True)
    (root / arm_machine.PACKAGES).write_text(json.dumps({"libc6": "2.36"}))
    return root


def test_it_is_there_only_whole(tmp_path: Path) -> None:
    assert arm_machine.find(tmp_path) is None
    root = extracted(tmp_path)
    found = arm_machine.find(tmp_path)
    assert found is not None
    assert found.versions == {"libc6": "2.36"}
    (root / arm_machine.PACKAGES).write_text("{")
    assert arm_machine.find(tmp_path) is None


def test_the_emulator_is_told_the_processor_and_the_folder(tmp_path: Path) -> None:
    root = extracted(tmp_path)
    found = arm_machine.find(tmp_path)
    assert found is not None
    assert [cpu.model for cpu in found.cpus] == ["cortex-a53", "cortex-a76", "max"]
    words = [str(word) for word in found.java(found.cpus[1])]
    assert words[1:5] == ["-cpu", "cortex-a76", "-L", str(root)]


def test_an_arm64_machine_needs_no_emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    found = arm_machine.find(tmp_path)
    assert found is not None
    assert found.cpus == (NATIVE,)


def test_links_stay_within_the_extracted_packages(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/jvm.cfg").write_text("own")
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/jvm.cfg").symlink_to("/etc/jvm.cfg")
    arm_machine.settle_links(tmp_path)
    assert (tmp_path / "usr/lib/jvm.cfg").read_text() == "own"
    assert not (tmp_path / "usr/lib/jvm.cfg").readlink().is_absolute()
