"""Workers that die at random while many jobs run."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from farm.states import JobState
from tests.faults.soundness import count
from tests.faults.yard import ForkedWorker, Yard

ENDED = [state for state in JobState if state.terminal]


@dataclass
class Killing:
    """Kills spread over the jobs' way: one whenever so many more have ended. start: starts a worker.

    between: further faults, by how many kills come before each; each is done once.
    """

    yard: Yard
    chance: random.Random
    start: Callable[[], ForkedWorker]
    jobs: int
    kills: int
    faults: Sequence[tuple[int, Callable[[], None]]] = ()
    patience: float = 120.0
    done: int = 0

    def run(self, workers: int = 2) -> None:
        """Until all jobs have ended; fails when none does for the time of `patience`."""
        running = [self.start() for _ in range(workers)]
        faults = list(self.faults)
        ended, moved = 0, time.monotonic()
        while ended < self.jobs:
            found = count(self.yard, *ENDED)
            if found > ended:
                ended, moved = found, time.monotonic()
            # Whatever starts workers starts one again that gave up, as when the database was away at its start.
            running = [self.start() if worker.poll() is not None else worker for worker in running]
            assert time.monotonic() - moved < self.patience, f"nothing ends any more: {ended} of {self.jobs}"
            if self.done < self.kills and ended >= self.jobs * self.done // (self.kills + 1):
                time.sleep(self.chance.uniform(0.0, 0.4))
                place = self.chance.randrange(workers)
                if running[place].poll() is None:
                    running[place].kill()
                    running[place].wait()
                    self.done += 1
                while faults and faults[0][0] <= self.done:
                    faults.pop(0)[1]()
                moved = time.monotonic()
            else:
                time.sleep(0.02)
        for worker in running:
            worker.kill()
            worker.wait()
