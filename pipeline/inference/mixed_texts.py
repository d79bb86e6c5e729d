"""Texts that tell tokenizers apart: contractions, digits, runs of blanks, scripts, emoji, special tokens as text."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

PARTS = (
    *("the", "The list", "aaaa", "don't", "I'll've", "'s", "'S", "''", "'re", " 'm", "x'd", "1'ten", "_x", "a.b"),
    *(" ", "  ", "   ", "\t", "\n", "\n\n", " \n ", "\r\n", "\u00a0", "\u2028", "\u3000", "\u200b", "\0"),
    *("1", "22", "333", "4444", "\u0663", "\u00bd", "\u2167", "\uff11", "!", "...", "?!", "--", "<|endoftext|>", "#"),
    *("caf\u00e9", "cafe\u0301", "\u4f60\u597d", "\u3053\u3093", "\u041f\u0440\u0438", "\u05e9\u05dc", "\u0928\u092e"),
    *("\U0001f642", "\U0001f44d\U0001f3fd", "\U0001d4d0", "\U00020000", "\u00df", "\u0130", "\ufffd", "\ue000"),
)


def mixed_texts(count: int, most_bytes: int, seed: int = 1, further: Sequence[str] = ()) -> Iterator[str]:
    """So many texts, the empty one first, each of at most so many bytes: parts, random characters, and runs.

    further: parts beside the usual ones, such as a model's own special tokens.
    """
    parts = (*PARTS, *further)
    chance = random.Random(seed)  # noqa: S311  (tests of a tokenizer, no secret)
    yield ""
    for number in range(count - 1):
        match number % 4:
            case 0 | 1:
                text = "".join(chance.choice(parts) for _ in range(chance.randrange(1, 24)))
            case 2:
                text = "".join(_character(chance) for _ in range(chance.randrange(1, 48)))
            case _:
                text = "".join(chance.choice(parts) * chance.randrange(1, 9) for _ in range(chance.randrange(1, 6)))
        while len(text.encode()) > most_bytes:
            text = text[: len(text) // 2]
        yield text


def _character(chance: random.Random) -> str:
    low, high = chance.choice(((0x20, 0x7F), (0x80, 0x800), (0x800, 0xD800), (0xE000, 0x10000), (0x10000, 0x110000)))
    return chr(chance.randrange(low, high))
