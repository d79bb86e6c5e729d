"""The virtual environment with TensorFlow of the stock AAR's version: made when a job first needs it, from hashes.

It lies in the farm's caches under the digest of its lock, and appears there whole or not at all. The supervisor makes
it, since stages have no network; what is installed is pinned, and nothing of a model takes part.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from farm import digests
from farm.errors import ReferenceEnvironmentUnavailable
from pipeline import process

DATA_FILES = ("pipeline/flex/reference-2.14.lock",)

LOCK = Path(__file__).with_name("reference-2.14.lock")
CACHE = "reference-environment"
TIMEOUT = 1800.0
HINT = "see that this machine reaches a Python package index and has 1.5 GB free, then run the job again."


def folder(caches: Path, lock: Path = LOCK) -> Path:
    """Where the environment of that lock lies."""
    return caches / CACHE / digests.of_file(lock)[:16]


def python(caches: Path, lock: Path = LOCK) -> Path:
    """Its interpreter; ReferenceEnvironmentUnavailable when the environment was not made."""
    found = folder(caches, lock) / "bin" / "python"
    if not found.exists():
        raise ReferenceEnvironmentUnavailable(
            f"TensorFlow of the AAR's version is not installed in {found.parents[1]}; {HINT}"
        )
    return found


def ensure(caches: Path, lock: Path = LOCK) -> Path:
    """Make the environment unless it is there; its folder.

    ReferenceEnvironmentUnavailable when it can't be installed.
    """
    target = folder(caches, lock)
    if (target / "bin" / "python").exists():
        return target
    draft = target.with_name(f"{target.name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.parent.mkdir(parents=True, exist_ok=True)
    _run(sys.executable, "-m", "venv", "--without-pip", draft)
    _run(
        sys.executable, "-m", "pip", "--python", draft / "bin" / "python", "install", "--quiet", "--no-deps",
        "--require-hashes", "--only-binary", ":all:", "--disable-pip-version-check", "--no-compile", "-r", lock,
    )  # fmt: skip
    try:
        draft.rename(target)
    except OSError:  # another worker was faster
        shutil.rmtree(draft)
    return target


def _run(*words: str | Path) -> None:
    process.run(words, timeout=TIMEOUT, error=ReferenceEnvironmentUnavailable, hint=HINT)
