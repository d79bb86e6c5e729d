"""An APK that is looked at: its entries, manifest, signature and content, each read once when somebody asks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from farm.errors import PackageInvalid
from pipeline import process
from pipeline.android import archive, badging, manifest, signing
from pipeline.android.archive import Entry
from pipeline.android.badging import Badging
from pipeline.android.manifest import Manifest
from pipeline.android.signing import Signature
from pipeline.toolchain import tools
from pipeline.toolchain.tools import Tool

TIMEOUT = 120.0


class Package:
    """An APK. PackageInvalid from whatever is asked first when the file is none."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def entries(self) -> Mapping[str, Entry]:
        """All entries by name."""
        return {entry.name: entry for entry in archive.read_entries(self.path)}

    @cached_property
    def badging(self) -> Badging:
        """What the manifest says of the whole app."""
        return badging.read(self.path)

    @cached_property
    def manifest(self) -> Manifest:
        """What the manifest says of its parts."""
        return manifest.read(self.path)

    @cached_property
    def signature(self) -> Signature:
        """What apksigner says; PackageInvalid when no signature holds."""
        return signing.verify(self.path)

    @cached_property
    def zipalign_agrees(self) -> bool:
        """Whether Android's own tool finds all entries aligned."""
        try:
            process.run(
                (tools.find(Tool.ZIPALIGN), "-c", "-p", "4", self.path),
                timeout=TIMEOUT, error=PackageInvalid, hint="build the package again.",
            )  # fmt: skip
        except PackageInvalid:
            return False
        return True

    def libraries(self) -> tuple[Entry, ...]:
        """All native libraries."""
        return tuple(one for name, one in self.entries.items() if name.startswith("lib/") and name.endswith(".so"))

    def dex_files(self) -> tuple[Entry, ...]:
        """All code."""
        return tuple(one for name, one in self.entries.items() if "/" not in name and name.endswith(".dex"))

    def content(self, entry: Entry) -> bytes:
        """An entry's whole content: for libraries and code, not for models."""
        with archive.opened(self.path) as opened:
            return opened.read(entry.name)

    def digest(self, entry: Entry) -> str:
        """Hex SHA-256 of an entry's content, read a chunk at a time."""
        with archive.opened(self.path) as opened, opened.open(entry.name) as stream:
            found = hashlib.sha256()
            while chunk := stream.read(archive.CHUNK_BYTES):
                found.update(chunk)
            return found.hexdigest()
