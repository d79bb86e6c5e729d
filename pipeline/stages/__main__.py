"""The stage process: read the order, run the stage's module, write the result.

A process that is started ahead of its turn first imports the named stage's module, and reads the order once its
supervisor says so.

The only place that catches everything: whatever a stage raises becomes a failure with a sentence, and the traceback
goes to the stage's log.
"""

from __future__ import annotations

import errno
import gc
import importlib
import os
import resource
import shutil
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from farm import errors, progress
from farm.loading import gc_paused
from pipeline.request import Failure, Metric, StageRequest, StageResult

# The module of the stage that is run, which is what its key begins with.
DYNAMIC_IMPORTS: tuple[str, ...] = ()
# New objects between two looks for garbage: a model's layers and a traced graph are a million small ones that stay, and
# big arrays depend on few.
GARBAGE_THRESHOLD = 100_000
# A disk with so many bytes free is not what was full.
ROOM = 64 << 20


def main(workdir: Path) -> int:
    """Run one stage; the exit code is that of its error, or 0."""
    request = StageRequest.read(workdir)
    try:
        # Within, since a module that cannot be imported is a failure of the stage as any other.
        result: StageResult = import_stage(request.stage.value).run(request, progress.reporter_from_environment())
    except Exception as error:
        traceback.print_exc()
        known = translate(error, request)
        StageResult(failure=Failure.of(known)).write(workdir)
        return known.exit_code
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    peak_metric = Metric(name="process_peak_memory", value=peak, unit="bytes")
    result.model_copy(update={"metrics": (*result.metrics, peak_metric)}).write(workdir)
    return 0


def translate(error: Exception, request: StageRequest) -> errors.FarmError:
    """Foreign failures as the farm's own."""
    if isinstance(error, errors.FarmError):
        return error
    number = error.errno if isinstance(error, OSError) else None
    full = number in (errno.ENOSPC, errno.EDQUOT)
    # Folders in memory are small, and full long before the disk is.
    in_memory = full and shutil.disk_usage(request.workdir).free > ROOM
    if isinstance(error, MemoryError) or number == errno.ENOMEM or in_memory:
        return errors.OutOfMemory(
            f"The stage {request.stage} ran out of memory; raise FARM_MEMORY_LIMIT or free memory."
        )
    if full:
        return errors.DiskFull(f"The disk is full in the stage {request.stage}; free some room and run the job again.")
    if number == errno.EFBIG:
        return errors.DiskFull(f"The stage {request.stage} wrote a file that is larger than any model; see its log.")
    first_line = str(error).strip().splitlines()[0][:200] if str(error).strip() else "no message"
    return errors.StageCrashed(
        f"The stage {request.stage} failed with {type(error).__name__}: {first_line}; its log tells more."
    )


def import_stage(name: str) -> ModuleType:
    """The stage's module, with all that it needs; from then on garbage is looked for among what is made later."""
    with gc_paused():
        module = importlib.import_module(f"pipeline.stages.{name.replace('-', '_')}")
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
    return module


def wait_for_request(stage: str) -> bool:
    """Get ready for a stage; False when it is not to be run after all, or the supervisor is gone."""
    import_stage(stage)
    return bool(sys.stdin.buffer.read(1))


def end(code: int) -> NoReturn:
    """Leave at once: all is written, and TensorFlow alone would take a second to put its memory in order."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _, folder, *ahead = sys.argv
    end(main(Path(folder)) if not ahead or wait_for_request(ahead[1]) else 0)
