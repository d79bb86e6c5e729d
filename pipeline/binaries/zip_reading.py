"""Zip archives that people hand in (APKs, bundles, libraries): whatever is wrong with one is told in one sentence.

`zipfile` lets a dozen kinds of errors through, and unpacks whatever it is given, however large that becomes.
"""

from __future__ import annotations

import errno
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from farm.errors import FarmError

MEMBERS = 100_000
# Nothing in a package shrinks by more, but for what is small.
RATIO = 200
RATIO_FLOOR = 64 << 20
ENCRYPTED = 0x1
DAMAGE = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError,
    ValueError, OverflowError,
)  # fmt: skip
# Of a damaged bzip2 stream, and of a place before the file's beginning.
_DAMAGE_NUMBERS = (None, errno.EINVAL)


@contextmanager
def opened(path: Path, refusal: type[FarmError], sentence: str) -> Iterator[zipfile.ZipFile]:
    """The archive, to be read in the context. What is damaged, encrypted or a bomb is refused with the sentence."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > MEMBERS or any(map(_is_hostile, members)):
                raise refusal(sentence)
            yield archive
    except DAMAGE as error:
        raise refusal(sentence) from error
    except OSError as error:
        if error.errno in _DAMAGE_NUMBERS:
            raise refusal(sentence) from error
        raise


def _is_hostile(member: zipfile.ZipInfo) -> bool:
    bomb = member.file_size > max(RATIO_FLOOR, RATIO * member.compress_size)
    return bomb or bool(member.flag_bits & ENCRYPTED)
