"""The program's answers, given by a stand-in that needs no TensorFlow."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from farm.errors import FileUnreadable, FlexRunFailed, SequenceTooLong
from pipeline.flex.runner import FlexModel
from pipeline.inference.text_model import Completion, Sampling

pytestmark = pytest.mark.programs

OPENED = {"signatures": {}, "runtime": "2.19.1", "seconds": 1.0}


def answering(folder: Path, *answers: Any) -> FlexModel:
    """A model whose program gives these answers and keeps what it was asked."""
    script = folder / "python"
    lines = "".join(json.dumps(answer) + "\n" for answer in answers)
    (folder / "answers").write_text(lines)
    script.write_text(f"#!/bin/sh\ncat > {folder}/asked\ncat {folder}/answers\n")
    script.chmod(0o755)
    return FlexModel(folder / "model.tflite", 2, prompt_bytes=8, context=6, python=script)


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def test_one_process_answers_everything(tmp_path: Path) -> None:
    written = {"text": text(b"ab\xff"), "prompt_tokens": 2, "tokens": [1, 2, 3], "seconds": 0.5}
    model = answering(tmp_path, OPENED, {"tokens": [7, 8]}, written, {"text": text(b"abc"), "seconds": 0.25})
    found = model.answer([b"\0"], [Completion(b"ab", 1, Sampling(0.5, 3, 9)), Completion(b"ab", None)])
    assert found.tokens == ((7, 8),)
    sampled, default = found.answers
    assert (sampled.text, sampled.prompt_tokens, sampled.tokens, sampled.seconds) == (b"ab\xff", (1, 2), (3,), 0.5)
    assert (default.text, default.tokens, default.seconds) == (b"abc", (), 0.25)
    asked = [json.loads(line) for line in (tmp_path / "asked").read_text().splitlines()]
    assert asked == [
        {"do": "open", "model": str(tmp_path / "model.tflite"), "threads": 2, "text_operators": False},
        {"do": "tokenize", "prompt": text(b"\0")},
        {"do": "complete", "prompt": text(b"ab"), "max_new_tokens": 1, "temperature": 0.5, "top_k": 3, "seed": 9},
        {"do": "run", "prompt": text(b"ab")},
    ]


@pytest.mark.parametrize(
    ("answers", "error", "sentence"),
    [
        (
            [{"error": "ValueError: no model"}],
            FileUnreadable,
            r"can't be opened by TensorFlow \(ValueError: no model\)",
        ),
        ([OPENED, {"error": "RuntimeError: odd"}], FlexRunFailed, r"can't be run by TensorFlow \(RuntimeError: odd\)"),
        ([OPENED], FlexRunFailed, "gave 1 of 2 answers"),
        ([OPENED, {"text": "", "prompt_tokens": 0, "tokens": [], "seconds": 0}], SequenceTooLong, "holds no token"),
        ([OPENED, {"text": "", "prompt_tokens": 6, "tokens": [], "seconds": 0}], SequenceTooLong, "context of 6"),
    ],
)
def test_what_went_wrong_is_said(answers: list[Any], error: type[Exception], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=sentence):
        answering(tmp_path, *answers).answer([], [Completion(b"ab", 1)])


def test_a_prompt_that_is_too_long_is_not_asked(tmp_path: Path) -> None:
    with pytest.raises(SequenceTooLong, match="longer than the 8"):
        answering(tmp_path).answer([], [Completion(b"x" * 9, 1)])
    assert not (tmp_path / "asked").exists()


def test_answers_that_are_no_json_are_refused(tmp_path: Path) -> None:
    model = answering(tmp_path)
    (tmp_path / "answers").write_text("Segmentation fault\n")
    with pytest.raises(FlexRunFailed, match="no usable answer"):
        model.answer([b""], [])


def test_a_missing_tensorflow_is_named(tmp_path: Path) -> None:
    model = answering(tmp_path)
    model.python.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'tensorflow'\" >&2\nexit 1\n")
    with pytest.raises(FlexRunFailed, match=r"No module named 'tensorflow'.*extra `convert`"):
        model.answer([b""], [])
