"""What a stage's process can reach from inside the sandbox: nothing but its work."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from farm.artifacts import ArtifactName
from farm.states import JobState
from tests.security.hostile_farm import HostileFarm

SECRET = "planted-secret-5f0c"  # noqa: S105 # not a real one
IN_A_CONTAINER = ("others' command lines", "more processes than its own")
USERS = pytest.mark.parametrize("ordinary", [False, True], ids=["root", "ordinary user"])


@pytest.mark.goal(id="A1")
@pytest.mark.goal(id="S2")
@USERS
def test_a_hostile_stage_reaches_nothing(
    hostile: HostileFarm, trial, ordinary: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0 and not ordinary:
        pytest.skip("only root can run the farm as root; the ordinary user's case runs")
    monkeypatch.setenv("FARM_SECRET_OF_A_TEST", SECRET)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    abstract = f"farm-hostile-{os.getpid()}"
    shared = Path("/dev/shm") / abstract  # noqa: S108 # planted for the stage
    shared.write_text(SECRET)
    there_before = set(Path("/tmp").glob("hostile"))  # noqa: S108 # the stage's try
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket(socket.AF_UNIX) as named:
            named.bind("\0" + abstract)
            named.listen()
            home = hostile.settings.home
            hidden = [home / "farm.db", home / "keys", home / "store", home / "logs", home / "work", tmp_path, shared]
            given = {
                "port": listener.getsockname()[1], "abstract": abstract, "supervisor": os.getpid(), "secret": SECRET,
                "shared": shared.name, "hidden": [str(path) for path in hidden if path.name != "work"],
            }  # fmt: skip
            job_id = hostile.attack("probe", given)
            worker = hostile.work(ordinary=ordinary)
            assert worker.wait(300) == 0, (home / "workers.log").read_text()[-3000:]
    finally:
        shared.unlink()
    job = hostile.farm.job(job_id)
    assert job.state is JobState.SUCCEEDED, "\n".join(hostile.farm.logs(job_id))[-3000:]
    hostile.farm.download(job_id, ArtifactName.REPORT, tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    said = report["attributes"]["check"]
    user = "an ordinary user" if ordinary else "root"
    # The kernel lets nobody mount another /proc in a container; docs/containers.md says what can be seen in its own.
    known = IN_A_CONTAINER if "container's /proc" in report["sandbox"] else ()
    got = [name for name in said["got"] if name not in known]
    seen = f" beside what the container's /proc shows ({', '.join(known)})" if known else ""
    trial.measured(f"{len(said['tried'])} probes as {user}, {len(got)} succeeded{seen}")
    if trial.goal == "S2":
        trial.measured("one by one: " + ", ".join(said["tried"]))
    assert len(set(said["tried"])) >= 120
    assert got == []
    assert set(Path("/tmp").glob("hostile")) == there_before  # noqa: S108
    assert not any(home.rglob("hostile"))
