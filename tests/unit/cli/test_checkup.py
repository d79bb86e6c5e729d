from __future__ import annotations

import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from cli import checkup
from cli.checkup import Check, Health
from farm.settings import Settings
from pipeline.toolchain.tools import Tool


def a_farm(tmp_path: Path, **changes: Any) -> Settings:
    return Settings(home=tmp_path / "home", **changes)


def test_python_is_the_one_of_the_lock() -> None:
    assert checkup.check_python().health is Health.OK


def test_an_old_python_is_missing_the_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.python_version_tuple", lambda: ("3", "13", "1"))
    found = checkup.check_python()
    assert found.health is Health.MISSING
    assert "3.11" in found.fix


def test_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"keras": "3.15.1", "numpy": "1.0"}
    monkeypatch.setattr(
        "importlib.metadata.requires",
        lambda _name: [
            'keras==3.15.1; extra == "convert"', 'numpy==2.1.3; extra == "convert"',
            'tokenizers>=0.23; extra == "convert"', "typer==0.29.2", 'ruff==1.0; extra == "dev"',
        ],
    )  # fmt: skip

    def version(name: str) -> str:
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr("importlib.metadata.version", version)
    found = {check.subject: check.health for check in checkup.check_packages()}
    assert found == {"keras": Health.OK, "numpy": Health.WARNING, "tokenizers": Health.MISSING}


def test_a_missing_program_names_its_debian_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    found = checkup.check_tool(Tool.AAPT2)
    assert found.health is Health.MISSING
    assert "apt-get install aapt " in found.fix


def test_a_toolchain_that_was_not_fetched(tmp_path: Path) -> None:
    found = checkup.check_toolchain(a_farm(tmp_path, toolchain=tmp_path / "none"))
    assert found.health is Health.MISSING
    assert found.fix == "Run: farm doctor --fetch"


def test_a_name_of_the_farms_in_another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    owners = {"db": [checkup.DISTRIBUTION, "other"], "cli": [checkup.DISTRIBUTION], "numpy": ["numpy"]}
    monkeypatch.setattr("importlib.metadata.packages_distributions", lambda: owners)
    (found,) = checkup.check_names()
    assert (found.subject, found.health, found.found) == ("db", Health.WARNING, "also a package of other")
    assert "environment of its own" in found.fix


@pytest.mark.parametrize(("checkout", "fix"), [(True, "scripts/bootstrap"), (False, "uv tool install")])
def test_an_installed_farm_is_fixed_without_the_repository(
    monkeypatch: pytest.MonkeyPatch, checkout: bool, fix: str
) -> None:
    monkeypatch.setattr("farm.locations.CHECKOUT", checkout)
    assert checkup.installation().startswith(fix)
    assert checkup.installation("3.11").count("scripts/") == checkout


@pytest.mark.parametrize(("mode", "health"), [("auto", Health.WARNING), ("required", Health.MISSING)])
def test_a_missing_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, health: Health) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert checkup.check_sandbox(a_farm(tmp_path, sandbox=mode)).health is health


def test_a_sandbox_that_is_switched_off(tmp_path: Path) -> None:
    assert checkup.check_sandbox(a_farm(tmp_path, sandbox="off")).health is Health.WARNING


def test_little_memory(tmp_path: Path) -> None:
    assert checkup.check_memory(a_farm(tmp_path, memory_limit=1 << 30)).health is Health.WARNING


@pytest.mark.parametrize(
    ("free", "health"), [(1 << 20, Health.MISSING), (1 << 30, Health.WARNING), (1 << 40, Health.OK)]
)
def test_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, health: Health) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: usage._replace(free=free))
    found = checkup.check_disk(a_farm(tmp_path))
    assert found.health is health
    assert not (tmp_path / "home").exists(), "a check makes nothing"


def test_a_database_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "farm.db").write_text("no database" * 100)
    found = checkup.check_database(a_farm(tmp_path))
    assert found.health is Health.MISSING
    assert found.fix


GOOD = Check("Python", Health.OK, "3.11")
POOR = Check("memory", Health.WARNING, "1 GB", "Buy some.")
BAD = Check("java", Health.MISSING, "not installed", "Run: apt-get install java")


def test_doctor_succeeds_with_warnings(farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "examine", lambda _settings: iter([GOOD, POOR]))
    ran = farm("doctor")
    assert ran.code == 0
    assert "Buy some." in ran.stdout
    assert farm("doctor", "--json").json["healthy"] is True


def test_doctor_fails_when_something_needed_is_missing(farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "examine", lambda _settings: iter([GOOD, BAD]))
    ran = farm("doctor")
    assert ran.code == 45
    assert "java" in ran.error
    assert "apt-get install java" in ran.stdout
    as_json = farm("doctor", "--json")
    assert as_json.code == 45
    assert as_json.json == {
        "healthy": False,
        "checks": [
            {"subject": "Python", "health": "ok", "found": "3.11", "fix": ""},
            {"subject": "java", "health": "missing", "found": "not installed", "fix": "Run: apt-get install java"},
        ],
    }
