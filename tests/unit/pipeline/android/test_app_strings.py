"""The app's words: every language has all of them, with the same places for figures and names."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pipeline.android.base import AppSources

RESOURCES = AppSources().main / "res"
LANGUAGES = ("de", "es", "ja")
PLACES = re.compile(r"%(\d)\$[.\d]*([a-z])")


def words(folder: Path) -> dict[str, list[str]]:
    """The texts by name; of a plural every form."""
    found: dict[str, list[str]] = {}
    for one in ElementTree.parse(folder / "strings.xml").getroot():  # noqa: S314  it is a source of the farm itself
        if one.attrib.get("translatable") != "false":
            found[one.attrib["name"]] = [item.text or "" for item in one] or [one.text or ""]
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_all_words_with_their_places(language: str) -> None:
    english, translated = words(RESOURCES / "values"), words(RESOURCES / f"values-{language}")
    assert translated.keys() == english.keys()
    for name, forms in translated.items():
        wanted = sorted(PLACES.findall(english[name][-1]))
        for form in forms:
            assert form.strip() == form != "", name
            assert set(PLACES.findall(form)) <= set(wanted), name
        assert sorted(PLACES.findall(forms[-1])) == wanted, name


def test_every_language_is_tried() -> None:
    folders = {path.parent.name.removeprefix("values-") for path in RESOURCES.glob("values-*/strings.xml")}
    assert folders == set(LANGUAGES)
