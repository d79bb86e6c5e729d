"""A long time of work with a fault every few seconds: every job ends, nothing is made twice, no worker grows."""

from __future__ import annotations

import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable

import psutil
import pytest

from farm.errors import JobNotFound, TransitionRefused
from farm.states import JobState
from tests.faults.soundness import count, examine
from tests.faults.yard import ForkedWorker, Yard

WAITING = 4
# Each stage of a job does these once; the others just work.
PLANS: tuple[dict[str, list[object]], ...] = (
    {},
    {"convert": ["sleep", 1]},
    {"verify": ["sleep", 3]},
    {"convert": ["exit", 3]},
)
MOST_GROWTH = 0.10


class Soak:
    """A worker that lives all the time, and one that does not."""

    def __init__(self, yard: Yard, chance: random.Random) -> None:
        self.yard, self.chance = yard, chance
        self.steady, self.other = yard.start_worker(), yard.start_worker()
        self.submitted = 0
        self.faults: Counter[str] = Counter()
        self._ways: dict[str, Callable[[], None]] = {
            "kill": self.kill, "SIGTERM": self.terminate, "stop beyond the lease": self.stop,
            "kill a stage": self.kill_a_stage, "cancel": self.cancel, "lock the database": self.lock,
        }  # fmt: skip

    def fill(self) -> None:
        """Some jobs wait, always."""
        while count(self.yard, JobState.QUEUED) < WAITING:
            plan = {**self.chance.choice(PLANS), "seed": self.submitted % 5}
            self.yard.submit(plan, label=f"App {self.submitted}")
            self.submitted += 1

    def fault(self) -> None:
        """One of them."""
        name = self.chance.choice(sorted(self._ways))
        self._ways[name]()
        self.faults[name] += 1

    def kill(self) -> None:
        self.other.kill()
        self._start_again()

    def terminate(self) -> None:
        self.other.send_signal(signal.SIGTERM)
        self._start_again()

    def stop(self) -> None:
        """Its lease runs out, and what it then says is refused."""
        self.other.send_signal(signal.SIGSTOP)
        time.sleep(self.yard.settings.lease_seconds + 0.5)
        self.other.send_signal(signal.SIGCONT)

    def kill_a_stage(self) -> None:
        for process in psutil.Process(self.steady.pid).children(recursive=True)[:1]:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue

    def cancel(self) -> None:
        try:
            self.yard.farm.cancel(self.yard.farm.latest().id)
        except (TransitionRefused, JobNotFound):
            self.faults["cancel that came too late"] += 1

    def lock(self) -> None:
        """As another program does that writes long."""
        connection = sqlite3.connect(self.yard.settings.home / "farm.db", timeout=30, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        time.sleep(1.0)
        connection.execute("ROLLBACK")
        connection.close()

    def _start_again(self) -> None:
        self.other.wait(30)
        self.other = self.yard.start_worker()

    def memory(self) -> int:
        """Bytes that the steady worker's own process holds."""
        return int(psutil.Process(self.steady.pid).memory_info().rss)

    @property
    def workers(self) -> tuple[ForkedWorker, ForkedWorker]:
        return self.steady, self.other


@pytest.mark.goal(id="R19")
def test_soak(make_yard, trial) -> None:
    seconds, pause = (1800.0 * trial.scale, 5.0) if trial.full else (4.0, 0.3)
    yard = make_yard(max_attempts=3, lease_seconds=3.0, heartbeat_seconds=0.5)
    soak, started = Soak(yard, trial.chance), time.monotonic()
    sizes: list[int] = []
    while time.monotonic() - started < seconds:
        soak.fill()
        time.sleep(pause * trial.chance.uniform(0.5, 1.5))
        soak.fault()
        assert soak.steady.poll() is None, (yard.settings.home / "workers.log").read_text()[-3000:]
        sizes.append(soak.memory())
    yard.until(lambda: count(yard, JobState.QUEUED, JobState.RUNNING) == 0, 300)
    sizes.append(soak.memory())
    # What is loaded once at the beginning is no growth.
    settled = max(sizes[: max(1, len(sizes) // 5)])
    growth = sizes[-1] / settled - 1
    for worker in soak.workers:
        worker.kill()
        worker.wait()
    yard.serve()
    found = examine(yard, soak.submitted, all_succeed=False)
    told = ", ".join(f"{number} times {name}" for name, number in sorted(soak.faults.items()))
    trial.measured(
        f"{seconds:.0f} s, {soak.faults.total()} faults ({told}): {found}; the worker that lived grew by {growth:.1%}"
    )
    assert found.sound
    assert growth < MOST_GROWTH or not trial.full
