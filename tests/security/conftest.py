"""Farms whose stages are hostile."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.security.hostile_farm import HostileFarm


@pytest.fixture
def make_hostile() -> Iterator[Callable[..., HostileFarm]]:
    farms: list[HostileFarm] = []
    folders: list[Path] = []

    def make(**changes: Any) -> HostileFarm:
        folders.append(Path(tempfile.mkdtemp(prefix="farm-hostile-")))
        folders[-1].chmod(0o755)
        farms.append(HostileFarm(folders[-1] / "home", **changes))
        return farms[-1]

    yield make
    for farm in farms:
        farm.close()
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def hostile(make_hostile: Callable[..., HostileFarm]) -> HostileFarm:
    return make_hostile()
