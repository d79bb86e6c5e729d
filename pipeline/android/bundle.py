"""Lays out an Android App Bundle: the base module and, for a large model, an asset pack that is installed with it."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

from farm.appspec import AppSpec
from farm.errors import KeystoreUnusable, PackageInvalid
from pipeline import process
from pipeline.android import archive, resources
from pipeline.android.archive import Member
from pipeline.android.assembly import MODEL_ASSET
from pipeline.android.base import AppBase
from pipeline.android.bundletool import BASE, Bundletool
from pipeline.android.keystore import SigningKey
from pipeline.android.signing import JVM as SIGNER_JVM
from pipeline.toolchain import tools
from pipeline.toolchain.tools import Tool

PACK = "model"
DISTRIBUTION = "http://schemas.android.com/apk/distribution"
SIGN_TIMEOUT = 900.0
JVM = ("-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC")


def build(
    base: AppBase, assets: Mapping[str, Path], app: AppSpec, limit: int, bundletool: Bundletool, target: Path
) -> bool:
    """Write the unsigned bundle; whether the model went into an asset pack of its own.

    limit: bytes that a device may download as the base module. What is beyond that even before compression goes into
    the pack, from which the app's AssetManager reads it as from the base.
    """
    chain, scratch = bundletool.toolchain, bundletool.scratch
    linked = resources.link(
        base.manifest, base.resources, base.ids, chain.platform, app, chain.pins.target, scratch, proto=True
    )
    files = base.asset_files() | dict(assets)
    packed = MODEL_ASSET in files and base_bytes(base, files, app) > limit
    model = {MODEL_ASSET: files.pop(MODEL_ASSET)} if packed else {}
    modules = [scratch / f"{BASE}.zip"]
    archive.write(modules[0], _base_members(linked, base, files, app))
    if model:
        modules.append(scratch / f"{PACK}.zip")
        archive.write(modules[1], _pack_members(app, chain.platform, scratch, model))
    bundletool.build(modules, target)
    return packed


def base_bytes(base: AppBase, files: Mapping[str, Path], app: AppSpec) -> int:
    """What the base module would bring to one device with all files in it, before compression."""
    libraries = max(sum(path.stat().st_size for path in base.libraries(abi)) for abi in app.abis)
    return libraries + sum(path.stat().st_size for path in (*base.dex_files(), base.resources, *files.values()))


def pack_manifest(application_id: str) -> str:
    """The manifest of an asset pack that is installed together with the app."""
    ElementTree.register_namespace("dist", DISTRIBUTION)
    root = ElementTree.Element("manifest", {"package": application_id, "split": PACK})
    module = ElementTree.SubElement(root, f"{{{DISTRIBUTION}}}module", {f"{{{DISTRIBUTION}}}type": "asset-pack"})
    delivery = ElementTree.SubElement(module, f"{{{DISTRIBUTION}}}delivery")
    ElementTree.SubElement(delivery, f"{{{DISTRIBUTION}}}install-time")
    ElementTree.SubElement(module, f"{{{DISTRIBUTION}}}fusing", {f"{{{DISTRIBUTION}}}include": "true"})
    return ElementTree.tostring(root, encoding="unicode")


def sign(bundle: Path, target: Path, key: SigningKey, alias: str, min_sdk: int) -> None:
    """Write the bundle signed as Play takes uploads, by scheme 1, as a jar is. The same bundle and key give the same
    bytes; apksigner copies entries as they are, where jarsigner would compress them again."""
    process.run(
        (
            tools.find(Tool.APKSIGNER), *SIGNER_JVM, "sign", *key.for_apksigner(),
            "--ks-key-alias", alias, "--min-sdk-version", str(min_sdk), "--v1-signing-enabled", "true",
            "--v2-signing-enabled", "false", "--v3-signing-enabled", "false", "--v4-signing-enabled", "false",
            "--in", bundle, "--out", target,
        ),
        timeout=SIGN_TIMEOUT, error=KeystoreUnusable, hint="check the keystore, its alias and its password.",
    )  # fmt: skip


def signature_holds(bundle: Path) -> bool:
    """Whether jarsigner finds every entry signed and unchanged."""
    try:
        said = process.run(
            (tools.find(Tool.JARSIGNER), *JVM, "-J-Duser.language=en", "-verify", bundle),
            timeout=SIGN_TIMEOUT, error=PackageInvalid, hint="the signature does not hold; build the bundle again.",
        )  # fmt: skip
    except PackageInvalid:
        return False
    lines = said.stdout.splitlines()
    return "jar verified." in lines and not any("unsigned entries" in line for line in lines)


def _base_members(linked: Path, base: AppBase, files: Mapping[str, Path], app: AppSpec) -> Iterator[Member]:
    with zipfile.ZipFile(linked) as resources_archive:
        for name in sorted(resources_archive.namelist()):
            folder = "manifest/" if name == "AndroidManifest.xml" else ""
            yield Member(f"{folder}{name}", resources_archive.read(name))
    for dex in base.dex_files():
        yield Member(f"dex/{dex.name}", dex)
    for name, path in sorted(files.items()):
        yield Member(name, path)
    for abi in app.abis:
        for library in base.libraries(abi):
            yield Member(f"lib/{abi.value}/{library.name}", library)


def _pack_members(app: AppSpec, platform: Path, scratch: Path, model: Mapping[str, Path]) -> Iterator[Member]:
    manifest, linked = scratch / "pack-manifest.xml", scratch / "pack.zip"
    manifest.write_text(pack_manifest(app.application_id), encoding="utf-8")
    resources.link_manifest(manifest, platform, linked)
    with zipfile.ZipFile(linked) as made:
        yield Member("manifest/AndroidManifest.xml", made.read("AndroidManifest.xml"))
    for name, path in model.items():
        yield Member(name, path)
