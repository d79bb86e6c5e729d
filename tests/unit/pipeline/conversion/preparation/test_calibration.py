from __future__ import annotations

import json

import pytest

from farm.errors import CalibrationUnusable
from farm.prompting import Mode, Prompting
from pipeline.conversion import calibration_text, evaluation_text
from pipeline.conversion.preparation.calibration import ROWS, TEXTS, calibration_tokens
from pipeline.tokenizers.codec import TextCodec
from pipeline.tokenizers.export import TokenizerExport
from tests.fixtures.bound_models import START_TOKEN, byte_tokenizer

COMPLETE = Prompting()


def export(tmp_path, start: int | None = START_TOKEN) -> TokenizerExport:
    path = tmp_path / "tokenizer.json"
    path.write_text(byte_tokenizer().to_str())
    assert json.loads(path.read_text())
    return TokenizerExport(path.read_bytes(), "bpe", None, TextCodec.open(path), start, None)


def test_each_text_is_a_row_behind_the_start_token(tmp_path) -> None:
    rows = calibration_tokens(export(tmp_path), 300, 50, COMPLETE)
    assert len(rows) == ROWS
    assert all(len(row) == 50 and row[0] == START_TOKEN and START_TOKEN not in row[1:] for row in rows)


def test_a_recipe_can_ask_for_more_texts(tmp_path) -> None:
    more = calibration_tokens(export(tmp_path), 300, 50, COMPLETE, rows=len(TEXTS))
    assert len(more) == len(TEXTS) == 2 * ROWS
    assert more[:ROWS] == calibration_tokens(export(tmp_path), 300, 50, COMPLETE)
    assert len({tuple(row) for row in more}) == len(more)


def test_a_model_with_a_template_reads_questions_in_it_too(tmp_path) -> None:
    asked = Prompting(mode=Mode.INSTRUCT, prompt_template="Q {prompt} A ")
    rows = calibration_tokens(export(tmp_path), 300, 50, asked)
    assert rows[:ROWS] == calibration_tokens(export(tmp_path), 300, 50, COMPLETE)
    codec = export(tmp_path).tokenizer
    assert codec is not None
    question, answer = calibration_text.ANSWERED[0]
    assert len(rows) == ROWS + len(calibration_text.ANSWERED)
    assert f"Q {question} A {answer}".startswith(codec.decode(rows[ROWS][1:]))


def test_a_text_of_the_user_s_own_is_cut_into_rows_from_all_over_it(tmp_path) -> None:
    text = "".join(f"Line {number} of a long text. " for number in range(400))
    rows = calibration_tokens(export(tmp_path), 300, 50, COMPLETE, text)
    assert len(rows) == ROWS
    codec = export(tmp_path).tokenizer
    assert codec is not None
    assert text.startswith(codec.decode(rows[0][1:]))
    assert text.endswith(codec.decode(rows[-1][1:]))
    assert len(calibration_tokens(export(tmp_path), 300, 50, COMPLETE, "short")) == 1


def test_a_text_without_a_token_is_refused(tmp_path) -> None:
    with pytest.raises(CalibrationUnusable, match="reads no token in the calibration text"):
        calibration_tokens(export(tmp_path), 300, 50, COMPLETE, "")


def test_a_model_without_tokenizer_reads_random_tokens(tmp_path) -> None:
    without = TokenizerExport(b"", None, "none", None, None, None)
    rows = calibration_tokens(without, 40, 30, COMPLETE)
    assert rows == calibration_tokens(without, 40, 30, COMPLETE)
    assert {len(row) for row in rows} == {30}
    assert {token for row in rows for token in row} <= set(range(40))


def test_no_calibration_text_is_one_that_quality_is_measured_on() -> None:
    held_out = {line for text in evaluation_text.TEXTS for line in text.splitlines() if len(line) > 30}
    assert not held_out & {line for text in TEXTS for line in text.splitlines()}
