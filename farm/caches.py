"""Files that the farm keeps between jobs, each with its digest beside it: what is not as it was put there is not used.

CACHES/<cache>/<file>          read-only to stages
CACHES/<cache>/<file>.sha256   its digest, written before the file by the supervisor
"""

from __future__ import annotations

from pathlib import Path

from farm import digests

SUFFIX = ".sha256"


def find(caches: Path, cache: str, file: str) -> Path | None:
    """The file, if it is there and whole; a stage then makes it again."""
    path = caches / cache / file
    try:
        wanted = path.with_name(file + SUFFIX).read_text().strip()
        return path if path.is_file() and digests.of_file(path) == wanted else None
    except OSError:
        return None


def record(path: Path, digest: str) -> None:
    """Write down which digest the file at this path has, or is about to have."""
    place = path.with_name(path.name + SUFFIX)
    draft = place.with_name(place.name + ".part")
    draft.write_text(f"{digest}\n")
    draft.chmod(0o444)
    draft.replace(place)
