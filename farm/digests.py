"""SHA-256 of files, of folders' listings and of canonical JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from io import BufferedReader
from pathlib import Path
from typing import Any

CHUNK_BYTES = 1 << 20


def of_bytes(data: bytes) -> str:
    """Hex SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def of_file(path: Path) -> str:
    """Hex SHA-256 of a file's content."""
    with path.open("rb") as stream:
        return of_stream(stream)


def of_stream(stream: BufferedReader) -> str:
    """Hex SHA-256 of what is still to be read of a file."""
    return hashlib.file_digest(stream, "sha256").hexdigest()


def of_json(value: Any) -> str:
    """Hex SHA-256 of the canonical JSON form: sorted keys, no spaces, UTF-8."""
    return of_bytes(canonical_json(value))


def canonical_json(value: Any) -> bytes:
    """The one JSON form of a value that is hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def of_sources(root: Path, patterns: Iterable[str]) -> str:
    """Hex SHA-256 over the names and contents of all files below `root` that match one of the glob patterns.

    FileNotFoundError when a pattern matches none: a folder that was renamed must not leave a digest that never changes.
    """
    listing: dict[str, str] = {}
    for pattern in patterns:
        found = [path for path in root.glob(pattern) if path.is_file() and "__pycache__" not in path.parts]
        if not found:
            raise FileNotFoundError(f"no file below {root} matches {pattern}")
        listing |= {path.relative_to(root).as_posix(): of_file(path) for path in found}
    return of_json(listing)
