"""The manifest that is linked, and labels of any characters."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from farm.errors import PackageInvalid
from pipeline.android import resources

MANIFEST = """<?xml version="1.0" encoding="utf-8"?>
<manifest xmlns:android="http://schemas.android.com/apk/res/android">
  <application android:label="{label}"><activity android:name=".MainActivity"/></application>
</manifest>
"""
ANDROID = "{http://schemas.android.com/apk/res/android}"


def test_the_packager_adds_what_it_decides(tmp_path: Path) -> None:
    source, target = tmp_path / "in.xml", tmp_path / "out.xml"
    source.write_text(MANIFEST.format(label="@string/app_name"))
    resources.prepare_manifest(source, target, "a.b")
    root = ElementTree.parse(target).getroot()  # noqa: S314  written above
    application = root.find("application")
    assert application is not None
    assert root.get("package") == "a.b"
    assert application.get(f"{ANDROID}extractNativeLibs") == "false"
    assert application.get(f"{ANDROID}label") == "@string/app_name"
    # aapt2 knows attributes by their namespace, people by the prefix.
    assert 'android:name=".MainActivity"' in target.read_text()


@pytest.mark.parametrize("manifest", [MANIFEST.format(label="Fixed"), "<manifest/>"])
def test_a_label_that_a_job_could_not_change_is_refused(tmp_path: Path, manifest: str) -> None:
    (tmp_path / "in.xml").write_text(manifest)
    with pytest.raises(PackageInvalid, match="@string/app_name"):
        resources.prepare_manifest(tmp_path / "in.xml", tmp_path / "out.xml", "a.b")


@pytest.mark.parametrize(
    ("label", "value"),
    [("Story", '"Story"'), ("Bob's", '"Bob\\\'s"'), ('a "b"', '"a \\"b\\""'), ("\\n", '"\\\\n"'), ("<&>", '"<&>"')],
)
def test_a_label_is_escaped_for_aapt2_and_for_xml(label: str, value: str) -> None:
    (string,) = ElementTree.fromstring(resources.label_resource(label))  # noqa: S314  written above
    assert string.text == value
    assert string.get("name") == "app_name"
