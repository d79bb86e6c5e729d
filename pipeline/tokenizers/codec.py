"""Text to tokens and back by the tokenizers package, for every kind."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farm.chat import Piece, join_pieces
from farm.errors import FileUnreadable, UsageError
from farm.plain_text import replace_surrogates
from pipeline.tokenizers import kinds
from pipeline.tokenizers.unusable import TokenizerUnusable

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
        document = json.loads(content)
        try:
            kind = kinds.find(document)
        except TokenizerUnusable as error:
            raise FileUnreadable(
                f"{where} is {error.setting}, which the farm does not have; take the file from the job that made the"
                " model."
            ) from error
        self._printer = kind.print_token
        self._document = document
        self._inner: Tokenizer | None = None
        self._added = {
            int(token["id"]): b"" if token["special"] else str(token["content"]).encode()
            for token in document.get("added_tokens") or ()
            if kind.prints_added or token["special"]
        }

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
        """The greatest id of a token, plus one: ids may have gaps."""
        return max(self._tokenizer.get_vocab().values(), default=-1) + 1

    @property
    def ids(self) -> dict[str, int]:
        """The id of each token by its spelling, added tokens included."""
        return dict(self._tokenizer.get_vocab())

    def spelling(self, token: int) -> str | None:
        """What a token is written as in the tokenizer's file; None for an id that no token has."""
        found: str | None = self._tokenizer.id_to_token(token)
        return found

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """What the special tokens are written as, in the order of their ids."""
        added = sorted(self._tokenizer.get_added_tokens_decoder().items())
        return tuple(token.content for _, token in added if token.special)

    def encode(self, text: str) -> list[int]:
        """The text's tokens, without any start or end token; UsageError for half of a surrogate pair."""
        try:
            return list(self._tokenizer.encode(text, add_special_tokens=False).ids)
        except (TypeError, UnicodeEncodeError) as error:
            raise UsageError("The text is not Unicode: it has half of a surrogate pair; give it as UTF-8.") from error

    def encode_literally(self, text: str) -> list[int]:
        """The same with special tokens in the text read as ordinary text."""
        self._tokenizer.encode_special_tokens = True
        try:
            return self.encode(text)
        finally:
            self._tokenizer.encode_special_tokens = False

    def encode_pieces(self, pieces: Sequence[Piece]) -> list[int]:
        """The tokens of ids and literal texts beside each other, as the reference reads the whole text with these ids
        spelled out: neighbouring texts are one, and only the first of all is the beginning of a text."""
        tokens: list[int] = []
        for piece in join_pieces(pieces):
            if isinstance(piece, int):
                tokens.append(piece)
            else:
                whole = replace_surrogates(piece)
                tokens += self._encode_inside(whole) if tokens else self.encode_literally(whole)
        return tokens

    def _encode_inside(self, text: str) -> list[int]:
        """The same as `encode_literally` where the text is not the beginning of one."""
        if self._inner is None:
            inner, changed = _without_first_prefix(self._document)
            if not changed:
                self._inner = self._tokenizer
            else:
                self._inner = type(self._tokenizer).from_str(json.dumps(inner))
        self._inner.encode_special_tokens = True
        try:
            return list(self._inner.encode(text, add_special_tokens=False).ids)
        finally:
            self._inner.encode_special_tokens = False

    def strips(self, token: int) -> tuple[bool, bool]:
        """Whether the white space before and behind a special token belongs to it."""
        added = self._tokenizer.get_added_tokens_decoder().get(token)
        return (False, False) if added is None else (bool(added.lstrip), bool(added.rstrip))

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of all tokens from its beginning on, special tokens left out; broken UTF-8 reads as U+FFFD."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))

    def token_bytes(self, token: int) -> bytes:
        """What a token adds to a text; nothing for a special one and for an id that stands for none."""
        if token in self._added:
            return self._added[token]
        spelled = self._tokenizer.id_to_token(token)
        return b"" if spelled is None else self._printer(spelled)

    def stream(self, tokens: Iterable[int]) -> Iterator[str]:
        """The text of tokens that continue a text, as soon as its characters are complete.

        A character's bytes may lie in several tokens: they are held back until the character is whole.
        """
        reader = codecs.getincrementaldecoder("utf-8")("replace")
        for token in tokens:
            if piece := reader.decode(self.token_bytes(token)):
                yield piece
        if rest := reader.decode(b"", final=True):
            yield rest

    def continue_text(self, tokens: Iterable[int]) -> str:
        """What `stream` gives, whole."""
        return "".join(self.stream(tokens))


def _without_first_prefix(value: Any) -> tuple[Any, bool]:
    """A `tokenizer.json` in which no text gets a prefix for being the first; whether one did."""
    if isinstance(value, list):
        parts = [_without_first_prefix(part) for part in value]
        return [part for part, _ in parts], any(changed for _, changed in parts)
    if not isinstance(value, dict):
        return value, False
    changed = value.get("type") == "Metaspace" and value.get("prepend_scheme") == "first"
    if changed:
        value = {**value, "prepend_scheme": "never"}
    inner = {name: _without_first_prefix(value[name]) for name in ("pre_tokenizer", "pretokenizers") if name in value}
    changed = changed or any(found for _, found in inner.values())
    return {**value, **{name: part for name, (part, _) in inner.items()}}, changed
