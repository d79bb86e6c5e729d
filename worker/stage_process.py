"""Runs one stage as a fresh process, in the sandbox, under limits, until it ends or must stop.

A stage whose programs take long to start may be started ahead, while another one runs: it then waits for its request.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from farm.durable_writes import go_on
from farm.errors import FarmError, OutOfMemory, StageCrashed
from farm.progress import PROGRESS_FD_VARIABLE, Progress
from farm.stages import BY_NAME
from pipeline.request import StageRequest, StageResult
from worker import control_group, limits, process_tree, stage_user, workfolder
from worker.control_group import ControlGroup
from worker.limits import Limits, Meter
from worker.sandbox import Sandbox, View
from worker.stage_launch import environment, launched
from worker.stage_log import StageLog
from worker.stage_watch import Watch
from worker.termination import Reason, Terminated, Termination

STAGE_COMMAND = (sys.executable, "-P", "-m", "pipeline.stages")
# A worker that must end waits no longer than this for a stage that does not.
STOP_SECONDS = 3.0
FIRST_FREE = 10
LARGEST_PEAK = 1 << 50
# Follows the work folder, before the stage's name: get ready, and go on at the first byte of standard input.
AHEAD = "--ahead"


@dataclass(frozen=True)
class StageJob:
    """All that is needed to run a stage. mark: prefix of what marks its processes; log: where they print."""

    request: StageRequest
    view: View
    limits: Limits
    mark: str
    log: Path


@dataclass(frozen=True)
class StageOutcome:
    """What came of it: a result or an error. seconds of wall time; peak_bytes of all processes together. require_time:
    raises StageTimeout when what is still to be done with its outputs takes too long."""

    result: StageResult | None
    error: FarmError | None
    seconds: float
    peak_bytes: int
    require_time: Callable[[], None] = go_on


class StageRunner(Protocol):
    """Runs a stage's work somewhere."""

    sandbox: Sandbox

    def get_ready(self, job: StageJob) -> None:
        """Start ahead what `run` of this very job will need; its work folder is there, its inputs and order are not."""

    def dismiss(self, folder: Path) -> None:
        """Nothing that was got ready in work folders below this one is needed any more."""

    def run(
        self,
        job: StageJob,
        termination: Termination,
        on_progress: Callable[[Progress], None],
        meanwhile: Callable[[], None],
    ) -> StageOutcome:
        """Run it to its end; Terminated, with all its processes gone, when there is a reason to stop.

        meanwhile: called once, when the stage has begun; what it raises ends the stage.
        """


