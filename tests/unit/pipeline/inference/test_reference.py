from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farm.errors import FileUnreadable
from pipeline.inference.reference import negative_log_likelihood, read_reference


def arrays() -> dict[str, Any]:
    return {
        "prompt_texts": np.array(["The", ""]),
        "prompt_0": np.array([9, 1], np.int32),
        "greedy_0": np.array([4, 5], np.int32),
        "margin_0": np.array([0.5, 0.25], np.float32),
        "prompt_1": np.array([9], np.int32),
        "greedy_1": np.array([7], np.int32),
        "margin_1": np.array([1.0], np.float32),
        "probe_tokens": np.array([1, 2, 3], np.int32),
        "probe_logits": np.arange(12, dtype=np.float32).reshape(3, 4),
        "texts": np.array(1),
        "text_0": np.array([1, 2, 3], np.int32),
        "likeliest_0": np.array([[2, 0], [3, 1], [0, 1]], np.int32),
        "log_probabilities_0": np.full((3, 2), -1.0, np.float32),
        "nll_0": np.array([2.0, 3.0], np.float32),
        "questions": np.array(["The", ""]),
        "start_token": np.array(9),
        "stop_tokens": np.array([4]),
        "answer_end": np.array(-1),
        "free_prompt": np.array([9], np.int32),
        "free": np.array([1, 2], np.int32),
        "conversation": np.array([["q", "a", "[q]"]]),
    }


def test_everything_is_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "reference.npz", **arrays())
    reference = read_reference(tmp_path / "reference.npz")
    assert reference.prompts[0].text == "The"
    assert reference.prompts[0].tokens == (9, 1)
    assert reference.prompts[0].greedy == (4, 5)
    assert reference.prompts[0].margins == (0.5, 0.25)
    assert reference.prompts[1].text is None
    assert reference.logit_scale == 1.5
    assert (reference.start_token, reference.stop_tokens, reference.answer_end) == (9, (4,), None)
    assert reference.prompts[0].question == "The"


@pytest.mark.parametrize("missing", ["prompt_texts", "greedy_1", "probe_logits", "nll_0"])
def test_a_missing_array_is_named(tmp_path: Path, missing: str) -> None:
    kept = {name: value for name, value in arrays().items() if name != missing}
    np.savez(tmp_path / "reference.npz", **kept)
    with pytest.raises(FileUnreadable, match=missing):
        read_reference(tmp_path / "reference.npz")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prompt_texts", np.array([], dtype="<U4")),
        ("margin_0", np.array([0.5], np.float32)),
        ("prompt_1", np.array([], np.int32)),
        ("probe_logits", np.zeros((2, 4), np.float32)),
        ("nll_0", np.zeros(3, np.float32)),
        ("text_0", np.array([], np.int32)),
        ("likeliest_0", np.zeros((3, 1), np.int32)),
        ("texts", np.array(0)),
        ("stop_tokens", np.array([], np.int64)),
        ("answer_end", np.array(3)),
    ],
)
def test_nothing_to_compare_is_refused(tmp_path: Path, name: str, value: np.ndarray) -> None:
    np.savez(tmp_path / "reference.npz", **(arrays() | {name: value}))
    with pytest.raises(FileUnreadable, match="lacks golden prompts"):
        read_reference(tmp_path / "reference.npz")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "reference.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(FileUnreadable, match="is no reference of the conversion"):
        read_reference(tmp_path / "reference.npz")


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
def test_the_likelihood_of_a_large_vocabulary_is_exact(scale: float) -> None:
    logits = (scale * np.random.default_rng(3).normal(size=200_000)).astype(np.float32)
    for token in (0, 77_777, int(logits.argmax())):
        wide = logits.astype(np.float64)
        expected = np.log(np.exp(wide - wide.max()).sum()) + wide.max() - wide[token]
        assert negative_log_likelihood(logits, token) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_the_likelihood_by_a_broken_model_is_no_number() -> None:
    assert np.isnan(negative_log_likelihood(np.array([1.0, np.nan], np.float32), 0))
