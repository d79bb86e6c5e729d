"""A Docker daemon for the tests: the one that runs here, or one of their own whose images stay for the next run."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Layers of several gigabytes, made again only when a Dockerfile or a lock changes.
KEPT = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "keras-android-farm" / "docker"
STARTED_WITHIN = 60.0


class NoDaemon(Exception):
    """There is none, and none can be started here; says why."""


@contextmanager
def daemon() -> Iterator[dict[str, str]]:
    """The variables by which Docker's programs find a daemon; NoDaemon."""
    if shutil.which("docker") is None or not (shutil.which("docker-compose") or _answers({}, "compose")):
        raise NoDaemon("docker and docker-compose are not installed; scripts/bootstrap tests does")
    if _answers({}):
        yield {}
        return
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        raise NoDaemon("no Docker daemon answers, and only root with dockerd installed can start one")
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT.parent / "docker.lock").open("w") as lock:
        # Checkouts that are tested at the same time use the daemon one after the other.
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield from _own()


@contextmanager
def docker_environment() -> Iterator[dict[str, str]]:
    """The environment of programs that find a daemon, the base of its images and the tests' tag; NoDaemon."""
    with daemon() as found:
        environment = {**os.environ, **found, "FARM_VERSION": "test"}
        base = base_image(environment)
        yield environment | ({"BASE": base} if base else {})


def _own() -> Iterator[dict[str, str]]:
    run = Path("/run/keras-android-farm-tests")
    run.mkdir(mode=0o700, exist_ok=True)
    found = {"DOCKER_HOST": f"unix://{run}/docker.sock"}
    log = run / "dockerd.log"
    argv = ["dockerd", "--data-root", str(KEPT), "--exec-root", str(run / "exec"), "--host", found["DOCKER_HOST"]]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*argv, "--pidfile", str(run / "pid")], stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        deadline = time.monotonic() + STARTED_WITHIN
        while not _answers(found):
            if process.poll() is not None or time.monotonic() > deadline:
                last = log.read_text().strip().splitlines()[-1:]
                raise NoDaemon(f"dockerd cannot run here: {' '.join(last)[-300:]}")
            time.sleep(0.1)
        yield found
    finally:
        process.terminate()
        process.wait(60)


def _answers(found: dict[str, str], *words: str) -> bool:
    argv = ["docker", *words, "version"]
    return subprocess.run(argv, env={**os.environ, **found}, capture_output=True, check=False).returncode == 0


def base_image(environment: dict[str, str]) -> str | None:
    """What the images start from: None for Docker's official Debian, else one made of Debian's packages."""

    def has(*words: str) -> bool:
        return subprocess.run(["docker", *words], env=environment, capture_output=True, check=False).returncode == 0

    if has("image", "inspect", "farm-base"):
        return "farm-base"
    pinned = re.search(r"^ARG BASE=(\S+)$", (ROOT / "server/Dockerfile").read_text(), re.MULTILINE)
    assert pinned is not None
    if has("image", "inspect", pinned[1]) or has("pull", pinned[1]):
        return None
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        raise NoDaemon("no image registry answers, and only root with debootstrap installed can make a base image")
    subprocess.run(["scripts/base-image", "farm-base"], env=environment, check=True, capture_output=True)
    return "farm-base"
