"""Logs are read in order, followed without loss, and cut to bounded lines."""

from __future__ import annotations

import random
import threading
from pathlib import Path

from farm import logs
from farm.stages import StageName


def test_order_is_by_attempt_then_stage(tmp_path: Path) -> None:
    for attempt, position, stage in [(2, 0, StageName.FETCH), (1, 1, StageName.CHECK), (1, 0, StageName.FETCH)]:
        logs.stage_log(tmp_path, "job", position, stage, attempt).write_text(f"{stage} {attempt}\n")
    (tmp_path / "job" / "other.txt").write_text("not a log")
    found = list(logs.read(tmp_path, "job"))
    assert found == ["== 00-fetch.1 ==", "fetch 1", "== 01-check.1 ==", "check 1", "== 00-fetch.2 ==", "fetch 2"]


def test_a_job_without_logs(tmp_path: Path) -> None:
    assert list(logs.read(tmp_path, "job")) == []


def test_an_unfinished_or_endless_line(tmp_path: Path) -> None:
    path = logs.stage_log(tmp_path, "job", 0, StageName.FETCH, 1)
    path.write_bytes(b"x" * (logs.LINE_BYTES + 3) + b"\nno end \xff")
    assert [len(line) for line in logs.read(tmp_path, "job")][1:] == [logs.LINE_BYTES, 3, 8]


def test_follow_loses_and_doubles_nothing(tmp_path: Path) -> None:
    chance = random.Random(3)  # noqa: S311 # reproducible
    expected = [f"{stage.value} line {number}" for stage in StageName for number in range(40)]
    ended = threading.Event()

    def write() -> None:
        for position, stage in enumerate(StageName):
            with logs.stage_log(tmp_path, "job", position, stage, 1).open("ab", buffering=0) as stream:
                content = b"".join(f"{line}\n".encode() for line in expected if line.startswith(f"{stage.value} "))
                while content:
                    cut = chance.randrange(1, 60)
                    stream.write(content[:cut])
                    content = content[cut:]
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    found = [line for line in logs.follow(tmp_path, "job", ended.is_set) if not line.startswith("==")]
    writer.join()
    assert found == expected
