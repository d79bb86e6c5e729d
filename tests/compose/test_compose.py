"""The whole farm in containers, from nothing: brought up, used from outside, hurt, backed up, taken down."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from farm import locations
from farm.digests import of_file
from tests.servers import free_port
from worker import sandbox

PROJECT = "farm-test"
SERVICES = ("postgres", "redis", "api", "relay", "convert-worker", "android-worker")


class Composed:
    """One farm of docker-compose.yml, and the `farm` command of somebody who uses it from outside."""

    def __init__(self, folder: Path, docker: dict[str, str]) -> None:
        self.port = free_port()
        self.secrets = folder / "secrets"
        self.environment = {
            **docker, "COMPOSE_PROJECT_NAME": PROJECT,
            "FARM_DOCKER_SECRETS": str(self.secrets), "FARM_PORT": str(self.port),
            "FARM_LEASE_SECONDS": "9", "FARM_HEARTBEAT_SECONDS": "3", "FARM_ARM_SECONDS": "0.1",
            "FARM_CONFIG_HOME": str(folder / "config"), "FARM_HOME": str(folder / "nothing-here"),
        }  # fmt: skip
        # The default where the machine allows a sandbox.
        self.confined = not isinstance(sandbox.find(), str)
        self.environment |= {} if self.confined else {"FARM_SANDBOX": "auto"}

    def run(self, *argv: str, stdin: str | None = None) -> str:
        ended = subprocess.run(
            argv, cwd=locations.ROOT, env=self.environment, input=stdin, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, f"{argv}: {ended.stdout[-1000:]}{ended.stderr[-4000:]}"
        return ended.stdout

    def farm(self, *words: str, stdin: str | None = None) -> Any:
        return json.loads(self.run(sys.executable, "-m", "cli.main", *words, "--json", stdin=stdin))

    def inspect(self, service: str) -> Any:
        container = self.run("scripts/compose", "ps", "-q", service).split()[0]
        return json.loads(self.run("docker", "inspect", container))[0]

    def kill(self, service: str) -> None:
        """As a crash does: everything in the container dies, and it is the daemon's business to start it again."""
        found = self.inspect(service)
        try:
            os.kill(found["State"]["Pid"], signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            # The daemon is not on this machine, or not ours.
            self.run("docker", "kill", found["Id"])
            self.run("docker", "start", found["Id"])

    def until_it_answers(self, seconds: float = 120.0) -> None:
        deadline = time.monotonic() + seconds
        while self.inspect("api")["State"]["Health"]["Status"] != "healthy":
            assert time.monotonic() < deadline, self.run("scripts/compose", "logs", "--tail", "20", "api")
            time.sleep(0.5)

    def until(self, job_id: str, condition: Callable[[Any], bool], seconds: float = 300.0) -> Any:
        deadline = time.monotonic() + seconds
        while not condition(job := self.farm("status", job_id)):
            assert time.monotonic() < deadline, json.dumps(job)[:3000]
            assert job["state"] != "failed", job["error"]
            time.sleep(0.5)
        return job


@pytest.fixture
def composed(tmp_path: Path, docker: dict[str, str]) -> Iterator[Composed]:
    farm = Composed(tmp_path, docker)
    # What a run that was killed has left has other passwords.
    farm.run("scripts/down", "--volumes", "--timeout", "1")
    try:
        farm.run("scripts/up")
        yield farm
    finally:
        farm.run("scripts/down", "--volumes", "--timeout", "1")
        containers = farm.run("docker", "ps", "--all", "--quiet", "--filter", f"name={PROJECT}")
        volumes = farm.run("docker", "volume", "ls", "--quiet", "--filter", f"name={PROJECT}")
        assert (containers, volumes) == ("", "")


def running(job: Any, stage: str) -> bool:
    return any(each["name"] == stage and each["state"] == "running" for each in job["stages"])


def test_the_farm_in_containers(composed: Composed, tmp_path: Path) -> None:
    for service in SERVICES:
        found = composed.inspect(service)
        host = found["HostConfig"]
        assert found["Config"]["User"] not in ("", "root", "0"), service
        assert (host["ReadonlyRootfs"], host["Privileged"], host["CapDrop"]) == (True, False, ["ALL"]), service
        assert host["Memory"] > 0, service
        assert host["PidsLimit"] > 0, service
        assert not any("docker.sock" in mount["Source"] for mount in found["Mounts"]), service
        secrets = [path.read_text().strip() for path in composed.secrets.iterdir() if "conf" not in path.name]
        assert not any(secret in json.dumps(found["Config"]) for secret in secrets), service
    assert composed.secrets.stat().st_mode & 0o077 == 0

    if composed.confined:
        # What a stage can read of the other processes in its container.
        words = ["bwrap", "--unshare-all", "--cap-drop", "ALL", "--ro-bind", "/", "/", *sandbox.GIVEN_PROC]
        words += ["--dev", "/dev", "--", "sh", "-c", "cat /proc/1/cmdline && ! cat /proc/1/environ"]
        composed.run("scripts/compose", "exec", "-T", "convert-worker", *words)

    token = (composed.secrets / "first_token").read_text()
    composed.farm("login", f"http://127.0.0.1:{composed.port}", "--name", "here", "--token-stdin", stdin=token)
    job_id = composed.farm("submit", "examples/tiny_gpt2", "--quant", "int8")["id"]
    composed.until(job_id, lambda job: running(job, "convert"))
    composed.kill("convert-worker")
    composed.until(job_id, lambda job: job["attempt"] == 2)
    composed.kill("redis")
    job = composed.until(job_id, lambda job: job["state"] == "succeeded")
    assert job["attempt"] == 2

    first = tmp_path / "first"
    composed.farm("download", job_id, "--output", str(first))
    report = json.loads((first / "report.json").read_text())
    if composed.confined:
        assert job["sandbox"] == "required"
        assert report["sandbox"].startswith("bubblewrap")
    composed.farm("check", str(first / "app.apk"), "--job", job_id)

    composed.run("scripts/backup", str(tmp_path / "backup"))
    composed.run("scripts/compose", "exec", "-T", "postgres", "dropdb", "--force", "--username", "farm", "farm")
    composed.run("scripts/compose", "exec", "-T", "android-worker", "rm", "-rf", "/var/lib/farm/store/blobs")
    composed.run("scripts/restore", str(tmp_path / "backup"))
    second = tmp_path / "second"
    composed.until_it_answers()
    composed.farm("download", job_id, "--output", str(second), "--only", "app.apk")
    assert of_file(second / "app.apk") == of_file(first / "app.apk")
