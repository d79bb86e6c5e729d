"""What the tokenizers package takes each code point for, as the file `unicode-classes.bin`.

Split patterns speak of letters, marks, numbers and white space. Which code points these are depends on the Unicode
version of whoever is asked: the package's expressions, its own `Digits` and `Punctuation`, Python's `unicodedata` and
each Android release differ. So app and graph carry the package's own answers as a table, which
`scripts/unicode-classes` writes.

Layout, big-endian: the 4 bytes `UCL2`; uint16 number of blocks; one uint16 block number for each 256 code points
from 0 to 0x10FFFF; then each block, 128 bytes, 4 bits a code point, the lower bits first. The values are those of
Category.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum

from tokenizers import Regex, pre_tokenizers

from farm import locations

DATA_FILES = ("android-builder/generation/src/main/assets/unicode-classes.bin",)

TABLE = locations.ANDROID_BUILDER / "generation/src/main/assets/unicode-classes.bin"
MAGIC = b"UCL2"
CODE_POINTS = 0x110000
BLOCK = 256
SURROGATES = range(0xD800, 0xE000)


class Category(IntEnum):
    """Code points that every step of the package's pre-tokenizers treats alike.

    By the general category that its regular expressions see, and by whether `Digits` and `Punctuation`, which have
    another Unicode version, take them for a digit or a punctuation mark.
    """

    OTHER = 0
    OTHER_LETTER = 1
    UPPER_LETTER = 2
    LOWER_LETTER = 3
    MODIFIER_LETTER = 4
    TITLE_LETTER = 5
    MARK = 6
    PUNCTUATED_MARK = 7
    NUMBER = 8
    DIGIT_WITHOUT_NUMBER = 9
    PUNCTUATION = 10
    PUNCTUATED_PUNCTUATION = 11
    SYMBOL = 12
    PUNCTUATED_SYMBOL = 13
    SPACE = 14


class CodePointClass(IntEnum):
    """What GPT-2's split pattern tells apart."""

    OTHER = 0
    LETTER = 1
    NUMBER = 2
    SPACE = 3


LETTERS = frozenset(
    {
        Category.OTHER_LETTER, Category.UPPER_LETTER, Category.LOWER_LETTER, Category.MODIFIER_LETTER,
        Category.TITLE_LETTER,
    }
)  # fmt: skip
# What a general category becomes, without and with the package's own word on digits and punctuation.
EXPRESSIONS: dict[str, tuple[Category, Category]] = {
    r"\p{Lo}": (Category.OTHER_LETTER,) * 2,
    r"\p{Lu}": (Category.UPPER_LETTER,) * 2,
    r"\p{Ll}": (Category.LOWER_LETTER,) * 2,
    r"\p{Lm}": (Category.MODIFIER_LETTER,) * 2,
    r"\p{Lt}": (Category.TITLE_LETTER,) * 2,
    r"\p{M}": (Category.MARK, Category.PUNCTUATED_MARK),
    r"\p{N}": (Category.NUMBER,) * 2,
    r"\p{P}": (Category.PUNCTUATION, Category.PUNCTUATED_PUNCTUATION),
    r"\p{S}": (Category.SYMBOL, Category.PUNCTUATED_SYMBOL),
    r"\s": (Category.SPACE,) * 2,
}
ALONE = {
    expression: pre_tokenizers.Split(Regex(expression), behavior="removed", invert=True) for expression in EXPRESSIONS
}
DIGITS = pre_tokenizers.Digits(individual_digits=True)
PUNCTUATION = pre_tokenizers.Punctuation(behavior="isolated")


def classify(code_point: int) -> Category:
    """The category of a code point, asked of the package; surrogates can't occur in text and count as other."""
    if code_point in SURROGATES:
        return Category.OTHER
    character = chr(code_point)
    # Both steps leave a letter and a letter together.
    is_digit = len(DIGITS.pre_tokenize_str("a" + character)) == 2
    is_punctuated = len(PUNCTUATION.pre_tokenize_str("a" + character)) == 2
    for expression, (plain, marked) in EXPRESSIONS.items():
        if ALONE[expression].pre_tokenize_str(character):
            return marked if is_punctuated else plain
    return Category.DIGIT_WITHOUT_NUMBER if is_digit else Category.OTHER


def pack(categories: bytes) -> bytes:
    """The file's content for one category a code point."""
    blocks: dict[bytes, int] = {}
    index = []
    for start in range(0, CODE_POINTS, BLOCK):
        values = categories[start : start + BLOCK]
        packed = bytes(values[i] | values[i + 1] << 4 for i in range(0, BLOCK, 2))
        index.append(blocks.setdefault(packed, len(blocks)))
    return MAGIC + struct.pack(">H", len(blocks)) + struct.pack(f">{len(index)}H", *index) + b"".join(blocks)


def unpack_categories(content: bytes) -> bytes:
    """One category a code point, from the file's content; ValueError when it has another form."""
    count = CODE_POINTS // BLOCK
    (blocks,) = struct.unpack_from(">H", content, 4)
    start = 6 + 2 * count
    if content[:4] != MAGIC or len(content) != start + blocks * BLOCK // 2:
        raise ValueError("not a table of code point classes")
    return bytes(_nibbles(content, start, struct.unpack_from(f">{count}H", content, 6)))


def _nibbles(content: bytes, start: int, index: tuple[int, ...]) -> Iterator[int]:
    for block in index:
        offset = start + block * BLOCK // 2
        for byte in content[offset : offset + BLOCK // 2]:
            yield byte & 15
            yield byte >> 4


def unpack(content: bytes) -> bytes:
    """One CodePointClass a code point, from the file's content; ValueError when it has another form."""
    classes = bytearray(range(256))
    for category in Category:
        classes[category] = class_of(category)
    return unpack_categories(content).translate(bytes(classes))


def class_of(category: Category) -> CodePointClass:
    """What a category is for GPT-2's split pattern."""
    if category in LETTERS:
        return CodePointClass.LETTER
    if category is Category.NUMBER:
        return CodePointClass.NUMBER
    return CodePointClass.SPACE if category is Category.SPACE else CodePointClass.OTHER
