"""Which Android library runs the I/O mode `strings`: the published one, a supplied one, or one built for its models."""

from __future__ import annotations

from pathlib import Path

from farm.errors import AarUnusable, UsageError

STOCK = "stock"
BAZEL = "bazel"
FILE_PREFIX = "file:"
# How an archive begins: the rest is read once a job needs it.
ARCHIVE = b"PK\x03\x04"


def parse(text: str, folder: Path = Path()) -> str:
    """`stock`, `bazel`, or `file:PATH` with an absolute path; UsageError, AarUnusable when there is no such archive."""
    if text in (STOCK, BAZEL):
        return text
    if not text.startswith(FILE_PREFIX) or not text.removeprefix(FILE_PREFIX):
        raise UsageError(f"There is no AAR {text[:60]!r}; choose {STOCK}, {BAZEL} or file:PATH.")
    path = (folder / Path(text.removeprefix(FILE_PREFIX)).expanduser()).absolute()
    if not path.is_file():
        raise AarUnusable(f"There is no AAR at {path}; give the path of an .aar file.")
    try:
        with path.open("rb") as file:
            begins = file.read(len(ARCHIVE))
    except OSError as error:
        raise AarUnusable(f"{path} can't be read ({error.strerror}); give an .aar file that can.") from error
    if begins != ARCHIVE:
        raise AarUnusable(f"{path} is no AAR, since it is no archive; give the path of an .aar file.")
    return f"{FILE_PREFIX}{path}"


def file_of(aar: str) -> Path | None:
    """The supplied file; None for the other providers."""
    return Path(aar.removeprefix(FILE_PREFIX)) if aar.startswith(FILE_PREFIX) else None
