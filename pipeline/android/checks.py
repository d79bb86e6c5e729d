"""The checks of a finished APK: each a function over the opened package that yields what is wrong with it.

One list for the packaging stage, which knows what it put in, and for `farm check`, which may know nothing but the file:
what is not expected is then read from the package's own description of its model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain

from farm.appspec import Abi, AppSpec
from farm.artifacts import ArtifactName
from farm.errors import FileUnreadable, PackageInvalid
from pipeline.android import findings, play, token_table
from pipeline.android.assembly import JOB_ASSETS, MODEL_ASSET, TOKEN_TABLE_ASSET
from pipeline.android.findings import Check, Fault, Finding, Severity
from pipeline.android.package import Package
from pipeline.android.play import PlayRules
from pipeline.binaries import native
from pipeline.inference.model_info import ModelInfo
from pipeline.ops import dangers, known_aars, reading
from pipeline.toolchain.pins import AndroidTarget

# The 32-bit ABIs, and the ABI that Play asks for beside each.
SIXTY_FOUR_BITS = {"armeabi-v7a": "arm64-v8a", "armeabi": "arm64-v8a", "x86": "x86_64"}
INFO_ASSET = JOB_ASSETS[ArtifactName.MODEL_INFO]
TOKENIZER_ASSET = JOB_ASSETS[ArtifactName.TOKENIZER]
CLASSES_ASSET = "assets/unicode-classes.bin"


@dataclass(frozen=True)
class Expectation:
    """What a package must be. app: None when nobody knows. assets: SHA-256 of the content by entry name; empty: what
    the package itself says. model_alignment: bytes. signed: whether it is to be installed as it is. permitted_ops:
    dangerous ops that its model may hold. small_pages: the job knows that its AAR is of the time before pages of 16 KB,
    which keeps the app out of Play and not off phones."""

    target: AndroidTarget
    app: AppSpec | None = None
    assets: Mapping[str, str] = field(default_factory=dict)
    rules: PlayRules = field(default_factory=play.load)
    model_alignment: int = 4
    signed: bool = True
    permitted_ops: frozenset[str] = frozenset()
    small_pages: bool = False


def check_signature(package: Package, expected: Expectation) -> Iterator[Fault]:
    """Signature schemes 2 and 3 hold."""
    if not expected.signed:
        return
    try:
        schemes = package.signature.schemes
    except PackageInvalid as error:
        yield Fault(f"it has no signature that holds ({error.sentence.split(';')[0]})")
        return
    for scheme in sorted(expected.rules.signature_schemes - schemes):
        yield Fault(f"its signature of scheme v{scheme} does not hold")


def check_identity(package: Package, expected: Expectation) -> Iterator[Fault]:
    """Application id, versions, label, least SDK level and ABIs are those that were asked for."""
    found, app = package.badging, expected.app
    if app is None:
        return
    pairs: tuple[tuple[str, object, object], ...] = (
        ("application id", found.application_id, app.application_id),
        ("version code", found.version_code, app.version_code),
        ("version name", found.version_name, app.version_name),
        ("label", found.label, app.label),
        ("least SDK level", found.min_sdk, expected.target.min_sdk),
        ("list of ABIs", sorted(found.abis), sorted(abi.value for abi in app.abis)),
    )
    for what, is_value, wanted in pairs:
        if is_value != wanted:
            yield Fault(f"its {what} is {is_value!r} where {wanted!r} was asked for")


def check_sdk(package: Package, expected: Expectation) -> Iterator[Fault]:
    """Its SDK levels are those that Play and the signature schemes ask for."""
    target, least = package.badging.target_sdk, package.badging.min_sdk
    if target < expected.rules.target_sdk:
        rules = expected.rules
        yield Fault(
            f"its target SDK level is {target} where Play asks for {rules.target_sdk} since {rules.target_sdk_since}"
        )
    if least < expected.rules.min_sdk:
        yield Fault(f"its least SDK level is {least}, where systems know signature scheme v1 only")


def check_abis(package: Package, _expected: Expectation) -> Iterator[Fault]:
    """The runtime is there, and for 64-bit phones."""
    abis = {entry.name.split("/")[1] for entry in package.libraries()}
    if not abis:
        yield Fault("it has no native libraries, so that no phone can run its model")
        return
    for abi in sorted(abis & SIXTY_FOUR_BITS.keys()):
        if SIXTY_FOUR_BITS[abi] not in abis:
            yield Fault(f"it has libraries for {abi} without those for {SIXTY_FOUR_BITS[abi]}")
    if abis == {Abi.X86_64.value}:
        yield Fault("it has libraries for x86_64 only, which no phone runs", Severity.WARNING)


def check_debuggable(package: Package, _expected: Expectation) -> Iterator[Fault]:
    """The app is a release."""
    if package.badging.debuggable:
        yield Fault("it is debuggable")
    if package.manifest.test_only:
        yield Fault("it is marked as for tests only")


def check_permissions(package: Package, expected: Expectation) -> Iterator[Fault]:
    """The app asks for nothing that it need not have."""
    for permission in sorted(set(package.badging.permissions) - expected.rules.permissions):
        yield Fault(f"it asks for the permission {permission}")


def check_components(package: Package, _expected: Expectation) -> Iterator[Fault]:
    """Other apps can start nothing but what the launcher starts."""
    for one in package.manifest.components:
        if one.exported is None and one.filtered:
            yield Fault(f"its {one.kind} {one.name} has a filter and does not say whether it is exported")
        elif one.open and not one.launcher:
            yield Fault(f"its {one.kind} {one.name} is open to every other app")


def check_backup(package: Package, _expected: Expectation) -> Iterator[Fault]:
    """What a user writes is not copied elsewhere without rules that say what."""
    if package.manifest.allow_backup and not package.manifest.backup_rules:
        yield Fault("it lets the system back up all that it stores, prompts too")


def check_alignment(package: Package, expected: Expectation) -> Iterator[Fault]:
    """The model and every library are stored so that they can be mapped; Android's own tool agrees."""
    wanted = [(one, expected.target.page_size) for one in package.libraries()]
    wanted += [(one, expected.model_alignment) for name, one in package.entries.items() if name == MODEL_ASSET]
    wanted += [(one, 4) for name, one in package.entries.items() if name == "resources.arsc"]
    found = False
    for entry, alignment in wanted:
        if not entry.stored:
            yield Fault(f"{entry.name} is compressed and can't be mapped")
        elif not entry.aligned(alignment):
            yield Fault(f"{entry.name} begins at byte {entry.offset}, no multiple of {alignment}")
        found |= not entry.aligned(alignment)
    if not found and not package.zipalign_agrees:
        yield Fault("zipalign finds entries that are not aligned")


