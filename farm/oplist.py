"""Which ops a job lets into its model: a set by name, and ops by name beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from farm.errors import FileUnreadable, UsageError

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_>.]{0,99}")
LONGEST_FILE = 1 << 20


class OpSet(StrEnum):
    """builtin: what TFLite itself has. flex: also what the stock Flex AAR registers. tftext: also TF Text's ops, for an
    AAR that links them. listed: nothing but what is named."""

    BUILTIN = "builtin"
    FLEX = "flex"
    TFTEXT = "tftext"
    LISTED = "listed"


def parse_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names of ops, each once and in order; UsageError for what is none."""
    for name in names:
        if not NAME.fullmatch(name):
            raise UsageError(
                f"{name[:60]!r} is no name of an op; write it as `farm ops` does, for example StringLength."
            )
    return tuple(sorted(set(names)))


def read_names(path: Path) -> tuple[str, ...]:
    """The names in a file, one a line, # for remarks; FileUnreadable, UsageError."""
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST_FILE + 1)
        if len(content) > LONGEST_FILE:
            raise FileUnreadable(f"{path} is too long for a list of ops; give a text file with one name a line.")
        lines = content.decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise FileUnreadable(f"{path} can't be read as a list of ops ({reason}); give one name a line.") from error
    names = parse_names([name for line in lines if (name := line.partition("#")[0].strip())])
    if not names:
        raise FileUnreadable(f"{path} names no op; write one name a line, or leave --ops out.")
    return names


def find_ops(text: str, folder: Path | None = None) -> OpSet | Path:
    """The set of that name, or the file of names, which is not read; UsageError when it can be neither.

    folder: of a relative path, the current one where None.
    """
    known = [one.value for one in OpSet if one is not OpSet.LISTED]
    if text in known:
        return OpSet(text)
    path = (folder or Path()) / Path(text).expanduser()
    if not path.exists() and "/" not in text and "." not in text:
        raise UsageError(f"There is no set of ops {text!r}; choose one of {', '.join(known)}, or give a file of names.")
    return path


def parse_ops(text: str, named: Sequence[str], folder: Path | None = None) -> tuple[OpSet, tuple[str, ...]]:
    """`builtin`, `flex`, `tftext` or a file's path, with names beside it: the set and all names."""
    found = find_ops(text, folder)
    if isinstance(found, OpSet):
        return found, parse_names(named)
    return OpSet.LISTED, parse_names([*read_names(found), *named])
