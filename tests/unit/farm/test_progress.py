from __future__ import annotations

import os

import pytest

from farm import progress
from farm.progress import Progress


def test_a_line_and_back() -> None:
    assert progress.decode(progress.encode(Progress(0.25, "binding"))) == Progress(0.25, "binding")


def test_a_fraction_stays_between_0_and_1() -> None:
    assert progress.decode(b'{"fraction": 7, "activity": "x"}').fraction == 1.0
    assert progress.decode(b'{"fraction": -7, "activity": "x"}').fraction == 0.0
    # More than any float, and fewer digits than Python refuses to read.
    assert progress.decode(b'{"fraction": 1' + b"0" * 400 + b', "activity": "x"}').fraction == 1.0


@pytest.mark.parametrize(
    "line", [b"", b"TensorFlow says hello", b'{"fraction": 1', b'{"fraction": NaN, "activity": ""}']
)
def test_what_is_no_progress_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):
        progress.decode(line)


def test_the_reporter_writes_to_the_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    monkeypatch.setenv(progress.PROGRESS_FD_VARIABLE, str(write))
    progress.reporter_from_environment()(0.5, "half")
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        assert progress.decode(pipe.readline()) == Progress(0.5, "half")


def test_without_a_supervisor_it_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(progress.PROGRESS_FD_VARIABLE, raising=False)
    progress.reporter_from_environment()(0.5, "half")