def check_libraries(package: Package, expected: Expectation) -> Iterator[Fault]:
    """Every library is of its folder's machine; those of 64 bits load on a system with pages of 16 KB."""
    for entry in package.libraries():
        abi = entry.name.split("/")[1]
        if abi in SIXTY_FOUR_BITS:
            continue
        try:
            library = native.read_library(package.content(entry))
        except ValueError as error:
            yield Fault(f"{entry.name} can't be loaded since {error}")
            continue
        if library.abi != abi:
            yield Fault(f"{entry.name} is built for {library.abi or 'another machine'}")
        if library.load_alignment % expected.target.page_size:
            cause = f"{entry.name} has segments aligned to {library.load_alignment} bytes only"
            if _of_stock_aar(entry.name, abi, package.content(entry)):
                cause += ", as the published Flex AAR has it (--aar bazel or file:PATH brings another)"
            yield Fault(cause, Severity.WARNING if expected.small_pages else Severity.ERROR)


def _of_stock_aar(name: str, abi: str, content: bytes) -> bool:
    reading = known_aars.load(known_aars.STOCK).abis.get(abi)
    known = {(one.name, one.size) for one in reading.libraries} if reading else set()
    return (name.rpartition("/")[2], len(content)) in known


def check_code(package: Package, _expected: Expectation) -> Iterator[Fault]:
    """The activity that the launcher starts is there, and its class too."""
    defined: set[str] = set()
    for entry in package.dex_files():
        try:
            defined |= native.defined_classes(package.content(entry))
        except ValueError as error:
            yield Fault(f"{entry.name} can't be read since {error}")
    if not package.badging.activities:
        yield Fault("it has no activity that a launcher could start")
    for activity in package.badging.activities:
        if activity not in defined:
            yield Fault(f"its code lacks the activity {activity}")


def check_methods(package: Package, expected: Expectation) -> Iterator[Fault]:
    """No dex file refers to more methods than its instructions can number."""
    for name, count in methods(package).items():
        if count > expected.rules.methods:
            yield Fault(f"{name} refers to {count} methods where {expected.rules.methods} can be numbered")


def methods(package: Package) -> dict[str, int]:
    """The methods that each readable dex file refers to."""
    counts = {}
    for entry in package.dex_files():
        content = package.content(entry)
        if content.startswith(b"dex\n") and len(content) >= native.DEX_HEADER_BYTES:
            counts[entry.name] = native.count_methods(content)
    return counts


