"""How KerasHub's own tokenizer reads texts inside of a graph, beside the reference tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from pipeline.conversion.keras_graph import prepared_tokenizer
from pipeline.inference.mixed_texts import mixed_texts
from pipeline.tokenizers.export import TokenizerExport

TEXTS = 400
MOST_BYTES = 256
EXAMPLES = 3


@dataclass(frozen=True)
class Disagreement:
    """A text, and its tokens by KerasHub and by the reference."""

    text: str
    keras: tuple[int, ...]
    reference: tuple[int, ...]


@dataclass(frozen=True)
class Difference:
    """Of so many texts so many are read otherwise; the shortest of them."""

    texts: int
    otherwise: int
    shortest: tuple[Disagreement, ...]

    def sentence(self) -> str:
        """What a reader of the job should know."""
        if not self.otherwise:
            return f"KerasHub's tokenizer in the graph reads all of {self.texts} mixed texts as the reference does."
        examples = "; ".join(
            f"{one.text!r} as {list(one.keras)} instead of {list(one.reference)}" for one in self.shortest
        )
        return (
            f"KerasHub's tokenizer in the graph reads {self.otherwise} of {self.texts} mixed texts otherwise than the"
            f" tokenizers package, for example {examples}."
        )


class KerasReader:
    """KerasHub's tokenizer as it is inside of a graph; outside it splits by another pattern."""

    def __init__(self, causal_lm: Any, export: TokenizerExport) -> None:
        tokenizer = prepared_tokenizer(causal_lm)
        self._export = export
        self._read = tf.function(lambda texts: tokenizer(texts), input_signature=[tf.TensorSpec([None], tf.string)])

    def read(self, text: str) -> list[int]:
        """The text's tokens behind the start token."""
        start = [] if self._export.start_token is None else [self._export.start_token]
        return start + self._rows([text])[0]

    def compare(self) -> Difference:
        """Read mixed texts by both; a special token in a text is text for the reference."""
        texts = [text for text in mixed_texts(TEXTS, MOST_BYTES) if text]
        wrong = [
            Disagreement(text, tuple(found), tuple(wanted))
            for text, found in zip(texts, self._rows(texts), strict=True)
            if found != (wanted := self._export.encode_literally(text))
        ]
        shortest = sorted(wrong, key=lambda one: (len(one.text), one.text))[:EXAMPLES]
        return Difference(len(texts), len(wrong), tuple(shortest))

    def _rows(self, texts: Sequence[str]) -> list[list[int]]:
        rows: list[list[int]] = self._read(tf.constant(list(texts), tf.string)).to_list()
        return rows
