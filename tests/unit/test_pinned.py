"""What bootstrap and images fetch is let in with its hash only (the exceptions: docs/security.md)."""

from __future__ import annotations

import json
import re
import tomllib

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


def test_the_page_on_security_names_the_exceptions() -> None:
    page = (locations.ROOT / "docs" / "security.md").read_text()
    assert "maven-dependency-plugin" in page
    assert "Base images" in page
