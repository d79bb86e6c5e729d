"""The tokens that a model has read, remembered, so that a longer text with the same beginning is not read again."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.inference.contract import Contract
from pipeline.inference.interpreter import Float32, TokenModel


class KeptText:
    """A model's cache with the tokens that are in it; what `generate` asks of a model, it has as well."""

    def __init__(self, model: TokenModel):
        """Begin with an empty text."""
        self._model = model
        self._tokens: list[int] = []

    @property
    def contract(self) -> Contract:
        """The model's."""
        return self._model.contract

    @property
    def position(self) -> int:
        """How many tokens are read."""
        return self._model.position

    def shared(self, tokens: Sequence[int]) -> int:
        """How many tokens at the beginning need not be read again; one at least is left to read."""
        most = min(len(self._tokens), len(tokens) - 1, self._model.position)
        same = next((place for place in range(most) if tokens[place] != self._tokens[place]), max(0, most))
        return same if self._model.keeps(same) else 0

    def reset(self) -> None:
        """Forget the text."""
        self._model.reset()
        self._tokens.clear()

    def rewind(self, position: int = 0) -> None:
        """Forget every token from `position` on."""
        self._model.rewind(position)
        del self._tokens[position:]

    def read(self, tokens: Sequence[int]) -> Float32:
        """Read tokens; the logits [V] of what comes next. SequenceTooLong."""
        logits = self._model.read(tokens)
        self._tokens += tokens
        return logits

    def room_to_score(self) -> int:
        """As of the model."""
        return self._model.room_to_score()

    def score(self, tokens: Sequence[int]) -> Float32:
        """Read tokens in one call; the logits [N,V] after each. SequenceTooLong."""
        logits = self._model.score(tokens)
        self._tokens += tokens
        return logits
