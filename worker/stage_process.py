"""Runs one stage as a fresh process, in the sandbox, under limits, until it ends or must stop.

A stage whose programs take long to start may be started ahead, while another one runs: it then waits for its request.
"""

from __future__ import annotations

import math
import os
import secrets
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from farm import locations, progress
from farm.errors import FarmError, OutOfMemory, StageCrashed
from farm.progress import PROGRESS_FD_VARIABLE, Progress
from pipeline.request import StageRequest, StageResult
from worker import limits, process_tree
from worker.limits import Limits, Meter
from worker.sandbox import Sandbox, View
from worker.termination import Terminated, Termination

PROGRESS_SECONDS = 0.25
STAGE_COMMAND = (sys.executable, "-m", "pipeline.stages")
# Takes the place of a log's suffix until its stage begins: who follows a job's logs takes each for the last.
WAITING_SUFFIX = ".waiting"
# Follows the work folder, before the stage's name: get ready, and go on at the first byte of standard input.
AHEAD = "--ahead"

# What a stage's process gets of the supervisor's environment; one with a network also gets what leads it to the hubs.
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "JAVA_HOME")
_PASSED_ON_WITH_NETWORK = (
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE", "HF_TOKEN", "HF_ENDPOINT", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN",
)  # fmt: skip
_FIXED = {
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
    "PYTHONDONTWRITEBYTECODE": "1",
    # Equal stages make equal files, so nothing may hang on the order of a set.
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
    # Weights come and go in pieces of some MB. By default the C library gives each back to the kernel, which clears its
    # pages for the next one: an eighth of a conversion's time.
    "MALLOC_MMAP_THRESHOLD_": str(64 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    "MALLOC_TOP_PAD_": str(64 << 20),
}


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
    """What came of it: a result or an error. seconds of wall time; peak_bytes of all processes together."""

    result: StageResult | None
    error: FarmError | None
    seconds: float
    peak_bytes: int


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

    def get_ready(self, job: StageJob) -> None:
        """Start its process ahead; see StageRunner."""
        self._ready[job.request.workdir] = self._start(job, ahead=True)

    def dismiss(self, folder: Path) -> None:
        """End the processes that wait; see StageRunner."""
        for workdir in [each for each in list(self._ready) if each.is_relative_to(folder)]:
            waiting = self._ready.pop(workdir)
            waiting.kill()
            _waiting_log(waiting.job).unlink(missing_ok=True)

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
            error = _Watch(process.pid, stage.progress, termination, meter, on_progress).until_end()
            if error is None and termination.reason is not None:
                self._ask_to_end(stage.mark, process.pid)
                raise Terminated(termination.reason)
            if error is None and self.sandbox.confines:
                # Its outermost process has ended, and the kernel ends the namespace with it.
                killing.pop_all()
                stage.close()
        seconds = time.monotonic() - started
        result = None
        # A shell and bubblewrap give a signal's number as an exit code above 128.
        code = 128 - process.returncode if process.returncode > 128 else process.returncode
        if error is None:
            result, error = _read_result(job, code)
        if code == -signal.SIGKILL and limits.out_of_memory_kills() > kills:
            error = OutOfMemory(
                f"The kernel stopped the stage {job.request.stage} because the machine ran out of memory; free"
                " memory or use a smaller model."
            )
        if error is not None:
            with job.log.open("a") as text:
                text.write(f"farm: {error.sentence}\n")
        return StageOutcome(result, error, seconds, max(meter.peak_bytes, _own_peak(result)))

    def _take_ready(self, job: StageJob) -> _Process | None:
        """The process that waits for this job, told to go on; None when there is none, or it has not lived so long."""
        ready = self._ready.pop(job.request.workdir, None)
        if ready is None:
            return None
        _waiting_log(job).rename(job.log)
        if not ready.go_on():
            ready.kill()
            return None
        return ready

    def _start(self, job: StageJob, *, ahead: bool = False) -> _Process:
        mark = f"{job.mark}.{secrets.token_hex(4)}"
        words = (*self._command, str(job.request.workdir), *((AHEAD, job.request.stage.value) if ahead else ()))
        with ExitStack() as failing:
            reading, writing = os.pipe()
            failing.callback(os.close, reading)
            with ExitStack() as stack, (_waiting_log(job) if ahead else job.log).open("ab") as log:
                stack.callback(os.close, writing)
                popen = subprocess.Popen(
                    self.sandbox.wrap(words, job.view),
                    cwd=job.request.workdir,
                    env=environment(os.environ, job, mark) | {PROGRESS_FD_VARIABLE: str(writing)},
                    stdin=subprocess.PIPE if ahead else subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(writing,),
                    start_new_session=True,
                )
            failing.pop_all()
        # When memory runs out the kernel shall choose the stage, not its supervisor. It may be gone already.
        with suppress(OSError):
            Path(f"/proc/{popen.pid}/oom_score_adj").write_text("1000")
        return _Process(job, mark, popen, reading)

    def _ask_to_end(self, mark: str, root: int) -> None:
        """SIGTERM to all, and so long to end."""
        process_tree.terminate(mark, root, spare_root=self.sandbox.confines)
        deadline = time.monotonic() + self._grace
        while process_tree.members(mark, root) and time.monotonic() < deadline:
            time.sleep(0.02)


@dataclass(frozen=True)
class _Process:
    """A stage's outermost process. progress: the descriptor from which its progress is read."""

    job: StageJob
    mark: str
    popen: subprocess.Popen[bytes]
    progress: int

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


def _waiting_log(job: StageJob) -> Path:
    return job.log.with_suffix(WAITING_SUFFIX)


def environment(own: Mapping[str, str], job: StageJob, mark: str) -> dict[str, str]:
    """A stage's environment: little of the supervisor's `own`, its homes in the work folder, its mark."""
    names = _PASSED_ON + (_PASSED_ON_WITH_NETWORK if job.view.network else ())
    scratch = str(job.request.scratch)
    homes = {"HOME": scratch, "TMPDIR": scratch, "XDG_CACHE_HOME": scratch, "KERAS_HOME": f"{scratch}/.keras"}
    passed_on = {name: own[name] for name in names if name in own}
    marked = {process_tree.MARK_VARIABLE: mark, "PYTHONPATH": str(locations.ROOT)}
    return passed_on | _FIXED | homes | marked | {"OMP_NUM_THREADS": str(job.request.threads)}


class _Watch:
    """Waits for the process's end, for progress, for a reason to stop and for the limits, all in one place."""

    def __init__(
        self, pid: int, reading: int, termination: Termination, meter: Meter, on_progress: Callable[[Progress], None]
    ) -> None:
        self._pid = pid
        self._reading = reading
        self._termination = termination
        self._meter = meter
        self._on_progress = on_progress
        self._unread = b""
        self._latest: Progress | None = None
        # A stage that is over in a moment has nothing to tell on the way.
        self._tell_at = time.monotonic() + PROGRESS_SECONDS

    def until_end(self) -> FarmError | None:
        """Until the process ended, must stop (None) or passed a limit (its error)."""
        end = os.pidfd_open(self._pid)
        os.set_blocking(self._reading, False)
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(end, selectors.EVENT_READ)
                selector.register(self._termination, selectors.EVENT_READ)
                selector.register(self._reading, selectors.EVENT_READ)
                while True:
                    ready = {key.fd for key, _ in selector.select(self._seconds_to_next())}
                    if self._reading in ready and not self._read_progress():
                        selector.unregister(self._reading)
                    if end in ready or self._termination.reason is not None:
                        return None
                    if (error := self._meter.check()) is not None:
                        return error
                    self._tell_progress()
        finally:
            os.close(end)

    def _seconds_to_next(self) -> float:
        untold = self._tell_at - time.monotonic() if self._latest is not None else math.inf
        return max(0.0, min(self._meter.seconds_to_next(), untold))

    def _tell_progress(self) -> None:
        """Hand the latest word on, a few times a second; the last word is never lost while the stage runs."""
        if self._latest is not None and time.monotonic() >= self._tell_at:
            self._on_progress(self._latest)
            self._latest = None
            self._tell_at = time.monotonic() + PROGRESS_SECONDS

    def _read_progress(self) -> bool:
        """Keep the latest whole line; False at the pipe's end. What is no progress of ours is passed over."""
        try:
            data = os.read(self._reading, 1 << 16)
        except BlockingIOError:
            return True
        *lines, self._unread = (self._unread + data).split(b"\n")
        self._unread = self._unread[-(1 << 16) :]
        for line in reversed(lines):
            with suppress(ValueError, KeyError, TypeError):
                self._latest = progress.decode(line)
                break
        return bool(data)


def _read_result(job: StageJob, code: int) -> tuple[StageResult | None, FarmError | None]:
    stage = job.request.stage
    try:
        result = StageResult.read(job.request.workdir)
    except (ValidationError, OSError) as error:
        return None, StageCrashed(f"The stage {stage} left an unreadable result ({type(error).__name__}); see its log.")
    if result is not None and result.failure is not None:
        return result, result.failure.error()
    if result is not None and code == 0:
        return result, None
    ending = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return result, StageCrashed(f"The stage {stage} {ending} before it had a result; its log tells more.")


def _own_peak(result: StageResult | None) -> int:
    """The peak that the stage's process measured of itself: a short one may end between two samples."""
    metrics = result.metrics if result is not None else ()
    return max((int(metric.value) for metric in metrics if metric.name == "process_peak_memory"), default=0)
