"""Letters, numbers and white space as the tokenizers package sees them, as the file `unicode-classes.bin`.

Split patterns speak of these classes. Which code points they hold depends on the Unicode version of whoever is asked:
the reference tokenizer, Python's `unicodedata` and each Android release differ. So app and graph carry the reference's
own answer as a table, which `scripts/unicode-classes` writes.

Layout, big-endian: the 4 bytes `UCL1`; uint16 number of blocks; one uint16 block number for each 256 code points
from 0 to 0x10FFFF; then each block, 64 bytes, 2 bits a code point, the lowest bits first. Classes: 0 other,
1 letter, 2 number, 3 white space.
"""

from __future__ import annotations

import struct
from enum import IntEnum

from tokenizers import pre_tokenizers

from farm import locations

TABLE = locations.ANDROID_BUILDER / "generation/src/main/assets/unicode-classes.bin"
MAGIC = b"UCL1"
CODE_POINTS = 0x110000
BLOCK = 256
SURROGATES = range(0xD800, 0xE000)


class CodePointClass(IntEnum):
    """What GPT-2's split pattern tells apart."""

    OTHER = 0
    LETTER = 1
    NUMBER = 2
    SPACE = 3


# A code point joins the piece of a neighbour of its own class and of no other; white space joins none of these.
NEIGHBOURS = ((CodePointClass.LETTER, "a"), (CodePointClass.OTHER, "!"), (CodePointClass.NUMBER, "1"))
SPLITTER = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


def classify(code_point: int) -> CodePointClass:
    """The class of a code point, asked of the reference; surrogates can't occur in text and count as other."""
    if code_point in SURROGATES:
        return CodePointClass.OTHER
    for kind, neighbour in NEIGHBOURS:
        if len(SPLITTER.pre_tokenize_str(neighbour + chr(code_point))) == 1:
            return kind
    return CodePointClass.SPACE


def pack(classes: bytes) -> bytes:
    """The file's content for one class a code point."""
    blocks: dict[bytes, int] = {}
    index = []
    for start in range(0, CODE_POINTS, BLOCK):
        values = classes[start : start + BLOCK]
        packed = bytes(
            values[i] | values[i + 1] << 2 | values[i + 2] << 4 | values[i + 3] << 6 for i in range(0, BLOCK, 4)
        )
        index.append(blocks.setdefault(packed, len(blocks)))
    return MAGIC + struct.pack(">H", len(blocks)) + struct.pack(f">{len(index)}H", *index) + b"".join(blocks)


def unpack(content: bytes) -> bytes:
    """One class a code point, from the file's content; ValueError when it has another form."""
    count = CODE_POINTS // BLOCK
    (blocks,) = struct.unpack_from(">H", content, 4)
    start = 6 + 2 * count
    if content[:4] != MAGIC or len(content) != start + blocks * BLOCK // 4:
        raise ValueError("not a table of code point classes")
    classes = bytearray()
    for block in struct.unpack_from(f">{count}H", content, 6):
        offset = start + block * BLOCK // 4
        for byte in content[offset : offset + BLOCK // 4]:
            classes += bytes((byte & 3, byte >> 2 & 3, byte >> 4 & 3, byte >> 6))
    return bytes(classes)
