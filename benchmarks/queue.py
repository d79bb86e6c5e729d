"""The farm beyond one machine in figures: prints docs/benchmarks-queue.md.

    python -m benchmarks.queue [--jobs 1000] [--rows 100000] [--megabytes 500] [--only queue,tables,upload] [--write]

No-op jobs through Celery, Redis and PostgreSQL; claims, heartbeats and listings in a table of many jobs, on SQLite and
on PostgreSQL, with the plans of their statements; a large upload against a plain copy. Starts its own servers, with
everything on the disk and synced. Takes some five minutes. `--write` writes the page.
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import sqlalchemy as sa
from fastapi.testclient import TestClient

from benchmarks.rows import Row, table
from client.http import HttpFarm
from client.remote import RemoteFarm
from db import claims, tokens
from db.models import Job, JobOwner, JobStage
from db.session import Database, now, open_database
from farm.access import Quotas, Scope
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.settings import Settings
from farm.stages import STAGES
from farm.states import JobState, StageState
from server.app import make_app
from server.settings import ServerSettings
from tests.faults.fleet import Fleet, stop
from tests.faults.in_process import InProcess
from tests.faults.soundness import count
from tests.servers import PostgresServer, RedisServer, Server, free_port

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "benchmarks-queue.md"
WORKERS = 2
IDLE_JOBS = 50
REPEATS = 100
PAGE_SIZE = 50
PARTS = ("queue", "tables", "upload")
S = TypeVar("S", bound=Server)


@dataclass(frozen=True)
class Plan:
    """How a database runs a statement."""

    what: str
    lines: tuple[str, ...]

    @property
    def scans(self) -> bool:
        """Whether it reads a whole table of jobs or of what belongs to them."""
        return any(re.search(r"Seq Scan on job|\bSCAN job\w*\b(?!.*INDEX)", line) for line in self.lines)


def main() -> None:
    """Run what was chosen and print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    rows: list[Row] = []
    plans: list[Plan] = []
    with (
        tempfile.TemporaryDirectory(prefix="farm-queue-") as temporary,
        running(PostgresServer(durable=True)) as database,
    ):
        folder = Path(temporary)
        if "queue" in arguments.only:
            with running(RedisServer()) as broker:
                rows += through_the_queue(folder / "queue", database, broker, arguments.jobs)
        if "tables" in arguments.only:
            sqlite = f"sqlite:///{folder / 'tables' / 'farm.db'}"
            for name, url in (("SQLite", sqlite), ("PostgreSQL", database.new_database())):
                say(f"{arguments.rows} jobs in {name}")
                found, explained = in_a_large_table(folder / f"tables-{name}", name, url, arguments.rows)
                rows += found
                plans += explained
        if "upload" in arguments.only:
            say("an upload")
            rows += upload(folder / "upload", arguments.megabytes)
    page = render(rows, plans)
    print(page)
    if arguments.write:
        PAGE.write_text(page)


@contextmanager
def running(one: S) -> Iterator[S]:
    """Start a server; stop it at the end."""
    one.start()
    yield one
    one.close()


def through_the_queue(home: Path, database: PostgresServer, broker: RedisServer, number: int) -> list[Row]:
    """No-op jobs of all stages, from submit to their end, with the farm's own settings."""
    defaults = Settings.model_fields
    unchanged = ("lease_seconds", "heartbeat_seconds", "forgotten_seconds", "broker_visibility_seconds")
    fleet = Fleet(home, database, broker, **{name: defaults[name].default for name in unchanged})
    say("jobs for an idle worker")
    workers = [fleet.start_worker(runner=InProcess()) for _ in range(WORKERS)]
    for each in range(IDLE_JOBS):
        fleet.wait(fleet.submit({"seed": 1}, label=f"Idle {each}"))
        time.sleep(0.1)
    waits = started_after(fleet)[1:]  # the first waits for the workers to start
    say(f"{number} jobs")
    began = time.monotonic()
    for each in range(number):
        fleet.submit({"seed": 1}, label=f"App {each}")
    submitting = time.monotonic() - began
    fleet.until(lambda: count(fleet, JobState.SUCCEEDED) == IDLE_JOBS + number, 1800)
    seconds = time.monotonic() - began
    for worker in workers:
        stop(worker)
    fleet.close()
    return [
        Row(
            f"{number} no-op jobs of {len(STAGES)} stages through Celery, Redis and PostgreSQL, {WORKERS} workers",
            None, number / seconds, "jobs/s", f"submitted at {number / submitting:.0f} jobs/s beside it",
        ),
        Row(
            "from submit to start with an idle worker, the median", 100, 1000 * statistics.median(waits), "ms",
            f"95 of 100 within {1000 * statistics.quantiles(waits, n=20)[-1]:.0f} ms",
        ),
    ]  # fmt: skip


def started_after(fleet: Fleet) -> list[float]:
    """Seconds from each job's making to its first claim, in their order."""
    with fleet.database().read() as connection:
        rows = connection.execute(sa.select(Job.created_at, Job.started_at).order_by(Job.created_at))
        return [(row.started_at - row.created_at).total_seconds() for row in rows]


