"""The checks of an Android App Bundle: its own, and those of an APK on the universal APK made of it."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from farm.errors import PackageInvalid
from pipeline.android import bundle, checks
from pipeline.android.bundletool import ALL, BASE, Bundletool, Examination
from pipeline.android.checks import Expectation
from pipeline.android.findings import Check, Fault, Finding
from pipeline.android.package import Package
from pipeline.binaries import native


@dataclass(frozen=True)
class Bundle:
    """A bundle and the tool that looks into it."""

    path: Path
    tool: Bundletool

    @cached_property
    def examination(self) -> Examination:
        """What bundletool makes of it; PackageInvalid when the file is no bundle."""
        return self.tool.examine(self.path)

    @property
    def download(self) -> int:
        """Compressed bytes that a phone downloads, of the ABI with the largest libraries."""
        return max(sizes[ALL] for sizes in self.examination.sizes.values())


def check_bundle(subject: Bundle, _expected: Expectation) -> Iterator[Fault]:
    """bundletool, by which Play itself makes APKs, accepts it."""
    if subject.examination.refused is not None:
        yield Fault(f"bundletool refuses it ({subject.examination.refused.rstrip('.')})")


def check_bundle_signature(subject: Bundle, _expected: Expectation) -> Iterator[Fault]:
    """It is signed for upload, and nothing was changed afterwards."""
    if not bundle.signature_holds(subject.path):
        yield Fault("its upload signature is missing or does not hold")


def check_size(subject: Bundle, expected: Expectation) -> Iterator[Fault]:
    """Each module's and the whole download are within Play's limits, on the ABI with the largest libraries."""
    limits = expected.rules.size
    bounds = {ALL: limits.bundle, BASE: limits.base_module}
    for abi, sizes in subject.examination.sizes.items():
        for module, size in sizes.items():
            what, limit = f"its module {module}" if module else "everything", bounds.get(module, limits.asset_pack)
            if size > limit:
                yield Fault(f"{what} downloads as {size} bytes on {abi} where Play takes {limit}")


CHECKS: tuple[Check[Bundle, Expectation], ...] = (
    Check("bundle", "Build it again with bundletool.", check_bundle),
    Check("bundle-signature", "Sign it with jarsigner and the upload key, as the last step.", check_bundle_signature),
    Check("size", "Choose a recipe with smaller weights, or move the model into an asset pack.", check_size),
)


def inspect(subject: Bundle, expected: Expectation) -> list[Finding]:
    """Run the bundle's checks, then every check of an APK on the universal one. PackageInvalid for what is no bundle.

    A bundle that bundletool refuses gives no APK, so nothing more is found in it.
    """
    validity, *others = CHECKS
    found = validity.run(subject, expected, expected.rules)
    if found:
        return found
    for check in others:
        found += check.run(subject, expected, expected.rules)
    return found + checks.inspect(universal(subject), unsigned(expected))


def methods(subject: Bundle) -> dict[str, int]:
    """The methods that each dex file of the base module refers to."""
    with zipfile.ZipFile(subject.path) as opened:
        names = [name for name in opened.namelist() if name.startswith(f"{BASE}/dex/")]
        return {name: native.count_methods(opened.read(name)) for name in names}


def universal(subject: Bundle) -> Package:
    """The universal APK."""
    made = subject.examination.universal
    if made is None:
        raise PackageInvalid(f"bundletool refuses {subject.path.name}, so that no APK can be made of it.")
    return Package(made)


def unsigned(expected: Expectation) -> Expectation:
    """The same for an APK that bundletool laid out and Play will sign: entries are aligned to 4 bytes."""
    return dataclasses.replace(expected, signed=False, model_alignment=4)
