"""The checks of a finished APK: each a function over the opened package that yields what it finds wrong."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from farm.errors import PackageInvalid
from farm.jobspec import AppSpec
from worker import process
from worker.android import archive, badging, binaries, signing, tools
from worker.android.archive import Entry
from worker.android.assembly import MODEL_ASSET
from worker.android.badging import Badging
from worker.android.pins import AndroidTarget
from worker.android.signing import Signature
from worker.android.tools import Tool

TIMEOUT = 120.0
SCHEMES = frozenset({2, 3})
HINT = "build the package again."


@dataclass(frozen=True)
class Finding:
    """Something wrong with a package: the check that found it, and a clause that says what."""

    check: str
    clause: str


@dataclass(frozen=True)
class Expectation:
    """What a package must be. assets: SHA-256 of the content by entry name."""

    app: AppSpec
    target: AndroidTarget
    assets: Mapping[str, str]


class Package:
    """An APK that is being checked. What the checks share is read once, when the first of them asks."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def entries(self) -> Mapping[str, Entry]:
        """All entries by name."""
        return {entry.name: entry for entry in archive.read_entries(self.path)}

    @cached_property
    def badging(self) -> Badging:
        """What the manifest says."""
        return badging.read(self.path)

    @cached_property
    def signature(self) -> Signature:
        """What apksigner says."""
        return signing.verify(self.path)

    def libraries(self) -> tuple[Entry, ...]:
        """All native libraries."""
        return tuple(one for name, one in self.entries.items() if name.startswith("lib/") and name.endswith(".so"))

    def dex_files(self) -> tuple[Entry, ...]:
        """All code."""
        return tuple(one for name, one in self.entries.items() if "/" not in name and name.endswith(".dex"))

    def content(self, entry: Entry) -> bytes:
        """An entry's whole content: for libraries and code, not for models."""
        with zipfile.ZipFile(self.path) as opened:
            return opened.read(entry.name)

    def digest(self, entry: Entry) -> str:
        """Hex SHA-256 of an entry's content, read a chunk at a time."""
        with zipfile.ZipFile(self.path) as opened, opened.open(entry.name) as stream:
            found = hashlib.sha256()
            while chunk := stream.read(archive.CHUNK_BYTES):
                found.update(chunk)
            return found.hexdigest()


Check = Callable[[Package, Expectation], Iterator[Finding]]


def check_signature(package: Package, _expected: Expectation) -> Iterator[Finding]:
    """Signature schemes 2 and 3 hold."""
    for scheme in sorted(SCHEMES - package.signature.schemes):
        yield Finding("signature", f"its signature of scheme v{scheme} does not hold")


def check_identity(package: Package, expected: Expectation) -> Iterator[Finding]:
    """Application id, versions, label, SDK levels and ABIs are those that were asked for."""
    found, app = package.badging, expected.app
    pairs: tuple[tuple[str, object, object], ...] = (
        ("application id", found.application_id, app.application_id),
        ("version code", found.version_code, app.version_code),
        ("version name", found.version_name, app.version_name),
        ("label", found.label, app.label),
        ("least SDK level", found.min_sdk, expected.target.min_sdk),
        ("target SDK level", found.target_sdk, expected.target.target_sdk),
        ("list of ABIs", sorted(found.abis), sorted(abi.value for abi in app.abis)),
    )
    for what, is_value, wanted in pairs:
        if is_value != wanted:
            yield Finding("identity", f"its {what} is {is_value!r} where {wanted!r} was asked for")


def check_privileges(package: Package, _expected: Expectation) -> Iterator[Finding]:
    """The app is not debuggable and asks for no permission."""
    if package.badging.debuggable:
        yield Finding("privileges", "it is debuggable")
    for permission in package.badging.permissions:
        yield Finding("privileges", f"it asks for the permission {permission}")


def check_alignment(package: Package, expected: Expectation) -> Iterator[Finding]:
    """The model and every library are stored at multiples of the page size, resources.arsc at multiples of 4."""
    page = expected.target.page_size
    model = [package.entries[MODEL_ASSET]] if MODEL_ASSET in package.entries else []
    table = [package.entries["resources.arsc"]] if "resources.arsc" in package.entries else []
    for entry, alignment in [(one, page) for one in (*model, *package.libraries())] + [(one, 4) for one in table]:
        if not entry.stored:
            yield Finding("alignment", f"{entry.name} is compressed and can't be mapped")
        elif not entry.aligned(alignment):
            yield Finding("alignment", f"{entry.name} begins at byte {entry.offset}, no multiple of {alignment}")


def check_zipalign(package: Package, _expected: Expectation) -> Iterator[Finding]:
    """Android's own tool agrees that the entries are aligned."""
    try:
        process.run(
            (tools.find(Tool.ZIPALIGN), "-c", "-p", "4", package.path),
            timeout=TIMEOUT, error=PackageInvalid, hint=HINT,
        )  # fmt: skip
    except PackageInvalid:
        yield Finding("zipalign", "zipalign finds entries that are not aligned")


def check_libraries(package: Package, expected: Expectation) -> Iterator[Finding]:
    """Every library is of its folder's machine and loads on a system with pages of 16 KB."""
    for entry in package.libraries():
        try:
            library = binaries.read_library(package.content(entry))
        except ValueError as error:
            yield Finding("libraries", f"{entry.name} can't be loaded since {error}")
            continue
        if library.abi != entry.name.split("/")[1]:
            yield Finding("libraries", f"{entry.name} is built for {library.abi or 'another machine'}")
        if library.load_alignment % expected.target.page_size:
            yield Finding("libraries", f"{entry.name} has segments aligned to {library.load_alignment} bytes only")


def check_code(package: Package, _expected: Expectation) -> Iterator[Finding]:
    """The activity that the launcher starts is there, and its class too."""
    defined: set[str] = set()
    for entry in package.dex_files():
        try:
            defined |= binaries.defined_classes(package.content(entry))
        except ValueError as error:
            yield Finding("code", f"{entry.name} can't be read since {error}")
    if not package.badging.activities:
        yield Finding("code", "it has no activity that a launcher could start")
    for activity in package.badging.activities:
        if activity not in defined:
            yield Finding("code", f"its code lacks the activity {activity}")


def check_assets(package: Package, expected: Expectation) -> Iterator[Finding]:
    """Every asset is there with the content that it should have."""
    for name, digest in expected.assets.items():
        entry = package.entries.get(name)
        if entry is None:
            yield Finding("assets", f"it lacks {name}")
        elif package.digest(entry) != digest:
            yield Finding("assets", f"{name} differs from the file that was packaged")


CHECKS: tuple[Check, ...] = (
    check_signature,
    check_identity,
    check_privileges,
    check_alignment,
    check_zipalign,
    check_libraries,
    check_code,
    check_assets,
)


def inspect(path: Path, expected: Expectation) -> list[Finding]:
    """Run every check. PackageInvalid when the file can't even be opened, or its signature does not hold at all."""
    package = Package(path)
    return [finding for check in CHECKS for finding in check(package, expected)]


def require(path: Path, expected: Expectation) -> None:
    """Raise PackageInvalid, which names everything that was found, unless all checks pass."""
    if findings := inspect(path, expected):
        clauses = ", and ".join(finding.clause for finding in findings)
        raise PackageInvalid(f"The package {path.name} fails its checks: {clauses}; {HINT}")
