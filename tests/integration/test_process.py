"""The one function that runs programs, with real programs."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil
import pytest

from farm import program_output
from farm.errors import PackageInvalid, StageCrashed, ToolMissing
from pipeline import process


def python(code: str, *, timeout: float = 20.0, stdin: bytes | None = None) -> process.Completed:
    return process.run(
        [sys.executable, "-c", code], timeout=timeout, error=PackageInvalid, hint="look again", stdin=stdin
    )


def gone(pid: int) -> bool:
    """Whether the process is gone within 5 s; a killed orphan stays visible until init has reaped it."""
    deadline = time.monotonic() + 5
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not psutil.pid_exists(pid)


def test_output_of_both_streams_is_kept(capfd: pytest.CaptureFixture[str]) -> None:
    completed = python("import sys; print('out'); print('err', file=sys.stderr)")
    assert (completed.stdout, completed.stderr) == ("out\n", "err\n")
    assert 0 < completed.seconds < 20
    assert capfd.readouterr().err.startswith("+ ")


def test_the_class_of_a_java_exception_is_left_out() -> None:
    said = "keytool error: java.io.IOException: keystore password was incorrect"
    with pytest.raises(PackageInvalid, match=r"python.* failed: keystore password was incorrect; look again"):
        python(f"import sys; sys.exit({said!r})")


def test_whoever_calls_farm_sees_the_sentence_alone(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program_output, "shown", False)
    with pytest.raises(PackageInvalid, match=r"python.* failed: bad zip; look again"):
        python("import sys; sys.exit('bad zip.')")
    assert capfd.readouterr().err == ""


def test_standard_input_reaches_the_program() -> None:
    assert python("import sys; print(sys.stdin.read()[::-1])", stdin=b"secret").stdout == "terces\n"


@pytest.mark.parametrize("env", [None, {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}])
def test_a_program_knows_names_of_files_in_utf8(env: dict[str, str] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    ran = process.run(("sh", "-c", 'echo "$LC_ALL"'), timeout=20, error=StageCrashed, hint="", env=env)
    assert ran.stdout == "C.UTF-8\n"


def test_failure_is_one_sentence_with_the_last_meaningful_line() -> None:
    code = "import sys; sys.stderr.write('Error: bad zip.\\n\\tat com.example.Main(Main.java:1)\\n'); sys.exit(3)"
    with pytest.raises(PackageInvalid, match=r"failed: Error: bad zip; look again$"):
        python(code)


def test_failure_without_output_names_the_exit_code() -> None:
    with pytest.raises(PackageInvalid, match="exit code 7; look again"):
        python("raise SystemExit(7)")


def test_signal_is_named() -> None:
    with pytest.raises(StageCrashed, match="was killed by SIGSEGV"):
        python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")


@pytest.mark.parametrize("code", [137, 139, 134])
def test_a_signal_behind_a_shell_is_a_crash_too(code: int) -> None:
    with pytest.raises(StageCrashed, match="was killed by SIG"):
        python(f"raise SystemExit({code})")


def test_standard_input_without_files_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_name: str) -> int:
        raise OSError(12, "refused")

    monkeypatch.setattr("os.memfd_create", refuse)
    assert python("import sys; print(sys.stdin.read()[::-1])", stdin=b"secret").stdout == "terces\n"


def test_missing_program() -> None:
    with pytest.raises(ToolMissing, match="no-such-program is not installed"):
        process.run(["no-such-program"], timeout=1, error=PackageInvalid, hint="")


def test_timeout_kills_the_whole_group(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    child = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"
    spawn = f"subprocess.Popen([sys.executable, '-c', {child!r}, {str(note)!r}])"
    code = f"import subprocess, sys, time; {spawn}; time.sleep(60)"
    started = time.monotonic()
    with pytest.raises(PackageInvalid, match=r"took longer than 1\.5 s and was stopped; look again"):
        python(code, timeout=1.5)
    assert time.monotonic() - started < 5
    assert gone(int(note.read_text()))


def test_background_children_do_not_hold_the_run() -> None:
    code = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid)"
    completed = python(code)
    assert completed.seconds < 10
    assert gone(int(completed.stdout))
