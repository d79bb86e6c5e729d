"""The tokens that show what goes through a model's products: rows of text, each behind the start token."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from farm.errors import CalibrationUnusable
from farm.prompting import Mode, Prompting
from pipeline.conversion import calibration_languages, calibration_text
from pipeline.conversion.calibration_text import ANSWERED
from pipeline.tokenizers.export import TokenizerExport

TEXTS = (*calibration_text.TEXTS, *calibration_languages.TEXTS)
ROWS = 16
SEED = 20260102


def calibration_tokens(
    export: TokenizerExport, vocabulary_size: int, length: int, prompting: Prompting, own: str | None = None,
    rows: int = ROWS,
) -> list[list[int]]:  # fmt: skip
    """Up to so many rows of at most `length` tokens: of the farm's texts, with answered questions behind them in the
    template of a model that has one, or of the user's own text, cut into rows. Random tokens where the model has no
    tokenizer. CalibrationUnusable when the text has none."""
    if export.tokenizer is None:
        random = np.random.default_rng(SEED)
        return [random.integers(0, vocabulary_size, length).tolist() for _ in range(rows)]
    if own is not None:
        cut = _cut(export, own, length, rows)
        if not cut:
            raise CalibrationUnusable(
                "The model's tokenizer reads no token in the calibration text; give a text of the kind that the model"
                " will read."
            )
        return cut
    asked = () if prompting.mode is Mode.COMPLETE else ANSWERED
    texts = (*TEXTS[:rows], *(prompting.fill(question) + answer for question, answer in asked))
    return [tokens for tokens in (export.encode(text)[:length] for text in texts) if tokens]


def _cut(export: TokenizerExport, text: str, length: int, most: int) -> list[list[int]]:
    """Rows from all over the text."""
    start: Sequence[int] = [] if export.start_token is None else [export.start_token]
    tokens = export.encode(text)[len(start) :]
    room = max(1, length - len(start))
    rows = [tokens[first : first + room] for first in range(0, len(tokens), room)]
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)) if rows else []
    return [[*start, *rows[index]] for index in chosen]
