"""The checks of an Android library: its form, its manifest, and those of an APK that do not need an app."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from xml.etree import ElementTree

from pipeline.android import checks, findings
from pipeline.android.archive import Entry
from pipeline.android.assembly import MODEL_ASSET
from pipeline.android.checks import CLASSES_ASSET, Expectation
from pipeline.android.findings import Check, Fault, Finding
from pipeline.android.package import Package
from pipeline.android.resources import ANDROID
from pipeline.binaries import zip_reading
from pipeline.toolchain import pins

MANIFEST, CLASSES, RULES = "AndroidManifest.xml", "classes.jar", "proguard.txt"
PARTS = (MANIFEST, "R.txt", CLASSES, RULES)
ENTRANCE = "dev/kerasfarm/generation/TextGenerator.class"
COMPONENTS = ("activity", "activity-alias", "service", "receiver", "provider")


class LibraryPackage(Package):
    """An AAR: its native libraries lie elsewhere than an APK's, its manifest is plain XML."""

    def libraries(self) -> tuple[Entry, ...]:
        """All native libraries."""
        return tuple(one for name, one in self.entries.items() if name.startswith("jni/") and name.endswith(".so"))

    @cached_property
    def root(self) -> ElementTree.Element | None:
        """The manifest; None when it is missing or no XML."""
        entry = self.entries.get(MANIFEST)
        try:
            # The parser of this Python refuses documents that grow without bounds.
            return None if entry is None else ElementTree.fromstring(self.content(entry))  # noqa: S314
        except ElementTree.ParseError:
            return None

    @cached_property
    def classes(self) -> frozenset[str] | None:
        """The names of what the code holds; None when it is missing or no archive."""
        entry = self.entries.get(CLASSES)
        if entry is None:
            return None
        try:
            with zipfile.ZipFile(io.BytesIO(self.content(entry))) as jar:
                return frozenset(jar.namelist())
        except zip_reading.DAMAGE:
            return None


def check_archive(library: LibraryPackage, _expected: Expectation) -> Iterator[Fault]:
    """It has the parts of an AAR, which can be read, and the class by which apps use it."""
    for name in PARTS:
        if name not in library.entries:
            yield Fault(f"it lacks {name}")
    if MANIFEST in library.entries and library.root is None:
        yield Fault(f"its {MANIFEST} is no XML")
    if CLASSES in library.entries and library.classes is None:
        yield Fault(f"its {CLASSES} is no sound archive")
    if library.classes is not None and ENTRANCE not in library.classes:
        yield Fault(f"its code lacks {ENTRANCE}")


def check_manifest(library: LibraryPackage, expected: Expectation) -> Iterator[Fault]:
    """It has a package of its own, and brings no permission and nothing that can be started into every app."""
    root = library.root
    if root is None:
        return
    if not root.get("package"):
        yield Fault("its manifest names no package")
    for element in root.iter():
        name = element.get(f"{{{ANDROID}}}name", "without a name")
        if element.tag.startswith("uses-permission") and name not in expected.rules.permissions:
            yield Fault(f"it asks for the permission {name} on behalf of every app")
        elif element.tag in COMPONENTS:
            yield Fault(f"it adds the {element.tag} {name} to every app")
        elif element.tag == "application" and element.get(f"{{{ANDROID}}}debuggable") == "true":
            yield Fault("it makes every app debuggable")
    levels = [element.get(f"{{{ANDROID}}}minSdkVersion", "") for element in root.iter("uses-sdk")]
    if levels != [str(expected.target.min_sdk)]:
        yield Fault(f"its manifest does not say that it needs SDK level {expected.target.min_sdk}")


def check_rules(library: LibraryPackage, _expected: Expectation) -> Iterator[Fault]:
    """Apps that shrink their code are told what native code looks up by name."""
    entry = library.entries.get(RULES)
    if entry is not None and library.libraries() and b"-keep" not in library.content(entry):
        yield Fault(f"its {RULES} keeps nothing, so that an app which shrinks its code can't load the runtime")


def check_assets(library: LibraryPackage, expected: Expectation) -> Iterator[Fault]:
    """The tokenizer's table is there; with a model, all that belongs to it and has the right hash."""
    if MODEL_ASSET in library.entries:
        yield from checks.check_assets(library, expected)
    elif CLASSES_ASSET not in library.entries:
        yield Fault(f"it lacks {CLASSES_ASSET}")


def check_operators(library: LibraryPackage, expected: Expectation) -> Iterator[Fault]:
    """The model in it, if there is one, only computes."""
    yield from checks.check_operators(library, expected)


CHECKS: tuple[Check[LibraryPackage, Expectation], ...] = (
    Check("archive", "Build the library again; an AAR has all of these parts.", check_archive),
    Check("manifest", "Take it out of the library's manifest; each app decides that for itself.", check_manifest),
    Check("rules", "Put the library's consumer rules into it.", check_rules),
    Check("abis", "Package the libraries for arm64-v8a, and for x86_64 where emulators matter.", checks.check_abis),
    Check("libraries", "Take a build of the library for that ABI with 16 KB segments.", checks.check_libraries),
    Check("assets", "Package the files of one and the same job again.", check_assets),
    Check("operators", "Take the model from a job of the farm, or from a source that you know.", check_operators),
)


def inspect(library: LibraryPackage, expected: Expectation) -> list[Finding]:
    """Run every check. PackageInvalid when the file is no archive."""
    return [finding for check in CHECKS for finding in check.run(library, expected, expected.rules)]


def require(path: Path, permitted_ops: frozenset[str] = frozenset()) -> None:
    """Raise PackageInvalid, which names everything that was found, unless there is no error."""
    findings.require_none(
        path.name, inspect(LibraryPackage(path), Expectation(pins.load().target, permitted_ops=permitted_ops))
    )
