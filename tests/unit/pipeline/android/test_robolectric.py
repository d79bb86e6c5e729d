"""How the JVM's Android is told where the app lies."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from pipeline.android import robolectric
from pipeline.android.robolectric import Harness


def test_a_folder_with_an_umlaut_is_found(tmp_path: Path) -> None:
    """Java reads a properties file as Latin-1, and file names by the locale."""
    package = tmp_path / "Müller 😀" / "app.apk"
    pins = SimpleNamespace(target=SimpleNamespace(namespace="org.example"))
    fakes = cast(Any, SimpleNamespace(manifest=tmp_path / "AndroidManifest.xml", pins=pins))
    Harness(fakes, fakes, tmp_path)._configure(package, tmp_path / "settings")
    [written] = (tmp_path / "settings").rglob("*.properties")
    lines = dict(line.split("=", 1) for line in written.read_bytes().decode("ascii").splitlines())
    assert lines["android_resource_apk"].endswith("/M\\u00fcller \\ud83d\\ude00/app.apk")
    assert robolectric.ENVIRONMENT["LC_ALL"] == "C.UTF-8"
