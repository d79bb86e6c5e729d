from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable

from worker.tasks.pool import TaskPool


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_pool_of_threads_grows_and_shrinks() -> None:
    pool = TaskPool(0)
    assert pool.num_processes == 1
    working, release = [], threading.Semaphore(0)

    def work(number: int) -> None:
        working.append(number)
        release.acquire(timeout=10)
        working.remove(number)

    for number in range(5):
        pool.on_apply(work, (number,), {})
    until(lambda: len(working) == 1)
    pool.grow(2)
    until(lambda: len(working) == 3)
    # Nobody is thrown out, but only so many come after those who leave.
    pool.shrink(2)
    assert (pool.num_processes, len(working)) == (1, 3)
    release.release(3)
    until(lambda: len(working) == 1)
    pool.shrink(5)
    assert pool.num_processes == 1
    release.release(2)
    until(lambda: not working)
    pool.on_stop()


def test_the_end_of_a_task_wakes_the_loop() -> None:
    """Which takes no message while it is busy, and would sleep on."""
    readers: list[tuple[int, Callable[[int], int]]] = []

    class Hub:
        def add_reader(self, descriptor: int, callback: Callable[[int], int], _argument: int) -> None:
            readers.append((descriptor, callback))

    pool = TaskPool(1)
    pool.register_with_event_loop(Hub())
    [(descriptor, callback)] = readers
    assert select.select([descriptor], [], [], 0)[0] == []
    release = threading.Event()
    pool.on_apply(release.wait, (10,), {})
    assert select.select([descriptor], [], [], 0.05)[0] == []
    release.set()
    assert select.select([descriptor], [], [], 10)[0] == [descriptor]
    callback(descriptor)
    assert select.select([descriptor], [], [], 0)[0] == []
    pool.on_stop()
