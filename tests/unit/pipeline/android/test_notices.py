"""The licences that the app shows are those of the libraries that are in it, and of what is inside of these."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from farm import locations
from farm.errors import SettingsInvalid
from pipeline.android import notices
from pipeline.android.notices import Part, Table
from pipeline.toolchain import pins

APACHE = "Apache License 2.0"


@pytest.fixture(scope="module")
def table() -> Table:
    return notices.load()


def test_what_the_app_shows_is_written_from_the_tables(table: Table) -> None:
    written = {path.name: path.read_text() for path in notices.ASSETS.iterdir() if path.suffix in (".json", ".txt")}
    for name, content in notices.files(table, pins.load()).items():
        assert written[name] == content, f"run python -m {notices.__name__}"


def test_a_library_without_a_licence_is_refused(table: Table) -> None:
    with pytest.raises(SettingsInvalid, match=r"notices.toml are not those of artifacts.toml"):
        notices.files(dataclasses.replace(table, libraries=table.libraries[1:]), pins.load())


def test_the_text_of_the_apache_license_is_whole() -> None:
    text = (notices.ASSETS / "licence-apache-2.0.txt").read_text()
    assert text == (locations.ROOT / "LICENSE").read_text()
    assert "END OF TERMS AND CONDITIONS" in text


def test_every_other_licence_has_its_text_and_every_text_its_part(table: Table) -> None:
    named = [part.text for part in table.parts if part.text is not None]
    assert sorted(named) == sorted(path.name for path in notices.TEXTS.iterdir())
    assert {part.name for part in table.parts if part.text is None} == {
        part.name for part in table.parts if part.licence == APACHE
    }


def test_a_changed_text_is_refused(table: Table) -> None:
    (eigen,) = (part for part in table.parts if part.name == "Eigen")
    with pytest.raises(SettingsInvalid, match=r"mpl-2.0.txt is not the text of Eigen's licence any more"):
        notices.text(dataclasses.replace(eigen, sha256="0" * 64))


def test_a_damaged_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notices.toml").write_text('library = []\npart = [{name = "Eigen"}]\n[absent]\n')
    with pytest.raises(SettingsInvalid, match=r"notices.toml is refused: .*licence"):
        notices.load(tmp_path / "notices.toml")


def test_a_part_says_where_its_sources_are(table: Table) -> None:
    shown = notices.files(table, pins.load())[notices.NOTICES]
    own: list[Part] = [part for part in table.parts if part.text is not None]
    assert all(f"{part.name}\n{part.source}\n" in shown for part in own)
