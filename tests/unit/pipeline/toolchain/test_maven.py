"""The toolchain folder: only what has the pinned hash gets in."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from xml.etree import ElementTree

import pytest

from farm import digests
from farm.errors import ToolMissing
from pipeline.toolchain import maven, pins
from pipeline.toolchain.maven import Toolchain
from pipeline.toolchain.pins import MavenArtifact, Role

CONTENT = b"the artifact"
ARTIFACT = MavenArtifact("g.h", "a", "1", "jar", None, Role.LIBRARY, digests.of_bytes(CONTENT))
NAMESPACE = "{http://maven.apache.org/POM/4.0.0}"


@pytest.fixture
def chain(tmp_path: Path) -> Toolchain:
    folder = tmp_path / "toolchain"
    folder.mkdir()
    return Toolchain(folder, dataclasses.replace(pins.load(), artifacts=(ARTIFACT,)))


def test_the_right_file_gets_in(tmp_path: Path, chain: Toolchain) -> None:
    (tmp_path / "download").write_bytes(CONTENT)
    maven.admit(ARTIFACT, tmp_path / "download", chain.folder)
    assert chain.path(ARTIFACT).read_bytes() == CONTENT
    assert chain.paths(Role.LIBRARY) == (chain.folder / "a-1.jar",)


def test_another_hash_is_refused_and_nothing_becomes_visible(tmp_path: Path, chain: Toolchain) -> None:
    (tmp_path / "download").write_bytes(CONTENT + b"!")
    with pytest.raises(ToolMissing, match=r"^g\.h:a:1 is refused: its SHA-256 is [0-9a-f]{64} where artifacts\.toml"):
        maven.admit(ARTIFACT, tmp_path / "download", chain.folder)
    assert list(chain.folder.iterdir()) == []


def test_what_maven_did_not_bring_is_named(tmp_path: Path, chain: Toolchain) -> None:
    with pytest.raises(ToolMissing, match=r"^Maven brought no a-1\.jar; "):
        maven.admit(ARTIFACT, tmp_path / "nothing", chain.folder)


def test_a_complete_toolchain_starts_no_program(chain: Toolchain) -> None:
    (chain.folder / "a-1.jar").write_bytes(CONTENT)
    said: list[str] = []
    assert maven.fetch(chain, said.append) == 0
    assert said == []


def test_a_changed_file_is_thrown_out(chain: Toolchain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (chain.folder / "a-1.jar").write_bytes(b"changed")
    assert chain.damaged() == (ARTIFACT,)
    monkeypatch.setenv("PATH", str(tmp_path))
    said: list[str] = []
    with pytest.raises(ToolMissing, match="mvn is missing"):
        maven.fetch(chain, said.append)
    assert said[0] == "a-1.jar has changed since it was fetched and is fetched again"
    assert chain.missing() == (ARTIFACT,)
    assert list(chain.folder.iterdir()) == []


def test_a_missing_artifact_names_the_command(chain: Toolchain) -> None:
    with pytest.raises(ToolMissing, match=r"lacks a-1\.jar; run `farm doctor --fetch`"):
        chain.path(ARTIFACT)


def test_the_project_asks_for_the_artifacts_alone() -> None:
    wanted = pins.load().artifacts
    project = ElementTree.fromstring(maven.project(wanted, None))  # noqa: S314  made above
    assert project.find(f"{NAMESPACE}repositories") is None
    dependencies = project.findall(f"{NAMESPACE}dependencies/{NAMESPACE}dependency")
    assert len(dependencies) == len(wanted)
    for dependency, artifact in zip(dependencies, wanted, strict=True):
        fields = {child.tag.removeprefix(NAMESPACE): child.text for child in dependency}
        assert fields["groupId"] == artifact.group
        assert fields.get("classifier") == artifact.classifier
        exclusion = dependency.find(f"{NAMESPACE}exclusions/{NAMESPACE}exclusion")
        assert exclusion is not None
        assert {child.text for child in exclusion} == {"*"}


def test_the_second_repository_is_named_only_when_it_is_asked() -> None:
    project = ElementTree.fromstring(maven.project((ARTIFACT,), "https://example.org/a&b"))  # noqa: S314  made above
    (url,) = project.iter(f"{NAMESPACE}url")
    assert url.text == "https://example.org/a&b"


def test_no_two_versions_of_a_thing_are_asked_for_at_once() -> None:
    chosen = pins.load().artifacts
    parts = maven.rounds(chosen)
    assert sorted(one.coordinates for part in parts for one in part) == sorted(one.coordinates for one in chosen)
    for part in parts:
        things = [(one.group, one.name, one.extension, one.classifier) for one in part]
        assert len(things) == len(set(things))
    assert len(parts) == 2