def in_a_large_table(home: Path, name: str, url: str, number: int) -> tuple[list[Row], list[Plan]]:
    """Claims, heartbeats and listings beside so many jobs, half of them queued; and the plans of their statements."""
    database = open_database(url)
    fill(database, number)
    statements = Statements(database)
    held = []

    def claim() -> None:
        found = claims.claim(database, "worker", 60)
        assert found is not None
        held.append(found)

    claim_seconds = median_seconds(claim)
    claim_plans = statements.plans(f"{name}, claim")
    beat_seconds = median_seconds(lambda: claims.heartbeat(database, held[-1]))
    beat_plans = statements.plans(f"{name}, heartbeat")
    database.close()
    settings = Settings(home=home, database_url=url)
    with TestClient(make_app(settings, ServerSettings(embedded_worker=False))) as client:
        secret = tokens.create(client.app.state.farm.database, "x", [Scope.READ], Quotas()).secret  # type: ignore[attr-defined]
        headers = {"Authorization": f"Bearer {secret}"}
        statements = Statements(client.app.state.farm.database)  # type: ignore[attr-defined]
        page: dict[str, Any] = {}

        def ask(path: str) -> None:
            answer = client.get(path, headers=headers)
            assert answer.status_code == 200, answer.text
            page.update(answer.json())

        seconds = {}
        for what, path in (
            ("the newest jobs, all queued", f"/v1/jobs?limit={PAGE_SIZE}"),
            ("a page from the middle", f"/v1/jobs?limit={PAGE_SIZE}&before={id_of(number // 2)}"),
            ("failed jobs", f"/v1/jobs?limit={PAGE_SIZE}&state=failed"),
        ):
            statements.forget()
            seconds[what] = median_seconds(functools.partial(ask, path))
            assert len(page["jobs"]) == PAGE_SIZE
        one_seconds = median_seconds(lambda: ask(f"/v1/jobs/{id_of(number // 2)}"))
    rows = [
        Row(f"claim with {number} jobs, {name}", 5, 1000 * claim_seconds, "ms"),
        Row(f"heartbeat, {name}", None, 1000 * beat_seconds, "ms"),
        *(Row(f"a page of {PAGE_SIZE} over HTTP: {what}, {name}", 50, 1000 * each, "ms")
          for what, each in seconds.items()),
        Row(f"one job over HTTP, {name}", None, 1000 * one_seconds, "ms"),
    ]  # fmt: skip
    return rows, [*claim_plans, *beat_plans]


def id_of(number: int) -> str:
    """A job's id, in their order."""
    return f"a{number:09d}"


def fill(database: Database, number: int) -> None:
    """Half of the jobs queued, a hundred running, a hundred failed, the others succeeded; with their stages."""
    spec = JobSpec(model_kind=ModelKind.PRESET, model="gpt2_base_en")
    began = now() - timedelta(seconds=number)
    with database.write() as connection:
        for first in range(0, number, 10_000):
            connection.execute(
                sa.insert(Job), [row(spec, each, number, began) for each in range(first, min(first + 10_000, number))]
            )
        for position, stage in enumerate(STAGES):
            values = (stage.name.value, position, StageState.PENDING.value, 0.0, "")
            connection.execute(
                sa.insert(JobStage).from_select(
                    ["job_id", "name", "position", "state", "progress", "activity"],
                    sa.select(Job.id, *(sa.literal(value) for value in values)),
                )
            )
    # As when all came over HTTP, with a token that may have so many running.
    owner = tokens.create(database, "owner", [Scope.SUBMIT], Quotas(max_running=1_000_000)).token
    with database.write() as connection:
        owned = sa.select(Job.id, sa.literal(owner.id))
        connection.execute(sa.insert(JobOwner).from_select(["job_id", "token_id"], owned))
    with database.engine.connect() as connection:
        options = {"isolation_level": "AUTOCOMMIT", "farm_begin": "BEGIN"}
        # As the database keeps its tables by itself: PostgreSQL's autovacuum does both.
        analyze = "VACUUM ANALYZE" if database.engine.dialect.name == "postgresql" else "ANALYZE"
        connection.execution_options(**options).execute(sa.text(analyze))
        connection.commit()


def row(spec: JobSpec, each: int, number: int, began: Any) -> dict[str, Any]:
    """One job's row."""
    place = number // 2 - each
    state = (
        JobState.QUEUED if place <= 0 else JobState.RUNNING if place <= 100 else JobState.FAILED if place <= 200
        else JobState.SUCCEEDED
    )  # fmt: skip
    moment = began + timedelta(seconds=each)
    return {
        "id": id_of(each), "key": f"{each:064d}", "state": state.value, "shareable": True,
        "spec": spec.model_dump(mode="json"), "model": spec.model, "recipe": spec.recipe, "created_at": moment,
        "queued_at": moment, "attempt": 0, "counted_attempts": 0, "cancel_requested": False, "notes": [],
        "lease_until": now() + timedelta(days=1) if state is JobState.RUNNING else None,
    }  # fmt: skip


