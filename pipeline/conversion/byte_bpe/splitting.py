"""Where the pieces begin into which a tokenizer splits a text before it merges: regular expressions as vector rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import tensorflow as tf

from farm.errors import UnsupportedArchitecture
from farm.tokenizer_kinds import PreTokenizer
from pipeline.conversion.byte_bpe.bloom import split_like_bloom
from pipeline.conversion.byte_bpe.characters import PADDING, Characters, as_int, kinds_behind, shifted
from pipeline.conversion.byte_bpe.llama3 import split_like_llama3
from pipeline.conversion.byte_bpe.unicode_classes import CodePointClass


def split_like_gpt2(text: Characters) -> tf.Tensor:
    """Beginnings of pieces, bool [L], by GPT-2's pattern:

    's|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+
    """
    space = CodePointClass.SPACE
    kinds, values = text.kinds, text.values
    kind_before, byte_before = shifted(kinds, -1, PADDING), shifted(values, -1)
    is_space, space_before = tf.equal(kinds, space), tf.equal(kind_before, space)
    # A blank joins the letters, numbers or signs behind it.
    blank_before = tf.equal(byte_before, ord(" "))
    begins_word = tf.logical_not(is_space) & tf.not_equal(kinds, kind_before) & tf.logical_not(blank_before)
    # A run of white space gives its last character to what follows: as the word's blank, or as a piece of its own.
    next_kind = kinds_behind(text)
    last_of_run = (next_kind >= 0) & tf.not_equal(next_kind, space)
    begins_space = is_space & (tf.logical_not(space_before) | last_of_run)
    begins = (begins_word | begins_space) & text.leads
    short, long = _contractions(text, kind_before, space_before, blank_before)
    # The letters belong to the apostrophe, and a new piece begins behind them.
    begins &= tf.logical_not(shifted(as_int(short | long), -1) > 0)
    behind = (shifted(as_int(short), -2) + shifted(as_int(long), -3)) > 0
    return begins | (behind & text.leads)


def _contractions(
    text: Characters, kind_before: tf.Tensor, space_before: tf.Tensor, blank_before: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Apostrophes of contractions with one letter and with two, where one can begin a piece at all."""
    values = text.values
    second, third = shifted(values, 1), shifted(values, 2)

    def spells(letters: str) -> tf.Tensor:
        first = tf.equal(second, ord(letters[0]))
        return first if len(letters) == 1 else first & tf.equal(third, ord(letters[1]))

    # Behind a sign the apostrophe belongs to the sign's piece, and behind a blank to the blank's.
    word_before = tf.equal(kind_before, CodePointClass.LETTER) | tf.equal(kind_before, CodePointClass.NUMBER)
    can_begin = tf.equal(kind_before, PADDING) | word_before | (space_before & tf.logical_not(blank_before))
    apostrophe = tf.equal(values, ord("'")) & can_begin
    short = spells("s") | spells("t") | spells("m") | spells("d")
    return apostrophe & short, apostrophe & (spells("re") | spells("ve") | spells("ll"))


# Numbers to the tokenizers package's digits, though not yet to its expressions: Tolong Siki's digits, Chinese signs.
LATER_NUMBERS = (range(0x11DE0, 0x11DEA), range(0x16FF4, 0x16FF7))


def split_like_smollm(text: Characters) -> tf.Tensor:
    """Beginnings of pieces, bool [L]: every digit alone, and what is between two of them by GPT-2's pattern."""
    digit = tf.equal(text.kinds, CodePointClass.NUMBER) | _later_numbers(text)
    between = replace(
        text,
        values=tf.where(digit, 0, text.values),
        kinds=tf.where(digit, PADDING, text.kinds),
        leads=text.leads & tf.logical_not(digit),
        valid=text.valid & tf.logical_not(digit),
    )
    return split_like_gpt2(between) | (digit & text.leads)


def _later_numbers(text: Characters) -> tf.Tensor:
    """The bytes of these characters, all of which have four and begin and end alike."""
    found = tf.zeros_like(text.values)
    first, second, third, last = (shifted(text.values, by) for by in range(4))
    for numbers in LATER_NUMBERS:
        low, high = chr(numbers.start).encode(), chr(numbers.stop - 1).encode()
        spelled = tf.equal(first, low[0]) & tf.equal(second, low[1]) & tf.equal(third, low[2])
        found += as_int(spelled & (last >= low[3]) & (last <= high[3]))
    inside = sum((shifted(found, -by) for by in range(1, 4)), found)
    return inside > 0


@dataclass(frozen=True)
class SplitPattern:
    """A way of splitting: a name, and the rule that finds the beginnings of pieces."""

    name: str
    find_beginnings: Callable[[Characters], tf.Tensor]


# Another model's pattern is another entry: a rule over classes, bytes and their neighbours.
PATTERNS: dict[PreTokenizer, SplitPattern] = {
    PreTokenizer.GPT2: SplitPattern(PreTokenizer.GPT2, split_like_gpt2),
    PreTokenizer.LLAMA3: SplitPattern(PreTokenizer.LLAMA3, split_like_llama3(digits=3)),
    PreTokenizer.QWEN2: SplitPattern(PreTokenizer.QWEN2, split_like_llama3(digits=1)),
    PreTokenizer.SMOLLM: SplitPattern(PreTokenizer.SMOLLM, split_like_smollm),
    PreTokenizer.BLOOM: SplitPattern(PreTokenizer.BLOOM, split_like_bloom),
}


def find_pattern(name: str) -> SplitPattern:
    """The pattern of that name; UnsupportedArchitecture when there is no rule for it."""
    found = next((pattern for known, pattern in PATTERNS.items() if known == name), None)
    if found is None:
        raise UnsupportedArchitecture(
            f"The graph cannot split text by the pattern {name} yet; choose the I/O mode `tokens`, or a"
            f" model with one of"
            f" these patterns: {', '.join(PATTERNS)}."
        )
    return found
