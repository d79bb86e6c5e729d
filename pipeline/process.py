"""Runs other people's programs: own process group, time limit, output kept, failures as one sentence."""

from __future__ import annotations

import os
import re
import select
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from farm import program_output
from farm.errors import FarmError, StageCrashed, ToolMissing

MEMORY_FOLDER = "/dev/shm"  # noqa: S108 # a stage's own
SENTENCE_CHARACTERS = 300
# What ends a program that is out of memory, broken or stopped from outside.
_KILLING = frozenset(
    {
        signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS,
        signal.SIGFPE, signal.SIGKILL, signal.SIGSEGV, signal.SIGPIPE, signal.SIGTERM, signal.SIGXCPU, signal.SIGXFSZ,
        signal.SIGSYS,
    }
)  # fmt: skip


@dataclass(frozen=True)
class Completed:
    """What a program that succeeded has printed, and how long it took."""

    stdout: str
    stderr: str
    seconds: float


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    error: type[FarmError],
    hint: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
) -> Completed:
    """Run a program to its end.

    timeout in seconds, after which the whole process group is killed. Whatever the program leaves behind in its group
    is killed too. Raises `error` when it fails or takes too long, with `hint` as what to do next; ToolMissing when
    there is no such program. The command line is written to standard error (the stage's log), and so is the output of
    a program that fails, see farm.program_output; secrets therefore go through `stdin` or `env`.
    """
    words = [str(word) for word in argv]
    program = Path(words[0]).name
    if program_output.shown:
        sys.stderr.write(f"+ {shlex.join(words)}\n")
    started = time.monotonic()
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        code = _run_group(words, program, timeout, cwd, env, stdin, stdout, stderr)
        seconds = time.monotonic() - started
        completed = Completed(stdout=_text(stdout), stderr=_text(stderr), seconds=seconds)
    if code == 0:
        return completed
    if program_output.shown:
        sys.stderr.write(completed.stdout + completed.stderr)
    if code is None:
        raise error(f"{program} took longer than {timeout:g} s and was stopped; {hint}")
    if (number := killed_by(code)) is not None:
        # Says nothing of what was worked on, so that the job is tried again.
        raise StageCrashed(
            f"{program} was killed by {number.name}, as the kernel does when memory runs out; free memory, then run the"
            " job again."
        )
    reason = last_meaningful_line(completed.stderr) or last_meaningful_line(completed.stdout) or f"exit code {code}"
    raise error(f"{program} failed: {reason}; {hint}")


def killed_by(code: int) -> signal.Signals | None:
    """The signal that ended a program; a shell that wraps it gives the signal's number above 128."""
    number = -code if code < 0 else code - 128
    return signal.Signals(number) if number in _KILLING else None


_JAVA_CLASS = re.compile(r"^(?:\w+ error: )?(?:[a-z]\w*\.)+\w*(?:Exception|Error): ")


def last_meaningful_line(text: str) -> str:
    """The last line that is neither blank nor a Java stack frame, at most 300 characters, without its full stop and the
    class of a Java exception before it."""
    for line in reversed(text.splitlines()):
        frame = line.startswith((" ", "\t")) and line.strip().startswith(("at ", "... "))
        if line.strip() and not frame:
            return _JAVA_CLASS.sub("", line.strip()).rstrip(".")[:SENTENCE_CHARACTERS]
    return ""


def _run_group(
    words: Sequence[str],
    program: str,
    timeout: float,
    cwd: Path | None,
    env: Mapping[str, str] | None,
    stdin: bytes | None,
    stdout: IO[bytes],
    stderr: IO[bytes],
) -> int | None:
    """The exit code, or None when time ran out."""
    source = _memory_file(stdin) if stdin is not None else None
    try:
        process = subprocess.Popen(
            words,
            cwd=cwd,
            # Java decodes the names of files by it, and this one is everywhere.
            env={**(os.environ if env is None else env), "LC_ALL": "C.UTF-8"},
            stdin=source if source is not None else subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    except FileNotFoundError as missing:
        if cwd is not None and not cwd.is_dir():
            raise
        raise ToolMissing(
            f"The program {program} is not installed; run `farm doctor` to see which package brings it."
        ) from missing
    finally:
        if source is not None:
            os.close(source)
    try:
        ended = _wait(process.pid, timeout)
    finally:
        # The leader is not reaped yet, so that its group's number cannot have gone to another process.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
    return code if ended else None


def _wait(pid: int, timeout: float) -> bool:
    """Whether the process ends within `timeout` seconds. A pidfd wakes at once, where Popen.wait would poll."""
    descriptor = os.pidfd_open(pid)
    try:
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        return bool(poller.poll(timeout * 1000))
    finally:
        os.close(descriptor)


def _memory_file(data: bytes) -> int:
    """A descriptor from which `data` can be read; it may hold a password, so it never touches a disk."""
    try:
        descriptor = os.memfd_create("stdin")
    except OSError:
        # A sandbox without a control group lets in none, since nothing would count them.
        with tempfile.TemporaryFile(dir=MEMORY_FOLDER) as kept:
            descriptor = os.dup(kept.fileno())
    with os.fdopen(os.dup(descriptor), "wb") as stream:
        stream.write(data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode(errors="replace")
