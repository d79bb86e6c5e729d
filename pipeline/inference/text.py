"""Text to tokens and back by the tokenizers package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from farm.errors import FileUnreadable

if TYPE_CHECKING:
    from tokenizers import Tokenizer

REPLACEMENT = "\ufffd"


class TextCodec:
    """A `tokenizer.json`: text to tokens and back."""

    def __init__(self, content: bytes, where: str):
        """Read the JSON text; FileUnreadable names `where` it came from."""
        # The Android worker's image is without the package, and its stages read no text.
        from tokenizers import Tokenizer

        try:
            self._tokenizer: Tokenizer = Tokenizer.from_buffer(content)
        # The package raises the bare class, whatever is wrong.
        except Exception as error:
            raise FileUnreadable(
                f"{where} is no tokenizer of the tokenizers package; take it from the job that made the model."
            ) from error

    @classmethod
    def open(cls, path: Path) -> TextCodec:
        """Read a file; FileUnreadable when it is missing or of another kind."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise FileUnreadable(
                f"{path} can't be read ({error.strerror}); put the job's tokenizer.json there."
            ) from error
        return cls(content, str(path))

    @property
    def vocabulary_size(self) -> int:
        """How many tokens there are, special ones included."""
        return int(self._tokenizer.get_vocab_size())

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """What the special tokens are written as, in the order of their ids."""
        added = sorted(self._tokenizer.get_added_tokens_decoder().items())
        return tuple(token.content for _, token in added if token.special)

    def encode(self, text: str) -> list[int]:
        """The text's tokens, without any start or end token."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def encode_literally(self, text: str) -> list[int]:
        """The same with special tokens in the text read as ordinary text."""
        self._tokenizer.encode_special_tokens = True
        try:
            return self.encode(text)
        finally:
            self._tokenizer.encode_special_tokens = False

    def decode(self, tokens: Iterable[int]) -> str:
        """The tokens' text, special tokens left out; broken UTF-8 reads as U+FFFD."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))

    def stream(self, tokens: Iterable[int]) -> Iterator[str]:
        """Pieces of text as soon as they are complete; joined, they are the text of all tokens.

        A character's bytes may lie in several tokens: they are held back until the character is whole.
        """
        window: list[int] = []
        shown = ""
        for token in tokens:
            window.append(token)
            text = self.decode(window)
            if text.endswith(REPLACEMENT) or len(text) <= len(shown):
                continue
            yield text[len(shown) :]
            # One token stays as context, since a decoder may treat the first token of a text in its own way.
            window = window[-1:]
            shown = self.decode(window)
            if shown.startswith(REPLACEMENT) or not text.endswith(shown):
                window, shown = [], ""
        rest = self.decode(window)[len(shown) :]
        if rest:
            yield rest
