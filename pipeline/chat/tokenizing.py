"""From a template's texts to pieces with ids: special tokens become ids, so that only literal text is left to read."""

from __future__ import annotations

import re
from collections.abc import Sequence

from farm.chat import Chat, Piece, Pieces, SystemPlace, SystemTurn, Thinking, Trim, Turn, join_pieces
from pipeline.chat.extraction import Extraction, FoundThinking, Unfit
from pipeline.tokenizers.codec import TextCodec

NO_MARKERS = "The tokenizer has no token of its own for {}, so that thoughts are shown as a part of the answer."
STRIPPED = {
    (Trim.NONE, True, False): Trim.START, (Trim.NONE, False, True): Trim.END, (Trim.NONE, True, True): Trim.BOTH,
    (Trim.START, False, True): Trim.BOTH, (Trim.START, True, True): Trim.BOTH,
    (Trim.END, True, False): Trim.BOTH, (Trim.END, True, True): Trim.BOTH,
}  # fmt: skip


def tokenize(found: Extraction, codec: TextCodec, *, thinking: bool = False) -> tuple[Chat, tuple[str, ...]]:
    """The pieces with ids, and what to say of them; Unfit where they would be read otherwise than the whole rendering.

    thinking: whether conversations begin with thinking on.
    """
    splitter = _Splitter(codec)
    text = found.chat
    user, assistant = splitter.turn(text.user), splitter.turn(text.assistant)
    system = None if text.system is None else splitter.system(text.system, user)
    thinks, notes = _thinking(found.thinking, splitter, codec, wanted=thinking)
    chat = Chat(
        begin=splitter.split(text.begin),
        no_system=splitter.split(text.no_system),
        default_system=text.default_system,
        system=system,
        user=user,
        assistant=assistant,
        generation=splitter.split(text.generation),
        thinking=thinks,
        source=text.source,
    )
    for sample in found.samples:
        if sample.thinking and thinks is None:
            continue
        expected = codec.encode(sample.rendered)
        own = codec.encode_pieces(chat.pieces(sample.system, sample.exchanges, thinking=sample.thinking))
        if own != expected:
            at = next(
                (at for at, pair in enumerate(zip(own, expected, strict=False)) if pair[0] != pair[1]),
                min(len(own), len(expected)),
            )
            raise Unfit(
                f"the tokenizer reads a whole conversation as {expected[at : at + 4]} from token {at} on, and its parts"
                f" as {own[at : at + 4]}"
            )
    return chat, notes


def _thinking(
    found: FoundThinking | None, splitter: _Splitter, codec: TextCodec, *, wanted: bool
) -> tuple[Thinking | None, tuple[str, ...]]:
    if found is None:
        return None, ()
    ids = codec.ids
    missing = [marker for marker in found.markers if marker not in ids]
    if missing:
        return None, (NO_MARKERS.format(" and ".join(missing)),)
    thinking = Thinking(
        generation=splitter.split((found.generation,)),
        open_token=ids[found.markers[0]],
        close_token=ids[found.markers[1]],
        opened=found.opened,
        always=found.always,
        wanted=wanted or found.always,
    )
    return thinking, ()


class _Splitter:
    """Finds special tokens in a template's own texts."""

    def __init__(self, codec: TextCodec):
        self._ids = codec.ids
        self._strips = codec.strips
        longest_first = sorted(codec.special_tokens, key=len, reverse=True)
        pattern = "|".join(re.escape(token) for token in longest_first if token)
        self._pattern = re.compile(f"({pattern})") if pattern else None

    def split(self, texts: Sequence[Piece]) -> Pieces:
        """Ids and texts; white space beside a token that takes it is left out."""
        text = "".join(str(piece) for piece in texts)
        parts = self._pattern.split(text) if self._pattern else [text]
        pieces: list[Piece] = []
        strip = False
        for number, part in enumerate(parts):
            if number % 2:
                token = self._ids[part]
                before, strip = self._strips(token)
                if before and pieces and isinstance(pieces[-1], str):
                    pieces[-1] = pieces[-1].rstrip()
                pieces.append(token)
            else:
                pieces.append(part.lstrip() if strip else part)
        return join_pieces(pieces)

    def turn(self, turn: Turn) -> Turn:
        """The turn with ids; its text is trimmed where a token beside it takes its white space."""
        before, after = self.split(turn.before), self.split(turn.after)
        return Turn(before=before, after=after, trim=self._trim(turn.trim, before, after))

    def system(self, turn: SystemTurn, user: Turn) -> SystemTurn:
        """The same for the system's turn."""
        before, after = self.split(turn.before), self.split(turn.after)
        trim = self._trim(turn.trim, before, after)
        behind = turn.place is SystemPlace.QUESTION
        question = self._trim(turn.question_trim, after, user.after) if behind else user.trim
        return SystemTurn(before=before, after=after, trim=trim, place=turn.place, question_trim=question)

    def _trim(self, trim: Trim, before: Pieces, after: Pieces) -> Trim:
        start = bool(before) and isinstance(before[-1], int) and self._strips(before[-1])[1]
        end = bool(after) and isinstance(after[0], int) and self._strips(after[0])[0]
        return STRIPPED.get((trim, start, end), trim)
