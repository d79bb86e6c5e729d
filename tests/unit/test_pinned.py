"""What bootstrap and images fetch is let in with its hash only (docs/security.md)."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from farm import locations
from pipeline.toolchain import pins

LOCKS = sorted(
    path
    for pattern in ("*.lock", "requirements/*.lock", "tests/oracle/*.lock")
    for path in locations.ROOT.glob(pattern)
)
# What bootstrap and images are made by.
FETCHING = sorted(
    path
    for pattern in (
        "scripts/bootstrap",
        "scripts/*image*",
        "*/Dockerfile",
        "containers/*/Dockerfile",
        "android-builder/flex-aar/*",
    )
    for path in locations.ROOT.glob(pattern)
    if path.is_file() and path.suffix not in (".json", ".txt", ".py")
)


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_every_package_of_a_lock_has_a_hash(path) -> None:
    text = path.read_text().replace("\\\n", " ")
    packages = [line for line in text.splitlines() if re.match(r"[A-Za-z0-9][\w.-]*(\[\w+\])? *(==|@)", line)]
    assert packages
    assert [line.split()[0] for line in packages if not re.search(r"--hash=sha256:[0-9a-f]{64}", line)] == []


@pytest.mark.parametrize("path", FETCHING, ids=lambda path: str(path.relative_to(locations.ROOT)))
def test_nothing_is_fetched_unchecked(path) -> None:
    text = path.read_text()
    commands = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    fetched = [line for line in commands if re.search(r"\b(curl|wget)\b.*(https?:|\$\{?\w+)", line)]
    checked = [line for line in commands if "sha256sum --check" in line]
    assert len(fetched) <= len(checked), fetched
    for line in commands:
        if re.search(r"\bpip install\b", line):
            assert "--require-hashes" in line or "--no-index" in line or "PIP_REQUIRE_HASHES=1" in text, line


def test_every_maven_artifact_and_gradle_have_one() -> None:
    assert all(re.fullmatch(r"[0-9a-f]{64}", one.sha256) for one in pins.load().artifacts)
    table = tomllib.loads((locations.ANDROID_BUILDER / "artifacts.toml").read_text())["gradle"]
    wrapper = (locations.ANDROID_BUILDER / "gradle/wrapper/gradle-wrapper.properties").read_text()
    assert f"distributionSha256Sum={table['distribution_sha256']}" in wrapper


def test_the_sources_of_the_flex_aar_have_one() -> None:
    versions = json.loads((locations.ANDROID_BUILDER / "flex-aar" / "versions.json").read_text())
    for part in ("tensorflow", "tensorflow_text", "ndk", "bazel"):
        pinned = versions[part].get("sha256") or versions[part].get("commit")
        assert re.fullmatch(r"[0-9a-f]{64}|[0-9a-f]{40}", pinned), part


def test_maven_runs_no_file_without_one() -> None:
    table = pins.load()
    assert table.plugin in table.plugin_files
    assert len(table.plugin_files) > 20
    assert all(re.fullmatch(r"[0-9a-f]{64}", sha256) for sha256 in table.plugin_files.values())


def test_every_image_that_comes_from_a_registry_has_a_digest() -> None:
    """The Dockerfiles of the farm's own and the servers in docker-compose.yml; all start from the same."""
    bases = {
        line.removeprefix("ARG BASE=")
        for path in FETCHING
        if path.name == "Dockerfile"
        for line in path.read_text().splitlines()
        if line.startswith("ARG BASE=")
    }
    (base,) = bases
    assert re.fullmatch(r"debian:12-slim@sha256:[0-9a-f]{64}", base)
    composed = (locations.ROOT / "docker-compose.yml").read_text()
    assert f'BASE: "${{BASE:-{base}}}"' in composed
    images = re.findall(r"image: (?:&\w+ )?(\S+)", composed)
    foreign = [image for image in images if "farm-" not in image and not image.startswith("*")]
    assert len(foreign) == 2
    assert all(re.search(r"@sha256:[0-9a-f]{64}\}$", image) for image in foreign), foreign


@pytest.mark.programs
def test_images_are_not_built_on_a_tag(tmp_path: Path) -> None:
    """Unless the image was made on this machine."""
    for digests, refused in (("1 debian@sha256:aa ", True), ("0 ", False), ("", True)):
        docker = tmp_path / "docker"
        said = f"echo '{digests}'" if digests else "exit 1"
        docker.write_text(f'#!/bin/sh\ncase "$1 $2" in\n"image inspect") {said} ;;\nesac\n')
        docker.chmod(0o755)
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "BASE": "debian:12-slim"}
        ran = subprocess.run(
            [locations.ROOT / "scripts/images", "server"], env=environment, capture_output=True, text=True, check=False
        )
        assert (ran.returncode == 2) is refused, ran.stderr
        assert ("is refused: a tag can become another image" in ran.stderr) is refused
