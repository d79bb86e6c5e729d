"""A unit test can neither touch the network nor start a program."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

# Before NumPy is imported: tests run on every core already, and its threads wait for each other without sleeping.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# One of several test processes leaves the other cores to them.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("FARM_THREADS", "1")

from tests import trial as trials
from tests.servers import PostgresServer, RedisServer
from tests.trial import Trial

# Jobs of tests leave the phones' processors out, which tests/integration/test_arm_check.py is for: each emulated start
# takes ten seconds.
os.environ.setdefault("FARM_ARM_SECONDS", "0")
UNIT = Path(__file__).parent / "unit"
# Whole jobs with a real model, whose stages leave the larger share of a busy machine to others.
LONGEST = "test_real_models.py"
IN_CONTAINERS = "tests/compose/"
# Examples take as long as the machine has other work: by default one of more than 200 ms fails its test.
settings.register_profile("farm", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("farm")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest file first, so that nothing waits for it at the end."""
    items.sort(key=lambda item: item.path.name != LONGEST)


class ByFile(LoadFileScheduling):
    """Gives the tests of a file to one process, and all that need a Docker daemon to one too: two would wait for it."""

    def _split_scope(self, nodeid: str) -> str:
        return IN_CONTAINERS if nodeid.startswith(IN_CONTAINERS) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile | None:
    """In place of --dist loadfile."""
    return ByFile(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    """A server for the whole run; each test makes a database of its own in it."""
    server = PostgresServer()
    server.start()
    yield server
    server.close()


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """An empty server for one test."""
    server = RedisServer()
    server.start()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def sealed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Refuse sockets and child processes in tests below tests/unit, unless marked `programs`."""
    if UNIT in request.path.parents and request.node.get_closest_marker("programs") is None:

        def refuse(*_args: object, **_keywords: object) -> None:
            raise AssertionError("a unit test may neither open a connection nor start a program")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setattr(subprocess, "Popen", refuse)
        for name in ("posix_spawn", "posix_spawnp", "system"):
            monkeypatch.setattr(os, name, refuse)
    yield


@pytest.fixture
def trial(request: pytest.FixtureRequest) -> Iterator[Trial]:
    """The size and the seed of a test that is marked with its goal; what it measures is kept."""
    # A test may prove two goals; whoever runs the figures says of which they are.
    goals = [mark.kwargs["id"] for mark in request.node.iter_markers("goal")]
    wanted = os.environ.get("FARM_FAULTS_GOAL", "")
    engines = [each for each in request.node.fixturenames if each in ("postgresql", "fleet", "make_fleet")]
    parameters = getattr(request.node, "callspec", None)
    named = parameters.params.get("engine") if parameters else None
    # The unit tests' databases of both kinds.
    if parameters and parameters.params.get("database") == "postgresql":
        named = trials.POSTGRESQL
    begun = trials.begin(
        wanted if wanted in goals else goals[-1], named or (trials.POSTGRESQL if engines else trials.SQLITE)
    )
    failed, started = request.session.testsfailed, time.monotonic()
    yield begun
    begun.close(held=request.session.testsfailed == failed, seconds=time.monotonic() - started)
