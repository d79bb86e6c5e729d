"""The licences that the app shows are those of the libraries that are in it."""

from __future__ import annotations

import json

from farm import locations
from worker.android import pins
from worker.android.base import AppSources
from worker.android.pins import Role

ASSETS = AppSources().main / "assets"


def test_every_library_in_the_app_has_its_licence_and_no_other_is_named() -> None:
    shown = json.loads((ASSETS / "licences.json").read_text())["libraries"]
    named = {f"{library['coordinates']}:{library['version']}" for library in shown}
    assert named == {artifact.coordinates for artifact in pins.load().with_role(Role.LIBRARY)}
    assert {library["licence"] for library in shown} == {"Apache License 2.0"}


def test_the_text_of_the_licence_is_whole() -> None:
    text = (ASSETS / "licence-apache-2.0.txt").read_text()
    assert text == (locations.ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
