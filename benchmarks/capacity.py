"""What 10,000 and 1,000,000 jobs a day need: prints docs/capacity.md.

    python -m benchmarks.capacity [--report report.json] [--jobs 120] [--write]

Stage times and sizes are those of a job's report (default: what docs/benchmarks.md says of GPT-2 base size). How many
workers that takes says a simulation of the queues; the same simulation is first compared with a run of the real farm at
a small scale, with Celery, Redis, PostgreSQL and stages of known times. Takes some three minutes.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from benchmarks import queueing
from benchmarks.queue import running, say
from db.models import Job
from farm.settings import Settings
from farm.stages import BY_NAME, Queue, StageName
from farm.states import JobState
from tests.faults.fleet import Fleet, stop
from tests.faults.in_process import InProcess
from tests.faults.soundness import count
from tests.faults.yard import Yard
from tests.servers import PostgresServer, RedisServer

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "capacity.md"
BENCHMARKS = ROOT / "docs" / "benchmarks.md"
DAY = 86_400.0
A_DAY = (10_000, 1_000_000)
# Assumptions, named on the page.
PEAK = 2.0  # the busiest hour's rate by the day's mean
SPREAD = 0.3  # standard deviation of a stage's time by its mean
MOST_BUSY = 0.9  # of the workers' time in the busiest hour; the rest is for those that fail
PATIENCE = 60.0  # 95 of 100 jobs wait no longer for a worker, in seconds
DOWNLOADS = 3.0  # how often an APK is downloaded
KEPT_DAYS = 30.0
SIMULATED = 40_000
SMALL_WORKERS = 2
SMALL_SERVICE = 0.6  # seconds
SMALL_BUSY = 0.75
WARM_UP_JOBS = 12
GIB = 1 << 30


@dataclass(frozen=True)
class Measured:
    """A job. seconds by stage; bytes that it keeps in the store and of the APK that is downloaded; where from."""

    seconds: Mapping[StageName, float]
    stored: float
    apk: float
    source: str

    def of(self, queue: Queue) -> float:
        """Seconds at one kind of worker; a stage that all jobs share takes none."""
        return sum(value for name, value in self.seconds.items() if BY_NAME[name].queue is queue)


@dataclass(frozen=True)
class Check:
    """The simulation against the real farm: mean waits in seconds."""

    jobs: int
    busy: float
    predicted: float
    measured: float


@dataclass(frozen=True)
class Need:
    """Of one kind of worker: how many, how busy they are at the peak, and the wait of 95 of 100 jobs in seconds."""

    workers: int
    busy: float
    wait: float


def main() -> None:
    """Check the simulation, compute, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report", type=Path, help="report.json of a finished job")
    parser.add_argument("--jobs", type=int, default=120, help="of the run that checks the simulation")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    measured = from_report(arguments.report) if arguments.report else from_benchmarks()
    page = render(measured, check(arguments.jobs), cost_of_a_job())
    print(page)
    if arguments.write:
        PAGE.write_text(page)


def from_benchmarks() -> Measured:
    """The job of docs/benchmarks.md."""
    text = BENCHMARKS.read_text()
    named = {
        name.value: float(seconds) for name in StageName for seconds in re.findall(rf"\b{name} ([\d.]+)[,;]", text)
    }
    file_bytes = float(re.findall(r"\| int8 file .*?([\d.]+) MB;", text)[0]) * 1e6
    # The app around the model is some 25 MB in each of the two packages.
    package = file_bytes + 25e6
    seconds = {StageName(name): value for name, value in named.items()}
    return Measured(seconds, 2 * package + file_bytes, package, "docs/benchmarks.md: GPT-2 base size, int8")


def from_report(path: Path) -> Measured:
    """The job of a report."""
    report: dict[str, Any] = json.loads(path.read_text())
    seconds = {StageName(each["name"]): each["seconds"] for each in report["stages"] if each["seconds"]}
    # The app's own build is shared by all jobs of a version.
    seconds.pop(StageName.APP, None)
    sizes = {each["name"]: each["size"] for each in report["artifacts"]}
    return Measured(seconds, sum(sizes.values()), sizes["app.apk"], f"the job {report['job']}")


