"""What every tokenizer can do in Python, whatever its kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol


class TextTokenizer(Protocol):
    """Text to tokens and back, without any start or stop token."""

    @property
    def vocabulary_size(self) -> int:
        """The greatest id of a token, plus one."""

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """What the special tokens are written as, in the order of their ids."""

    def encode(self, text: str) -> list[int]:
        """The text's tokens; special tokens in it are found."""

    def encode_literally(self, text: str) -> list[int]:
        """The same with special tokens in the text read as ordinary text."""

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of all tokens from the beginning of a text on, special tokens left out."""

    def stream(self, tokens: Iterable[int]) -> Iterator[str]:
        """The text of tokens that continue a text, in pieces of whole characters."""


class TokenPrinter(Protocol):
    """What a kind knows about printing a token: its bytes within a text."""

    def __call__(self, token: str) -> bytes:
        """The bytes that the vocabulary's entry stands for."""