def check_assets(package: Package, expected: Expectation) -> Iterator[Fault]:
    """Every asset is there with the content that it should have."""
    required = tuple(expected.assets) or (MODEL_ASSET, INFO_ASSET, TOKENIZER_ASSET, CLASSES_ASSET)
    stated, where = dict(expected.assets), "the file that was packaged"
    if not stated and (entry := package.entries.get(INFO_ASSET)):
        try:
            info = ModelInfo.parse(package.content(entry), INFO_ASSET)
        except FileUnreadable as error:
            yield Fault(error.sentence.split(";")[0])
        else:
            where = f"what {INFO_ASSET} says"
            stated = {MODEL_ASSET: info.model_sha256}
            if info.tokenizer_sha256 is not None:
                stated[TOKENIZER_ASSET] = info.tokenizer_sha256
    for name in required:
        if name not in package.entries:
            yield Fault(f"it lacks {name}")
    table, tokenizer = package.entries.get(TOKEN_TABLE_ASSET), package.entries.get(TOKENIZER_ASSET)
    if table is not None and tokenizer is not None:
        source = token_table.source_digest(package.content(table))
        if source is None:
            yield Fault(f"{TOKEN_TABLE_ASSET} is damaged")
        elif source != package.digest(tokenizer):
            yield Fault(f"{TOKEN_TABLE_ASSET} was made of another tokenizer than {TOKENIZER_ASSET}")
    for name, digest in stated.items():
        if name in package.entries and package.digest(package.entries[name]) != digest:
            yield Fault(f"{name} differs from {where}")


def check_operators(package: Package, expected: Expectation) -> Iterator[Fault]:
    """Its model only computes: no op reads files, runs Python, queues, or hides what it is."""
    entry = package.entries.get(MODEL_ASSET)
    if entry is None or not entry.stored:  # other checks say so
        return
    found: dict[str, str] = {}
    try:
        for use in reading.read_operators(package.path):
            why = dangers.danger(use, expected.permitted_ops)
            if why is not None:
                found.setdefault(use.name, why)
    except FileUnreadable as error:
        yield Fault(error.sentence.split(";")[0])
    for name, why in found.items():
        yield Fault(f"its model holds the op {name}: {why}")


def check_size(package: Package, expected: Expectation) -> Iterator[Fault]:
    """Android installs it, and Play takes it as a single APK."""
    size, limits = package.path.stat().st_size, expected.rules.size
    if size > limits.install:
        yield Fault(f"it has {size} bytes where Android installs at most {limits.install}")
    elif expected.signed and size > limits.apk:
        yield Fault(
            f"it has {size} bytes; Play takes single APKs of up to {limits.apk} only, larger apps as a bundle",
            Severity.WARNING,
        )


CHECKS: tuple[Check[Package, Expectation], ...] = (
    Check("signature", "Sign it with apksigner, schemes v2 and v3, as the last step.", check_signature),
    Check("identity", "Build it again with the job's id, name and versions.", check_identity),
    Check("sdk", "Raise the level in the build's settings and try the app on that system.", check_sdk),
    Check("abis", "Package the libraries for arm64-v8a, and for x86_64 where emulators matter.", check_abis),
    Check("debuggable", "Build a release: without android:debuggable and android:testOnly.", check_debuggable),
    Check("permissions", "Take the permission out of the manifest, or of the library that adds it.", check_permissions),
    Check("components", 'Set android:exported="false", or guard it by a permission.', check_components),
    Check(
        "backup",
        'Set android:allowBackup="false", or name android:dataExtractionRules and android:fullBackupContent.',
        check_backup,
    ),
    Check("alignment", "Store the entry and align it (zipalign -P 16), then sign again.", check_alignment),
    Check("libraries", "Take a build of the library for that ABI with 16 KB segments.", check_libraries),
    Check("code", "See that the shrinker's rules keep the manifest's classes.", check_code),
    Check("methods", "Shrink the code, or let the compiler divide it.", check_methods),
    Check("assets", "Package the files of one and the same job again.", check_assets),
    Check("operators", "Take the model from a job of the farm, or from a source that you know.", check_operators),
    Check(
        "size", "Publish the bundle (app.aab) where there is one, or package fewer ABIs or smaller weights.", check_size
    ),
)


def inspect(package: Package, expected: Expectation) -> list[Finding]:
    """Run every check. PackageInvalid when the file can't even be opened."""

    def run(check: Check[Package, Expectation]) -> list[Finding]:
        return list(check.run(package, expected, expected.rules))

    # One waits for apksigner while the other does the rest.
    with ThreadPoolExecutor(2) as pool:
        return list(chain.from_iterable(pool.map(run, CHECKS)))


def require(package: Package, expected: Expectation) -> None:
    """Raise PackageInvalid, which names everything that was found, unless there is no error."""
    findings.require_none(package.path.name, inspect(package, expected))
