"""The table of pinned artifacts."""

from __future__ import annotations

from pathlib import Path

import pytest

from farm import locations
from farm.appspec import Abi
from farm.errors import SettingsInvalid
from pipeline.android.building import CLASSIFIERS
from pipeline.toolchain import pins
from pipeline.toolchain.pins import Role

HEAD = """
[android]
namespace = "a.b"
min_sdk = 26
target_sdk = 35
page_size = 16384
jvm_target = "11"
[gradle]
version = "8.0"
distribution_sha256 = "0"
wrapper_sha256 = "0"
android_plugin = "8.0"
[maven]
plugin = "g:a:1"
second_repository = "https://example.org"
[maven.plugin_files]
"g:a:1" = "0000000000000000000000000000000000000000000000000000000000000000"
"""


def _table(tmp_path: Path, entry: str) -> Path:
    path = tmp_path / "artifacts.toml"
    path.write_text(f"{HEAD}[[artifact]]\n{entry}")
    return path


def test_the_farms_table_pins_every_artifact_once_a_role() -> None:
    table = pins.load()
    entries = [(artifact.file_name, artifact.role) for artifact in table.artifacts]
    assert len(set(entries)) == len(entries)
    assert len({name for name, _ in entries}) == len({(one.file_name, one.sha256) for one in table.artifacts})
    assert all(len(artifact.sha256) == 64 for artifact in table.artifacts)
    assert all(table.with_role(role) for role in Role)


def test_every_abi_has_the_same_libraries() -> None:
    by_abi = {
        abi: {one.name for one in pins.load().with_role(Role.NATIVE) if one.classifier == CLASSIFIERS[abi]}
        for abi in Abi
    }
    assert all(names == {"tensorflow-lite", "javacpp"} for names in by_abi.values())


def test_the_app_is_built_for_pages_of_16_kib_and_signature_schemes_without_v1() -> None:
    target = pins.load().target
    assert target.page_size == 16384
    # Systems before 7.0 (level 24) know only the first signature scheme, which the farm leaves out.
    assert target.min_sdk >= 24


def test_coordinates_with_a_classifier(tmp_path: Path) -> None:
    entry = f'coordinates = "g.h:a:1.2:aar:arm"\nrole = "native"\nsha256 = "{"0" * 64}"'
    (artifact,) = pins.load(_table(tmp_path, entry)).artifacts
    assert (artifact.file_name, artifact.coordinates) == ("a-1.2-arm.aar", "g.h:a:1.2:aar:arm")
    assert (artifact.group, artifact.extension, artifact.role) == ("g.h", "aar", Role.NATIVE)


def test_coordinates_of_what_is_no_jar(tmp_path: Path) -> None:
    entry = f'coordinates = "g.h:a:1.2:aar"\nrole = "test"\nsha256 = "{"0" * 64}"'
    (artifact,) = pins.load(_table(tmp_path, entry)).artifacts
    assert (artifact.file_name, artifact.coordinates) == ("a-1.2.aar", "g.h:a:1.2:aar")


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ('coordinates = "g:a:1"\nrole = "native"', "sha256"),
        ('coordinates = "g:a:1"\nrole = "native"\nsha256 = ""', "g:a:1 has no SHA-256"),
        (f'coordinates = "g:a:1"\nrole = "native"\nsha256 = "{"0" * 63}g"', "g:a:1 has no SHA-256"),
        (f'coordinates = "g:a"\nrole = "native"\nsha256 = "{"0" * 64}"', "'g:a' is not group:artifact:version"),
        (f'coordinates = "g:../a:1"\nrole = "native"\nsha256 = "{"0" * 64}"', "is not group:artifact:version"),
        (f'coordinates = "g:a:1"\nrole = "other"\nsha256 = "{"0" * 64}"', "'other' is not a valid Role"),
    ],
)
def test_an_incomplete_entry_is_refused(tmp_path: Path, entry: str, reason: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"artifacts\.toml is refused") as refused:
        pins.load(_table(tmp_path, entry))
    assert reason in refused.value.sentence


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"restore it from the farm's repository\.$"):
        pins.load(tmp_path / "artifacts.toml")


def test_the_table_names_one_repository_besides_the_machines_own() -> None:
    assert (locations.ANDROID_BUILDER / "artifacts.toml").read_text().count("https://") == 1
