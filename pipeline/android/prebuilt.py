"""The app built before any job asks for it: beside the toolchain, under the digest of what decides it.

`python -m pipeline.android.prebuilt KEPT FOLDER` puts it into FOLDER, as the image of the Android worker holds it. KEPT
is where it stays for the next build of the image.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from farm import settings
from farm.errors import FarmError
from farm.progress import Reporter
from pipeline.android import building
from pipeline.android.base import AppSources
from pipeline.provenance import stage_code
from pipeline.toolchain import maven
from pipeline.toolchain.maven import Toolchain

FOLDER = "app-base"


def name() -> str:
    """Under which the app of these sources is filed."""
    return stage_code.of_module(building.__name__)


def place(tools: Toolchain) -> Path:
    """Where the app of these sources lies, if it came with the toolchain."""
    return tools.folder / FOLDER / name()


def provide(tools: Toolchain, kept: Path, target: Path, report: Reporter) -> None:
    """Build the app unless it was `kept`, and copy it to `target`; ToolMissing, StageCrashed."""
    built = kept / name()
    if not built.is_dir():
        kept.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept, prefix=".new-") as scratch:
            draft = Path(scratch) / "app"
            building.build(AppSources(), tools, draft, Path(scratch) / "scratch", report)
            draft.rename(built)
    target.mkdir(parents=True, exist_ok=True)
    shutil.copytree(built, target / built.name)


def main() -> int:
    """See above; the exit code is the error's, or 0."""
    try:
        kept, target = map(Path, sys.argv[1:])
        provide(maven.at(settings.load().toolchain), kept, target, lambda _share, activity: _say(activity))
    except FarmError as error:
        _say(error.sentence)
        return error.exit_code
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
