"""The checks of an Android App Bundle: its own, and those of an APK on the universal APK made of it."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from farm.errors import PackageInvalid
from farm.jobspec import Abi
from worker.android import binaries, bundle, bundletool, checks
from worker.android.bundletool import BASE, Bundletool
from worker.android.checks import Expectation
from worker.android.findings import Check, Fault, Finding
from worker.android.package import Package


@dataclass(frozen=True)
class Bundle:
    """A bundle and the tool that looks into it."""

    path: Path
    tool: Bundletool

    def download_size(self, abi: Abi, module: str | None = None) -> int:
        """Compressed bytes that a phone of that ABI downloads."""
        return self.tool.download_size(self.path, abi, module)


def check_bundle(subject: Bundle, _expected: Expectation) -> Iterator[Fault]:
    """bundletool, by which Play itself makes APKs, accepts it."""
    try:
        subject.tool.validate(subject.path)
    except PackageInvalid as error:
        yield Fault(f"bundletool refuses it ({error.sentence.split(';')[0]})")


def check_bundle_signature(subject: Bundle, _expected: Expectation) -> Iterator[Fault]:
    """It is signed for upload, and nothing was changed afterwards."""
    if not bundle.signature_holds(subject.path):
        yield Fault("its upload signature is missing or does not hold")


def check_size(subject: Bundle, expected: Expectation) -> Iterator[Fault]:
    """Each module's and the whole download are within Play's limits, on the ABI with the largest libraries."""
    limits = expected.rules.size
    for abi in bundletool.abis(subject.path):
        bounds: list[tuple[str | None, str, int]] = [(None, "everything", limits.bundle)]
        for name in bundletool.modules(subject.path):
            bounds.append((name, f"its module {name}", limits.base_module if name == BASE else limits.asset_pack))
        for module, what, limit in bounds:
            size = subject.download_size(abi, module)
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
    bundletool.modules(subject.path)
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
        return {name: binaries.count_methods(opened.read(name)) for name in names}


def universal(subject: Bundle) -> Package:
    """The universal APK."""
    return Package(subject.tool.universal_apk(subject.path))


def unsigned(expected: Expectation) -> Expectation:
    """The same for an APK that bundletool laid out and Play will sign: entries are aligned to 4 bytes."""
    return dataclasses.replace(expected, signed=False, model_alignment=4)