class ProcessRunner:
    """Runs stages as processes of this machine."""

    def __init__(self, sandbox: Sandbox, grace_seconds: float, command: tuple[str, ...] = STAGE_COMMAND) -> None:
        self.sandbox = sandbox
        self._grace = grace_seconds
        self._command = command
        # By work folder. Several threads may run jobs, each those of its own folder.
        self._ready: dict[Path, _Process] = {}
        self._groups = control_group.find()

    def get_ready(self, job: StageJob) -> None:
        """Start its process ahead; see StageRunner."""
        self._ready[job.request.workdir] = self._start(job, ahead=True)

    def dismiss(self, folder: Path) -> None:
        """End the processes that wait; see StageRunner."""
        for workdir in [each for each in list(self._ready) if each.is_relative_to(folder)]:
            waiting = self._ready.pop(workdir)
            waiting.kill()

    def run(
        self,
        job: StageJob,
        termination: Termination,
        on_progress: Callable[[Progress], None],
        meanwhile: Callable[[], None],
    ) -> StageOutcome:
        """Run it to its end; see StageRunner."""
        kills = limits.out_of_memory_kills()
        started = time.monotonic()
        with ExitStack() as killing:
            stage = self._take_ready(job) or self._start(job)
            process = stage.popen
            # However this block is left, nothing of the stage survives it.
            killing.callback(stage.kill)
            meanwhile()
            meter = Meter(job.request.stage, job.limits, stage.mark, process.pid, job.request.workdir)
            error = Watch(process.pid, stage.progress, stage.log, termination, meter, on_progress).until_end()
            if error is None and termination.reason is not None:
                self._ask_to_end(stage.mark, process.pid, termination.reason)
                raise Terminated(termination.reason)
            if error is None and self.sandbox.confines:
                # Its outermost process has ended, and the kernel ends the namespace with it.
                killing.pop_all()
                stage.close()
        seconds = time.monotonic() - started
        result: StageResult | None = None
        # A shell and bubblewrap give a signal's number as an exit code above 128.
        code = 128 - process.returncode if process.returncode > 128 else process.returncode
        if error is None:
            result, error = _read_result(job, code)
        if error is not None and stage.memory_kills:
            error = OutOfMemory(
                f"The stage {job.request.stage} was stopped because it needs more than its limit of"
                f" {job.limits.memory >> 20} MiB of memory, files in memory included; raise FARM_MEMORY_LIMIT or use a"
                " smaller model."
            )
        elif isinstance(error, StageCrashed) and stage.group is None and limits.out_of_memory_kills() > kills:
            error = OutOfMemory(
                f"The kernel stopped the stage {job.request.stage} because the machine ran out of memory; free"
                " memory or use a smaller model."
            )
        if error is not None:
            with job.log.open("a") as text:
                text.write(f"farm: {error.sentence}\n")
        peak = max(meter.peak_bytes, _own_peak(result), job.limits.memory if stage.memory_kills else 0)
        return StageOutcome(result, error, seconds, peak, meter.require_time)

    def _take_ready(self, job: StageJob) -> _Process | None:
        """The process that waits for this job, told to go on; None when there is none, or it has not lived so long."""
        ready = self._ready.pop(job.request.workdir, None)
        if ready is None:
            return None
        if not ready.go_on():
            ready.kill()
            return None
        ready.log.begin()
        return ready

    def _start(self, job: StageJob, *, ahead: bool = False) -> _Process:
        mark = f"{job.mark}.{secrets.token_hex(4)}"
        words = (*self._command, str(job.request.workdir), *((AHEAD, job.request.stage.value) if ahead else ()))
        group = self._groups.make(job.limits.memory, job.request.threads) if self._groups is not None else None
        view = replace(job.view, memory=job.limits.memory if group is not None else None)
        self.sandbox.hand_over(view)
        # Of this thread, which starts the stage; a new one each time, so that stages share none.
        stage_user.leave_session_keyring()
        with ExitStack() as failing:
            if group is not None:
                failing.callback(group.remove)
            reading, low = os.pipe()
            # A shell opens what the sandbox reads under the numbers of one digit.
            writing = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, FIRST_FREE)
            os.close(low)
            failing.callback(os.close, reading)
            log_reading, log_writing = os.pipe()
            log = StageLog(job.log, log_reading)
            failing.callback(log.close)
            if not ahead:
                log.begin()
            with ExitStack() as stack:
                stack.callback(os.close, writing)
                stack.callback(os.close, log_writing)
                popen = subprocess.Popen(
                    launched(self.sandbox.wrap(words, view), group),
                    cwd=job.request.workdir,
                    env=environment(os.environ, job.request, mark, network=job.view.network)
                    | {PROGRESS_FD_VARIABLE: str(writing)},
                    stdin=subprocess.PIPE if ahead else subprocess.DEVNULL,
                    stdout=log_writing,
                    stderr=log_writing,
                    pass_fds=(writing,),
                    start_new_session=True,
                )
            failing.pop_all()
        # When memory runs out the kernel shall choose the stage, not its supervisor. It may be gone already.
        with suppress(OSError):
            Path(f"/proc/{popen.pid}/oom_score_adj").write_text("1000")
        return _Process(job, mark, popen, reading, log, group)

    def _ask_to_end(self, mark: str, root: int, reason: Reason) -> None:
        """SIGTERM to all, and so long to end."""
        seconds = min(self._grace, STOP_SECONDS) if reason is Reason.STOP else self._grace
        process_tree.terminate(mark, root, spare_root=self.sandbox.confines)
        deadline = time.monotonic() + seconds
        while process_tree.members(mark, root) and time.monotonic() < deadline:
            time.sleep(0.02)


@dataclass
class _Process:
    """A stage's outermost process. progress: the descriptor from which its progress is read. memory_kills: how many of
    its processes ended because its group's memory was full, once it is closed."""

    job: StageJob
    mark: str
    popen: subprocess.Popen[bytes]
    progress: int
    log: StageLog
    group: ControlGroup | None
    memory_kills: int = 0

    def go_on(self) -> bool:
        """Its order is there; False when the process is not."""
        if self.popen.poll() is not None or self.popen.stdin is None:
            return False
        try:
            self.popen.stdin.write(b"\n")
            self.popen.stdin.close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        """With all that it has started."""
        process_tree.kill(self.mark, self.popen.pid)
        self.close()

    def close(self) -> None:
        """Once it has ended."""
        self.popen.wait()
        if self.popen.stdin is not None:
            with suppress(OSError):
                self.popen.stdin.close()
        os.close(self.progress)
        self.log.close()
        if self.group is not None:
            self.memory_kills = self.group.memory_kills()
            self.group.remove()


def _read_result(job: StageJob, code: int) -> tuple[StageResult | None, FarmError | None]:
    stage = job.request.stage
    try:
        result = workfolder.read_result(job.request.workdir, BY_NAME[stage])
    except StageCrashed as error:
        return None, error
    if result is not None and result.failure is not None:
        return result, result.failure.error()
    if result is not None and code == 0:
        return result, None
    ending = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return result, StageCrashed(f"The stage {stage} {ending} before it had a result; its log tells more.")


def _own_peak(result: StageResult | None) -> int:
    """The peak that the stage's process measured of itself: a short one may end between two samples."""
    metrics = result.metrics if result is not None else ()
    return max((_bytes(metric.value) for metric in metrics if metric.name == "process_peak_memory"), default=0)


def _bytes(value: float) -> int:
    return int(min(max(value, 0.0), LARGEST_PEAK))