def check(number: int) -> Check:
    """Jobs at random moments for workers that take random known times: the real waits and the predicted ones."""
    say("the simulation against the real farm")
    chance = random.Random(5)  # noqa: S311 # reproducible
    arrivals = queueing.poisson(SMALL_BUSY * SMALL_WORKERS / SMALL_SERVICE, number, chance)
    services = [chance.expovariate(1 / SMALL_SERVICE) for _ in arrivals]
    with (
        tempfile.TemporaryDirectory(prefix="farm-capacity-") as folder,
        running(PostgresServer(durable=True)) as database,
        running(RedisServer()) as broker,
    ):
        fleet = Fleet(Path(folder) / "home", database, broker)
        workers = [fleet.start_worker(runner=InProcess()) for _ in range(SMALL_WORKERS)]
        overhead = warm_up(fleet)
        submitted = submit_at(fleet, arrivals, services)
        fleet.until(lambda: count(fleet, JobState.SUCCEEDED) == number + WARM_UP_JOBS, 600)
        with fleet.database().read() as connection:
            rows = connection.execute(sa.select(Job.id, Job.created_at, Job.started_at))
            waits = {row.id: (row.started_at - row.created_at).total_seconds() for row in rows}
        for worker in workers:
            stop(worker)
        fleet.close()
    real = queueing.Passage([waits[job_id] for job_id in submitted], [])
    # What the farm itself takes is part of a job's time; it was measured with idle workers.
    predicted = queueing.serve(arrivals, [each + overhead for each in services], SMALL_WORKERS)
    return Check(number, SMALL_BUSY, predicted.mean_wait, real.mean_wait)


