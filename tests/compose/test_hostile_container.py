"""A worker's container as an adversary finds it: one process of it, and a stage in its sandbox (S10, A1)."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from farm import locations

# As docker-compose.yml starts a worker.
AS_COMPOSED = (
    "--security-opt", "no-new-privileges:true", "--security-opt", "seccomp=containers/seccomp.json",
    "--cap-drop", "ALL", "--read-only", "--init", "--pids-limit", "1024", "--memory", "4g", "--tmpfs", "/tmp",  # noqa: S108 # its own
    "--tmpfs", "/var/lib/farm:uid=10001,gid=10001,mode=0700,exec", "--network", "none",
)  # fmt: skip


@pytest.fixture(scope="module")
def found(docker: dict[str, str]) -> dict[str, Any]:
    run(docker, "scripts/images", "worker")
    mounted = f"{locations.ROOT / 'tests'}:/opt/probes/tests:ro"
    said = run(
        docker, "docker", "run", "--rm", *AS_COMPOSED, "--volume", mounted, "--env",
        "PYTHONPATH=/opt/probes", "farm-worker:test", "python", "-m", "tests.security.container_probe",
    )  # fmt: skip
    answer: dict[str, Any] = json.loads(said.splitlines()[-1])
    return answer


def run(environment: dict[str, str], *argv: str) -> str:
    ended = subprocess.run(argv, cwd=locations.ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{argv}: {ended.stdout[-1000:]}{ended.stderr[-4000:]}"
    return ended.stdout


@pytest.mark.goal(id="S10")
def test_a_process_of_the_container_reaches_nothing(found: dict[str, Any], trial) -> None:
    tried, got = found["container"]["tried"], found["container"]["got"]
    trial.measured(f"{len(tried)} probes from the container, {len(got)} succeeded; one by one: {', '.join(tried)}")
    assert len(tried) >= 20
    assert got == []


@pytest.mark.goal(id="A1")
def test_a_stage_in_the_container_reaches_nothing(found: dict[str, Any], trial) -> None:
    tried, got = found["stage"]["tried"], found["stage"]["got"]
    sandbox = found["stage"]["sandbox"][0]
    # The kernel lets nobody mount another /proc there; docs/containers.md says what can be seen in the container's.
    known = ["more processes than its own"] if "container's /proc" in sandbox else []
    got = [name for name in got if name not in known]
    trial.measured(f"{len(tried)} probes in the worker's container ({sandbox}), {len(got)} succeeded beside {known}")
    assert len(tried) >= 120
    assert got == []
