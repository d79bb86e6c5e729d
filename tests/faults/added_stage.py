"""Runs a job in the copy of the farm that it lies in: every stage is a stub but one, whose name is the argument.

Prints the stage's state, the metrics and the content of what it made as JSON, and whether its module decides its key.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def run_stage(stage: str, arguments: list[str]) -> None:
    """As the worker starts a stage: the real program for the named one, the stub for all others."""
    request = json.loads((Path(arguments[0]) / "request.json").read_text())
    real = request["stage"] == stage
    program = ["-P", "-m", "pipeline.stages"] if real else ["-I", "-S", str(HERE / "stub_stage.py")]
    os.execv(sys.executable, [sys.executable, *program, arguments[0]])  # noqa: S606  our own


def run_job(stage: str, home: Path) -> None:
    sys.path.insert(0, str(ROOT))
    from farm.artifacts import PUBLISHED
    from farm.stages import BY_NAME, StageName
    from pipeline.provenance.closure import Repository
    from pipeline.provenance.stage_code import stage_closure
    from tests.faults.yard import Yard
    from worker.sandbox import Unconfined
    from worker.stage_process import ProcessRunner

    os.environ["PYTHONPATH"] = str(ROOT)
    row = BY_NAME[StageName(stage)]
    yard = Yard(home)
    job_id = yard.submit()
    command = (sys.executable, str(HERE / "added_stage.py"), stage, "--stage")
    yard.serve(runner=ProcessRunner(Unconfined("a test"), 2.0, command))
    job = yard.farm.job(job_id)
    made = {}
    for name in (each for each in row.outputs if each in PUBLISHED):
        yard.farm.download(job_id, name, home / name)
        made[name] = (home / name).read_text()
    found = {
        "job": job.state,
        "error": job.error and job.error.sentence,
        "stage": next(each.state for each in job.stages if each.name == stage),
        "metrics": {each.name: each.value for each in job.metrics if each.stage == stage},
        "made": made,
        "logs": list(yard.farm.logs(job_id)),
        "sources": sorted(stage_closure(Repository.of_farm(), row).sources),
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    name, *rest = sys.argv[1:]
    if rest[0] == "--stage":
        run_stage(name, rest[1:])
    run_job(name, Path(rest[0]))
