"""The app's manifest and resources: compiled once, linked for every job with its name, id and version."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

from farm.appspec import AppSpec
from farm.errors import PackageInvalid
from pipeline import process
from pipeline.android import theme
from pipeline.toolchain import tools
from pipeline.toolchain.pins import AndroidTarget
from pipeline.toolchain.tools import Tool

TIMEOUT = 120.0
ANDROID = "http://schemas.android.com/apk/res/android"
# The string resource that the manifest's label refers to; a job replaces its value.
LABEL_NAME = "app_name"
HINT = "see the stage's log and the resources in android-builder/app."


def prepare_manifest(source: Path, target: Path, namespace: str) -> None:
    """Copy the app's manifest with what the packager decides: the package, and libraries mapped from the APK."""
    ElementTree.register_namespace("android", ANDROID)
    manifest = ElementTree.parse(source)  # noqa: S314  it is a source of the farm itself
    root = manifest.getroot()
    root.set("package", namespace)
    application = root.find("application")
    if application is None or application.get(f"{{{ANDROID}}}label") != f"@string/{LABEL_NAME}":
        raise PackageInvalid(f"{source.name} must have an application labelled @string/{LABEL_NAME}; correct it.")
    application.set(f"{{{ANDROID}}}extractNativeLibs", "false")
    manifest.write(target, encoding="utf-8", xml_declaration=True)


def library_manifest(source: Path, namespace: str, min_sdk: int) -> bytes:
    """A library's manifest with what Gradle would put into it: the package and the least SDK level."""
    ElementTree.register_namespace("android", ANDROID)
    root = ElementTree.parse(source).getroot()  # noqa: S314  it is a source of the farm itself
    root.set("package", namespace)
    root.insert(0, ElementTree.Element("uses-sdk", {f"{{{ANDROID}}}minSdkVersion": str(min_sdk)}))
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True).encode()


def compile_resources(folder: Path, target: Path) -> None:
    """Compile a `res` folder into the archive `target` of flat files.

    From beside the folder: aapt2 notes in them where they come from, which a bundle's resource table then holds.
    """
    _aapt2("compile", "--dir", folder.name, "-o", target.absolute(), cwd=folder.parent)


def generate_sources(manifest: Path, compiled: Path, platform: Path, folder: Path, target: AndroidTarget) -> None:
    """Write into `folder` what compilation needs: `java/` with the R class, `keep.pro` (the manifest's classes), and
    `ids.txt`, by which every later link gives the resources the same numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    _aapt2(
        "link", *_basics(manifest, platform, target), "-o", folder / "linked.apk", "--java", folder / "java",
        "--proguard", folder / "keep.pro", "--emit-ids", folder / "ids.txt", compiled,
    )  # fmt: skip


def link(
    manifest: Path, compiled: Path, ids: Path, platform: Path, app: AppSpec, target: AndroidTarget, scratch: Path,
    proto: bool = False,
) -> Path:  # fmt: skip
    """Link the resources for one app: its application id, label, versions, icon and colour. Gives an APK without
    code, or with `proto` the same as a bundle holds it."""
    folder = scratch / "job" / "res"
    for name, content in job_resources(app).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    own, linked = scratch / "job.zip", scratch / "linked.apk"
    compile_resources(folder, own)
    _aapt2(
        "link", *_basics(manifest, platform, target), "-o", linked, "--stable-ids", ids,
        "--rename-manifest-package", app.application_id, "--version-code", str(app.version_code),
        "--version-name", app.version_name, "--replace-version", *(("--proto-format",) if proto else ()),
        compiled, "-R", own,
    )  # fmt: skip
    return linked


def link_manifest(manifest: Path, platform: Path, target: Path) -> None:
    """Link a manifest without resources for a bundle."""
    _aapt2("link", "--proto-format", "--manifest", manifest, "-I", platform, "-o", target)


def job_resources(app: AppSpec) -> Mapping[str, bytes]:
    """The files of a `res` folder with what a job decides, to go over the app's own."""
    return {"values/strings.xml": label_resource(app.label).encode(), **theme.overlays(app)}


def label_resource(label: str) -> str:
    """A `strings.xml` that holds the label, letter for letter, whatever characters it is made of."""
    # Within double quotes aapt2 keeps spaces and takes @ and ? as they are.
    escaped = label.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'")
    resources = ElementTree.Element("resources")
    string = ElementTree.SubElement(resources, "string", name=LABEL_NAME, translatable="false", formatted="false")
    string.text = f'"{escaped}"'
    return ElementTree.tostring(resources, encoding="unicode")


def _basics(manifest: Path, platform: Path, target: AndroidTarget) -> tuple[str | Path, ...]:
    return (
        "--manifest", manifest, "-I", platform,
        "--min-sdk-version", str(target.min_sdk), "--target-sdk-version", str(target.target_sdk),
    )  # fmt: skip


def _aapt2(command: str, *arguments: str | Path, cwd: Path | None = None) -> None:
    words = (tools.find(Tool.AAPT2), command, *arguments)
    process.run(words, timeout=TIMEOUT, error=PackageInvalid, hint=HINT, cwd=cwd)
