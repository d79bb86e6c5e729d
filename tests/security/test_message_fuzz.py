"""Broken results and progress lines, many of them: each is read or refused, none crashes the reader."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest

from farm import progress
from farm.errors import StageCrashed
from farm.plain_text import clean
from farm.stages import BY_NAME, StageName
from worker import workfolder

RESULTS = (
    b'{"metrics": [{"name": "speed", "value": 1.5, "unit": "tokens/s"}], "notes": ["a note"], "attributes": {"a": 1}}',
    b'{"skips": {"package": "It has no tokenizer."}, "attributes": {"family": "gpt2", "deep": [[{"x": null}]]}}',
    b'{"failure": {"code": "model-damaged", "sentence": "The file model.keras is damaged."}}',
)
LINES = (b'{"fraction": 0.5, "activity": "binding"}', b'{"fraction": 1, "activity": "written \\u00e9"}')
PIECES = (
    b"[" * 500, b"{", b"}", b'"', b"\0", b"\\u0000", b"\\ud800", b"\xff", b"NaN", b"-Infinity", b"1e999", b"9" * 400,
    b"null", b"true", b"\x1b[2J", b"\n", b"\xe2\x80\xae", b'"skips": {"ops": "x"},', b'"code": "database-unusable",',
)  # fmt: skip
LONGEST_SECONDS = 10.0


@pytest.mark.goal(id="A10")
def test_broken_results_and_progress(trial, tmp_path: Path) -> None:
    chance, cases, slowest = trial.chance, trial.size(300, 10_000), 0.0
    read = refused = 0
    for _ in range(cases):
        started = time.monotonic()
        (tmp_path / "result.json").write_bytes(broken(chance, chance.choice(RESULTS)))
        try:
            result = workfolder.read_result(tmp_path, BY_NAME[StageName.CONVERT])
        except StageCrashed as error:
            refused += 1
            assert clean(error.sentence) == error.sentence
        else:
            read += 1
            assert result is not None
            json.dumps(result.model_dump(mode="json"), allow_nan=False).encode()
        line = broken(chance, chance.choice(LINES))
        try:
            said = progress.decode(line)
        except ValueError:
            pass
        else:
            assert 0 <= said.fraction <= 1
            assert clean(said.activity) == said.activity
        slowest = max(slowest, time.monotonic() - started)
    trial.measured(f"results and progress: {cases} cases each, {refused} results refused, {read} read, 0 crashes")
    assert slowest < LONGEST_SECONDS
    assert refused
    assert read


def broken(chance: random.Random, data: bytes) -> bytes:
    """With up to four changes: a piece put in, a part taken out or doubled, a byte changed."""
    for _ in range(chance.randrange(5)):
        place, length = chance.randrange(len(data) + 1), chance.randrange(1, 12)
        put = chance.choice((chance.choice(PIECES), b"", data[place : place + length], bytes([chance.randrange(256)])))
        data = data[:place] + put + data[place + chance.choice((0, length)) :]
    return data