class Statements:
    """The statements that a database was asked, and how it runs them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: dict[str, Any] = {}
        sa.event.listen(database.engine, "before_cursor_execute", self._note)

    def _note(self, _connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if re.match(r"SELECT|UPDATE", statement) and re.search(r"\bjobs\b", statement):
            self._seen.setdefault(statement, parameters)

    def forget(self) -> None:
        """What was seen."""
        self._seen.clear()

    def plans(self, what: str) -> list[Plan]:
        """Of every statement on jobs that was seen since the last time."""
        seen = list(self._seen.items())
        sqlite = self._database.engine.dialect.name == "sqlite"
        found = []
        with self._database.engine.connect() as connection:
            for statement, parameters in seen:
                explain = "EXPLAIN QUERY PLAN " if sqlite else "EXPLAIN (COSTS OFF) "
                rows = connection.exec_driver_sql(explain + statement, parameters).all()
                found.append(Plan(f"{what}: {summary(statement)}", tuple(str(each[-1]) for each in rows)))
            connection.rollback()
        self.forget()
        return found


def summary(statement: str) -> str:
    """A statement in short."""
    words = " ".join(statement.split())
    return words if len(words) < 110 else f"{words[:50]} ... {words[-50:]}"


def median_seconds(call: Callable[[], object]) -> float:
    """Of some calls, after a first that is not counted."""
    call()
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def upload(folder: Path, megabytes: int) -> list[Row]:
    """A model through the real `farm serve`, against a plain copy of the same file that is synced, and its hash."""
    folder.mkdir(parents=True)
    path = folder / "model.keras"
    with path.open("wb") as stream:
        for _ in range(megabytes):
            stream.write(os.urandom(1_000_000))
        os.fsync(stream.fileno())
    began = time.perf_counter()
    with path.open("rb") as source, (folder / "copy").open("wb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)
        copy.flush()
        os.fsync(copy.fileno())
    copying = time.perf_counter() - began
    (folder / "copy").unlink()
    with serving(folder) as (url, secret, process):
        before = process.memory_info().rss
        peak = [before]
        ended = threading.Event()
        watcher = threading.Thread(target=watch, args=(process, peak, ended))
        watcher.start()
        http = HttpFarm(url, secret)
        began = time.perf_counter()
        RemoteFarm(http).submit(JobSpec(model_kind=ModelKind.KERAS_FILE, model=str(path)))
        seconds = time.perf_counter() - began
        ended.set()
        watcher.join()
        http.close()
    return [
        Row(
            f"submitting a model of {megabytes} MB over HTTP", None, seconds / copying, "of a plain copy's time",
            f"{megabytes / seconds:.0f} MB/s against {megabytes / copying:.0f} MB/s",
        ),
        Row("the server's memory meanwhile", 100, (peak[0] - before) / 1e6, "MB more"),
    ]  # fmt: skip


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, str, psutil.Process]]:
    """A server in a process of its own: its address, a token, the process."""
    environment = os.environ | {"FARM_HOME": str(folder / "home"), "FARM_CONFIG_HOME": str(folder),
                                "FARM_SERVER_EMBEDDED_WORKER": "false"}  # fmt: skip
    farm = str(Path(sys.executable).with_name("farm"))
    made = subprocess.run([farm, "token", "create", "x"], env=environment, capture_output=True, text=True, check=True)
    port = free_port()
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen([farm, "serve", "--port", str(port)], env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        while not answers(url):
            time.sleep(0.1)
        yield url, made.stdout.strip(), psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def answers(url: str) -> bool:
    """Whether the server is ready."""
    try:
        return httpx.get(f"{url}/health/ready").is_success
    except httpx.TransportError:
        return False


def watch(process: psutil.Process, peak: list[int], ended: threading.Event) -> None:
    """Keep the largest size of the process."""
    while not ended.wait(0.02):
        peak[0] = max(peak[0], process.memory_info().rss)


def render(rows: Sequence[Row], plans: Sequence[Plan]) -> str:
    """The page."""
    lines = [
        "# Benchmarks of the queue",
        "",
        "Printed by `python -m benchmarks.queue --write`; not written by hand.",
        "",
        f"All in one run on {os.cpu_count()} cores ({platform.machine()}), servers, workers and clients together, with"
        " everything on one disk and synced. The stages of the no-op jobs are done in the worker's own process, so that"
        " the rest is the farm's.",
        "",
        *table(rows),
        "",
        "## How the databases run it",
        "",
        f"Whole tables of jobs are read in {sum(plan.scans for plan in plans)} of {len(plans)} statements.",
    ]
    for plan in plans:
        lines += ["", f"{plan.what}", "", "```", *plan.lines, "```"]
    return "\n".join([*lines, ""])


def say(text: str) -> None:
    """Progress."""
    print(f"==> {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
