"""The runtimes that the farm packages or knows, as they were read once: `known/*.json`, bound to their files' hashes.

`python -m pipeline.ops.known_aars` reads them again from the toolchain's files.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path

from farm import settings
from pipeline.ops import aar
from pipeline.ops.aar import AarReading
from pipeline.toolchain import maven
from pipeline.toolchain.maven import Toolchain
from pipeline.toolchain.pins import Role

FOLDER = Path(__file__).with_name("known")
APP, STOCK = "app", "stock"
ROLES = {APP: Role.NATIVE, STOCK: Role.FLEX_RUNTIME}


@cache
def load(name: str) -> AarReading:
    """What was read of the runtime of that name."""
    return AarReading.model_validate_json((FOLDER / f"{name}.json").read_bytes())


@cache
def all_known() -> tuple[AarReading, ...]:
    """Every runtime that the farm knows."""
    return tuple(load(name) for name in ROLES)


def find(digests: dict[str, str]) -> AarReading | None:
    """The reading of exactly these files, if they are those of a known runtime."""
    return next((known for known in all_known() if known.files == digests), None)


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
