"""Files of the names of the farm's packages neither break the program nor does it break them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from client.local import LocalFarm
from farm import locations
from farm.settings import Settings
from keras_android_farm import PACKAGES, OwnPackages

pytestmark = pytest.mark.programs


def strangers(folder: Path) -> None:
    for name in PACKAGES:
        (folder / f"{name}.py").write_text(f"raise SystemExit('the other {name}')\n")


def start(*words: str, cwd: Path, path: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": path, "FARM_HOME": str(cwd / "home")}
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_a_folder_in_pythonpath_and_the_current_one_do_not_break_it(tmp_path: Path) -> None:
    (tmp_path / "path").mkdir()
    strangers(tmp_path)
    strangers(tmp_path / "path")
    path = os.pathsep.join((str(tmp_path / "path"), str(locations.ROOT)))
    ran = start("-m", "keras_android_farm", "list", cwd=tmp_path, path=path)
    assert ran.returncode == 0, ran.stderr
    # Without the protection they do.
    assert "the other cli" in start("-m", "cli.main", "list", cwd=tmp_path, path=path).stderr


def test_a_background_worker_does_not_look_into_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strangers(tmp_path)
    started: list[tuple[list[str], dict[str, str]]] = []

    def spawn(_program: str, command: list[str], environment: dict[str, str], **_how: object) -> int:
        started.append((command, environment))
        return os.getpid()

    monkeypatch.setattr(os, "posix_spawn", spawn)
    LocalFarm(Settings(home=tmp_path / "home"))._start_worker("w")
    ((command, environment),) = started
    ran = start(*command[1:], "--help", cwd=tmp_path, path=environment["PYTHONPATH"])
    assert ran.returncode == 0, ran.stderr
    assert "--idle" in ran.stdout


def test_other_names_are_left_to_python() -> None:
    assert OwnPackages.find_spec("json", None) is None
    assert OwnPackages.find_spec("server", ["/some/package"]) is None
    found = OwnPackages.find_spec("server", None)
    assert found is not None
    assert found.origin == str(locations.ROOT / "server" / "__init__.py")


def test_the_list_of_packages_is_that_of_the_wheel() -> None:
    import tomllib

    table = tomllib.loads((locations.ROOT / "pyproject.toml").read_text())
    assert set(table["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == PACKAGES | {"keras_android_farm"}
    assert set(locations.PACKAGES) == PACKAGES
