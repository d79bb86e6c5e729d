"""One Docker daemon for all tests in containers, which run in one process after each other (tests/conftest.py)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.compose.daemon import NoDaemon, docker_environment


@pytest.fixture(scope="package")
def docker() -> Iterator[dict[str, str]]:
    """The environment in which programs find the daemon, its base image and the tests' tag."""
    try:
        with docker_environment() as environment:
            yield environment
            if environment.get("DOCKER_HOST") != os.environ.get("DOCKER_HOST"):
                # The tests' own daemon: what older versions left, when it has become too much.
                for words in ("image prune --force", "builder prune --force --keep-storage 25GB"):
                    subprocess.run(["docker", *words.split()], env=environment, check=True, capture_output=True)
    except NoDaemon as error:
        pytest.skip(f"Nothing in containers is tested here: {error}.")
