"""Farms whose stages are stubs, with workers that can be killed: embedded ones, and fleets on PostgreSQL and Redis."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.fleet import Fleet
from tests.faults.yard import Yard
from tests.servers import PostgresServer, RedisServer, in_memory
from tests.trial import POSTGRESQL, SQLITE


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder in memory: what a killed process wrote the kernel still has, and only a power cut would need a disk."""
    folder = Path(tempfile.mkdtemp(prefix="farm-faults-", dir=in_memory()))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def make_yard(place: Path) -> Iterator[Callable[..., Yard]]:
    """Embedded farms."""
    yards: list[Yard] = []

    def make(home: Path | None = None, **changes: Any) -> Yard:
        yards.append(Yard(home or place / "home", **changes))
        return yards[-1]

    yield make
    for yard in yards:
        yard.close()


@pytest.fixture
def yard(make_yard: Callable[..., Yard]) -> Yard:
    return make_yard()


@pytest.fixture
def make_fleet(place: Path, postgresql: PostgresServer, redis_server: RedisServer) -> Iterator[Callable[..., Fleet]]:
    """Farms beyond one machine."""
    fleets: list[Fleet] = []

    def make(home: Path | None = None, **changes: Any) -> Fleet:
        fleets.append(Fleet(home or place / f"home-{len(fleets)}", postgresql, redis_server, **changes))
        return fleets[-1]

    yield make
    for fleet in fleets:
        fleet.close()


@pytest.fixture
def fleet(make_fleet: Callable[..., Fleet]) -> Fleet:
    return make_fleet()


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def engine(request: pytest.FixtureRequest) -> str:
    """What the farm under test stands on."""
    return str(request.param)


@pytest.fixture
def make_farm(engine: str, request: pytest.FixtureRequest) -> Callable[..., Yard]:
    """Farms of either kind: what holds must hold on both."""
    made: Callable[..., Yard] = request.getfixturevalue("make_yard" if engine == SQLITE else "make_fleet")
    return made
