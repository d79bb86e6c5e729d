"""A processor of one's own while something is timed, on a machine that does other things as well.

Needs root. It imports nothing of the farm, since llama.cpp's own environment loads it too.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone(wanted: bool) -> Iterator[None]:
    """Let this process's threads run before all others for as long as the context lasts, where that is wanted."""
    tasks = [int(task.name) for task in Path("/proc/self/task").iterdir()] if wanted else []
    for task in tasks:
        os.sched_setscheduler(task, os.SCHED_FIFO, os.sched_param(1))
    try:
        yield
    finally:
        for task in tasks:
            os.sched_setscheduler(task, os.SCHED_OTHER, os.sched_param(0))
