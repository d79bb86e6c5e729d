"""Runs one stage as a fresh process, in the sandbox, under limits, until it ends or must stop.

A stage whose programs take long to start may be started ahead, while another one runs: it then waits for its request.
"""

from __future__ import annotations

import fcntl
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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from farm import locations, progress
from farm.durable_writes import go_on
from farm.errors import FarmError, OutOfMemory, StageCrashed
from farm.progress import PROGRESS_FD_VARIABLE, Progress
from farm.stages import BY_NAME
from pipeline.request import StageRequest, StageResult
from worker import control_group, limits, process_tree, stage_files, stage_user, workfolder
from worker.control_group import ControlGroup
from worker.limits import Limits, Meter
from worker.sandbox import Sandbox, View
from worker.stage_log import StageLog
from worker.termination import Reason, Terminated, Termination

PROGRESS_SECONDS = 0.25
STAGE_COMMAND = (sys.executable, "-P", "-m", "pipeline.stages")
# What keeps a stage's processes in bounds where no control group does, and beside one: open files, the size of a file
# in blocks of 512 bytes, no memory written to disk, and the user's processes (0: a group counts them; `sh` may have
# either of two names for it). Then join the groups, then become the command.
_LAUNCH = """
ulimit -c 0; ulimit -n 4096 2>/dev/null; ulimit -f "$1"
[ "$2" = 0 ] || ulimit -u "$2" 2>/dev/null || ulimit -p "$2"
shift 2
while [ "$1" != -- ]; do echo $$ > "$1" || exit 125; shift; done
shift; exec "$@"
"""
# A worker that must end waits no longer than this for a stage that does not.
STOP_SECONDS = 3.0
FIRST_FREE = 10
LARGEST_PEAK = 1 << 50
# Of what came at once on the progress pipe, the last lines are looked at.
MAX_LINES = 16
# Follows the work folder, before the stage's name: get ready, and go on at the first byte of standard input.
AHEAD = "--ahead"

# What a stage's process gets of the supervisor's environment; one with a network also gets what leads it to the hubs.
_PASSED_ON = ("PATH", "TZ", "JAVA_HOME")
_PASSED_ON_WITH_NETWORK = (
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE", "HF_TOKEN", "HF_ENDPOINT", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN",
)  # fmt: skip
_FIXED = {
    # Java decodes the names of files by it: a farm below a folder with an umlaut works in any user's locale.
    "LC_ALL": "C.UTF-8",
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
    # NumPy's threads wait for each other without sleeping, so that a conversion beside other work takes many times as
    # long; what is worth more than one thread divides its products itself.
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    # Equal stages make equal files, so nothing may depend on the order of a set.
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
            error = _Watch(process.pid, stage.progress, stage.log, termination, meter, on_progress).until_end()
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
                    env=environment(os.environ, job, mark) | {PROGRESS_FD_VARIABLE: str(writing)},
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


def launched(command: tuple[str, ...], group: ControlGroup | None) -> tuple[str, ...]:
    """The command with its limits, in its group."""
    entrances = () if group is None else tuple(str(path) for path in group.entrances)
    limits = (str(stage_files.MAX_BYTES // 512), "0" if group is not None else str(control_group.PROCESSES))
    return ("/bin/sh", "-c", _LAUNCH, "stage", *limits, *entrances, "--", *command)


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
        self,
        pid: int,
        reading: int,
        log: StageLog,
        termination: Termination,
        meter: Meter,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._pid = pid
        self._reading = reading
        self._log = log
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
                selector.register(self._log, selectors.EVENT_READ)
                while True:
                    ready = {key.fd for key, _ in selector.select(self._seconds_to_next())}
                    if self._reading in ready and not self._read_progress():
                        selector.unregister(self._reading)
                    if self._log.fileno() in ready and not self._log.carry():
                        selector.unregister(self._log)
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
        self._unread = self._unread[-progress.LINE_BYTES :]
        for line in reversed(lines[-MAX_LINES:]):
            with suppress(ValueError):
                self._latest = progress.decode(line)
                break
        return bool(data)


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
