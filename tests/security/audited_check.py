"""Check every folder below a folder in one process that keeps a record of what it does; prints JSON.

    python -m tests.security.audited_check ROOT

Recorded by Python's audit hooks: every file opened outside of ROOT and of the installation, every program started,
every connection, every pickle read, every piece of code run from data.
"""

from __future__ import annotations

import json
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any

from farm.errors import FarmError
from pipeline.models import checking

FORBIDDEN = (
    "os.system", "os.exec", "os.fork", "os.posix_spawn", "subprocess.Popen", "socket.connect", "socket.getaddrinfo",
    "pickle.find_class", "ctypes.dlopen", "urllib.Request", "shutil.rmtree",
)  # fmt: skip


def main(root: Path) -> None:
    installation = (Path(sys.prefix), Path(sysconfig.get_path("stdlib")), Path(__file__).parents[2])
    findings: list[str] = []
    current = ""
    active = True

    def record(event: str, arguments: tuple[Any, ...]) -> None:
        if active and event in FORBIDDEN:
            findings.append(f"{current}: {event} {arguments!r}")
        if active and event == "open" and isinstance(arguments[0], str) and arguments[0].startswith("/"):
            path = Path(arguments[0])
            if not any(path.is_relative_to(place) for place in (root, *installation)):
                findings.append(f"{current}: open {path}")

    answers, seconds = {}, {}
    with tempfile.TemporaryDirectory(dir=root) as scratch:
        sys.addaudithook(record)
        for folder in sorted(root.iterdir()):
            current = folder.name
            if (folder / "source").is_dir():
                started = time.perf_counter()
                answers[current] = _answer(folder / "source", Path(scratch))
                seconds[current] = time.perf_counter() - started
        active = False
    heavy = [name for name in ("tensorflow", "keras", "keras_hub") if name in sys.modules]
    sys.stdout.write(json.dumps({"answers": answers, "findings": findings, "heavy": heavy, "seconds": seconds}))


def _answer(source: Path, scratch: Path) -> list[str]:
    try:
        checked = checking.check(source, scratch)
    except FarmError as error:
        return [type(error).__name__, error.sentence]
    except Exception as error:  # noqa: BLE001 (the test shows which model got this far)
        return ["crashed", f"{type(error).__name__}: {error}"[:300]]
    return ["accepted", checked.backbone]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
