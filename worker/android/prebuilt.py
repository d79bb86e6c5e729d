"""The app built before any job asks for it: beside the toolchain, under the digest of what decides it.

`python -m worker.android.prebuilt FOLDER` makes a toolchain with the app in it, as the image of the Android worker
holds one. What was fetched and built before is kept in FARM_TOOLCHAIN.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from farm import digests, locations, settings
from farm.errors import FarmError
from farm.progress import Reporter
from farm.stages import BY_NAME, StageName
from worker.android import base, toolchain
from worker.android.base import AppSources
from worker.android.toolchain import Toolchain

FOLDER = "app-base"


def place(tools: Toolchain) -> Path:
    """Where the app of these sources lies, if it was built."""
    return tools.folder / FOLDER / digests.of_sources(locations.ROOT, BY_NAME[StageName.APP].code)


def ensure(tools: Toolchain, report: Reporter) -> Path:
    """Build the app unless it is there, whole or not at all; its folder. ToolMissing, StageCrashed."""
    built = place(tools)
    if not built.is_dir():
        built.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=built.parent, prefix=".new-") as scratch:
            draft = Path(scratch) / "app"
            base.build(AppSources(), tools, draft, Path(scratch) / "scratch", report)
            draft.rename(built)
    return built


def provide(kept: Toolchain, target: Path, report: Reporter) -> None:
    """Fetch what `kept` lacks, and copy to `target` what is pinned and the app of these sources, and nothing else."""
    toolchain.fetch(kept, _say)
    built = ensure(kept, report)
    target.mkdir(parents=True, exist_ok=True)
    for artifact in kept.pins.artifacts:
        shutil.copy2(kept.path(artifact), target / artifact.file_name)
    shutil.copytree(built, target / FOLDER / built.name)


def main() -> int:
    """See above; the exit code is the error's, or 0."""
    try:
        kept = toolchain.at(settings.load().toolchain)
        provide(kept, Path(sys.argv[1]), lambda _share, doing: _say(doing))
    except FarmError as error:
        _say(error.sentence)
        return error.exit_code
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
