"""What every tokenizer can do in Python, whatever its kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from farm.tokenizer_kinds import Feature, PreTokenizer, TokenizerKind

Json = Any


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


@dataclass(frozen=True)
class Steps:
    """What a file does with a text before and after its vocabulary is looked up, in the farm's spelling.

    features: what a reader must be able to do; others: by name what no row of the table describes. split: of a
    byte-level BPE, where it is in the table.
    """

    normalizer: Json
    pre_tokenizer: Json
    features: tuple[Feature, ...] = ()
    others: tuple[str, ...] = ()
    split: PreTokenizer | None = None


class KindOfFile(Protocol):
    """What a kind knows about a `tokenizer.json`; `kinds` is the table of all.

    name: what `model-info.json` says. feature: the row of the table in farm/tokenizer_kinds.py. prints_added: whether
    an added token that is not special prints as its content, and not as a piece of the vocabulary does.
    """

    name: TokenizerKind
    feature: Feature
    prints_added: bool

    def recognises(self, value: Mapping[str, Json]) -> bool:
        """Whether a file with a model is of this kind."""

    def read_steps(self, value: Mapping[str, Json], vocabulary: Mapping[str, int]) -> Steps:
        """The file's steps. TokenizerUnusable."""

    def write_model(self, model: Mapping[str, Json]) -> dict[str, Json]:
        """The settings of the file's `model`, in the farm's spelling, without the vocabulary and the merges."""

    def print_token(self, token: str) -> bytes:
        """The bytes that the vocabulary's entry stands for within a text."""
