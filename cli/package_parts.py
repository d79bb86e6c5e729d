"""What the bytes of an APK are."""

from __future__ import annotations

import zipfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from pipeline.inference import archive

# The folders of a bundle's modules.
MODULES = ("base", "model")


@dataclass(frozen=True)
class PackagePart:
    """All entries of one kind. packed and unpacked: bytes; stored: nothing compressed."""

    kind: str
    entries: int
    packed: int
    unpacked: int
    stored: bool


def package_parts(path: Path) -> tuple[PackagePart, ...]:
    """The parts of an APK or a bundle, the largest first; nothing for a file that is no zip. FileUnreadable."""
    if not zipfile.is_zipfile(path):
        return ()
    with archive.opened_package(path) as package:
        entries = package.infolist()
    groups: defaultdict[str, list[zipfile.ZipInfo]] = defaultdict(list)
    for entry in entries:
        groups[kind_of(entry.filename)].append(entry)
    parts = [
        PackagePart(
            kind,
            len(members),
            sum(member.compress_size for member in members),
            sum(member.file_size for member in members),
            all(member.compress_type == zipfile.ZIP_STORED for member in members),
        )
        for kind, members in groups.items()
    ]
    return tuple(sorted(parts, key=lambda part: -part.packed))


def kind_of(name: str) -> str:
    """What an entry is for, by its name."""
    folder, _, rest = name.partition("/")
    if folder in MODULES:
        folder, _, rest = rest.partition("/")
    if folder == "lib":
        return f"native libraries for {rest.partition('/')[0]}"
    if name.endswith(".tflite"):
        return "model"
    if name.endswith(".dex"):
        return "code"
    if folder == "assets":
        return "other assets"
    if folder == "META-INF":
        return "signature and metadata"
    return "manifest and resources"
