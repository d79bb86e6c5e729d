"""Reads the runtimes that the farm packages or knows from the toolchain's files and writes `known/*.json`.

Run `python -m pipeline.ops.known_aars_writing` after a new version is pinned.
"""

from __future__ import annotations

import json
import sys

from farm import settings
from pipeline.ops import aar
from pipeline.ops.aar import AarReading
from pipeline.ops.known_aars import APP, FOLDER, STOCK
from pipeline.toolchain import maven
from pipeline.toolchain.maven import Toolchain
from pipeline.toolchain.pins import Role

ROLES = {APP: Role.NATIVE, STOCK: Role.FLEX_RUNTIME}


def read(name: str, chain: Toolchain) -> AarReading:
    """Read the runtime's files; ToolMissing when they were not fetched."""
    pinned = chain.pins.with_role(ROLES[name])
    readings = [aar.read(chain.path(one)) for one in pinned]
    title = f"{name}: {' + '.join(sorted({f'{one.name} {one.version}' for one in pinned}))}"
    return aar.combine(title, readings)


def main() -> int:
    """Write `known/*.json` again."""
    chain = maven.at(settings.load().toolchain)
    for name in ROLES:
        text = json.dumps(read(name, chain).model_dump(mode="json"), separators=(",", ":"))
        # One line an ABI: short enough to look at, and no name on a line of its own.
        (FOLDER / f"{name}.json").write_text(text.replace('"abis":{', '"abis":{\n').replace('},"', '},\n"') + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
