"""What `aapt2 dump badging` says about an APK, as data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from farm.errors import PackageInvalid
from pipeline import process
from pipeline.toolchain import tools
from pipeline.toolchain.tools import Tool

TIMEOUT = 60.0
# aapt2 leaves single quotes as they are, so a line is taken apart by the words that surround a value.
PACKAGE = re.compile(r"package: name='([^']*)' versionCode='(\d*)' versionName='(.*?)' platformBuildVersionName=")


@dataclass(frozen=True)
class Badging:
    """An app as the system sees it before it is installed. abis: those that it has libraries for."""

    application_id: str
    version_code: int
    version_name: str
    label: str
    min_sdk: int
    target_sdk: int
    abis: frozenset[str]
    activities: tuple[str, ...]
    permissions: tuple[str, ...]
    debuggable: bool


def read(package: Path) -> Badging:
    """Ask aapt2; PackageInvalid when it can't read the package."""
    said = process.run(
        (tools.find(Tool.AAPT2), "dump", "badging", package),
        timeout=TIMEOUT,
        error=PackageInvalid,
        hint="the file is no readable APK; build it again.",
    )
    return parse(said.stdout)


def parse(text: str) -> Badging:
    """Take the output apart; PackageInvalid when a line that every app has is missing."""
    lines = text.split("\n")
    package = PACKAGE.match(lines[0])
    if package is None:
        raise PackageInvalid("The APK's manifest names no package and version; build the package again.")
    return Badging(
        application_id=package[1],
        version_code=int(package[2] or 0),
        version_name=_unescape(package[3]),
        label=_unescape(_first(lines, r"application-label:'(.*)'")),
        min_sdk=int(_first(lines, r"sdkVersion:'(\d+)'")),
        target_sdk=int(_first(lines, r"targetSdkVersion:'(\d+)'")),
        abis=frozenset(
            abi for line in _all(lines, r"(?:alt-)?native-code: (.*)") for abi in re.findall(r"'(.*?)'", line)
        ),
        activities=_all(lines, r"launchable-activity: name='([^']*)'.*"),
        permissions=_all(lines, r"uses-(?:implied-)?permission(?:-sdk-\d+)?: name='([^']*)'.*"),
        debuggable="application-debuggable" in lines,
    )


def _all(lines: list[str], pattern: str) -> tuple[str, ...]:
    return tuple(found[1] for line in lines if (found := re.fullmatch(pattern, line)))


def _first(lines: list[str], pattern: str) -> str:
    found = _all(lines, pattern)
    if not found:
        raise PackageInvalid(f"The APK's manifest lacks what {pattern.split(':')[0]} tells; build the package again.")
    return found[0]


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), text)