def warm_up(fleet: Fleet) -> float:
    """Seconds that a job of no stage time takes a worker, the median; the first ones are not counted."""
    for number in range(WARM_UP_JOBS):
        fleet.wait(fleet.submit({"seed": -1 - number}))
    with fleet.database().read() as connection:
        rows = connection.execute(sa.select(Job.started_at, Job.finished_at).order_by(Job.created_at))
        seconds = sorted([(row.finished_at - row.started_at).total_seconds() for row in rows][2:])
    return seconds[len(seconds) // 2]


def submit_at(fleet: Fleet, arrivals: Sequence[float], services: Sequence[float]) -> list[str]:
    """Submit each job at its moment; one of its stages sleeps. The ids in their order."""
    began = time.monotonic()
    ids = []
    for number, (moment, seconds) in enumerate(zip(arrivals, services, strict=True)):
        time.sleep(max(0.0, began + moment - time.monotonic()))
        ids.append(fleet.submit({"seed": number, "package": ["sleep", seconds]}))
    return ids


@dataclass(frozen=True)
class Cost:
    """What a job costs the database beside its time: transactions that write, and statements."""

    commits: float
    statements: float


def cost_of_a_job() -> Cost:
    """Counted over some jobs of all stages, submit and claim included."""
    say("what a job costs the database")
    seen = {"commit": 0, "statement": 0}

    def committed(_connection: Any) -> None:
        seen["commit"] += 1

    def executed(*_: Any) -> None:
        seen["statement"] += 1

    jobs = 10
    with tempfile.TemporaryDirectory(prefix="farm-cost-") as folder:
        yard = Yard(Path(folder) / "home")
        yard.submit({"seed": -1})
        yard.serve(runner=InProcess())
        sa.event.listen(Engine, "commit", committed)
        sa.event.listen(Engine, "before_cursor_execute", executed)
        for number in range(jobs):
            yard.submit({"seed": number})
        yard.serve(runner=InProcess())
        sa.event.remove(Engine, "commit", committed)
        sa.event.remove(Engine, "before_cursor_execute", executed)
        yard.close()
    return Cost(seen["commit"] / jobs, seen["statement"] / jobs)


def needed(rate: float, seconds: float, chance: random.Random) -> Need:
    """So many workers that the jobs' waits stay within the assumed patience, at this rate of jobs a second."""
    # The same jobs for every number of workers; gamma keeps times positive whatever the spread.
    shape = 1 / SPREAD**2
    arrivals = queueing.poisson(rate, SIMULATED, chance)
    services = [chance.gammavariate(shape, seconds / shape) for _ in arrivals]
    # A simulation of some minutes would forgive workers that are busy all the time, and they could never catch up.
    least = math.ceil(rate * seconds / MOST_BUSY)
    workers = queueing.smallest(
        lambda number: queueing.serve(arrivals, services, number).wait_of(0.95) <= PATIENCE, least
    )
    return Need(workers, rate * seconds / workers, queueing.serve(arrivals, services, workers).wait_of(0.95))


def render(measured: Measured, checked: Check, cost: Cost) -> str:
    """The page."""
    off = abs(checked.predicted - checked.measured) / checked.measured
    settings = Settings.model_fields
    beat = settings["heartbeat_seconds"].default
    lines = [
        "# Capacity",
        "",
        "Printed by `python -m benchmarks.capacity --write`; not written by hand.",
        "",
        f"What so many jobs a day need, from the stage times of {measured.source}:"
        f" {', '.join(f'{name} {value:.1f}' for name, value in measured.seconds.items())} s on two cores. With the"
        " times of your own jobs: `python -m benchmarks.capacity --report report.json`.",
        "",
        f"Assumed: every job converts a model of its own (an identical job, or another app of the same model, costs a"
        f" fraction); the busiest hour has {PEAK:g} times the mean rate; stages' times spread by {100 * SPREAD:.0f} %;"
        f" workers are busy for {100 * MOST_BUSY:.0f} % of it at most, and 95 of 100 jobs wait no longer than"
        f" {PATIENCE:g} s for one of either kind; an APK is downloaded"
        f" {DOWNLOADS:g} times; jobs are kept for {KEPT_DAYS:g} days (`farm gc`).",
        "",
        "| | " + " | ".join(f"{number:,} jobs a day" for number in A_DAY) + " |",
        "|---|" + "---|" * len(A_DAY),
    ]
    columns = [column(number, measured, cost, beat) for number in A_DAY]
    lines += [f"| {what} | " + " | ".join(each[what] for each in columns) + " |" for what in columns[0]]
    lines += [
        "",
        f"A worker here is one job at a time (`-c 1`) on two cores; see [reliability.md](reliability.md) for how they"
        " are started. A job costs the database"
        f" {cost.commits:.0f} transactions and {cost.statements:.0f} statements, counted; while it runs, a heartbeat"
        f" every {beat:g} s and a look for cancellation every second. How many of them a database can take is in"
        " [benchmarks-queue.md](benchmarks-queue.md).",
        "",
        "## Is the simulation right?",
        "",
        "It is compared with queueing theory by `tests/unit/benchmarks/test_queueing.py`, and here with the farm:"
        f" {checked.jobs} jobs at random moments for {SMALL_WORKERS} Celery workers on Redis and PostgreSQL, stages of"
        f" random known times, workers {100 * checked.busy:.0f} % busy.",
        "",
        "| mean wait | |",
        "|---|---|",
        f"| predicted | {checked.predicted:.2f} s |",
        f"| measured | {checked.measured:.2f} s |",
        f"| off by | {100 * off:.0f} % |",
        "",
    ]
    return "\n".join(lines)


def column(number: int, measured: Measured, cost: Cost, beat: float) -> dict[str, str]:
    """What so many jobs a day need."""
    chance = random.Random(number)  # noqa: S311 # reproducible
    mean = number / DAY
    peak = PEAK * mean
    convert, android = (needed(peak, measured.of(queue), chance) for queue in (Queue.CONVERT, Queue.ANDROID))
    running_jobs = peak * sum(measured.seconds.values())
    stored = number * measured.stored
    egress = mean * PEAK * DOWNLOADS * measured.apk
    return {
        "jobs a second, mean and busiest hour": f"{mean:.2f}, {peak:.2f}",
        "convert workers": describe(convert),
        "android workers": describe(android),
        "jobs that run at once": f"{running_jobs:.0f}",
        "database: write transactions a second": f"{peak * cost.commits + running_jobs / beat:.0f}",
        "database: statements a second": f"{peak * cost.statements + running_jobs * (1 + 2 / beat):.0f}",
        "store: new bytes a day": f"{stored / 1e12:.2f} TB",
        f"store: kept for {KEPT_DAYS:g} days": f"{KEPT_DAYS * stored / 1e12:.1f} TB",
        "egress in the busiest hour": f"{8 * egress / 1e9:.2f} Gbit/s",
    }


def describe(need: Need) -> str:
    """In words."""
    return f"{need.workers:,} ({100 * need.busy:.0f} % busy, 95 of 100 wait at most {need.wait:.0f} s)"


if __name__ == "__main__":
    main()
