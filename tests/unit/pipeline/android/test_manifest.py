"""The reader of aapt2's manifest trees."""

from __future__ import annotations

import pytest

from farm.errors import PackageInvalid
from pipeline.android import manifest
from pipeline.android.manifest import Component

ANDROID = "http://schemas.android.com/apk/res/android:"
TREE = f"""N: android=http://schemas.android.com/apk/res/android (line=2)
  E: manifest (line=2)
    A: package="org.example.app" (Raw: "org.example.app")
      E: application (line=5)
        A: {ANDROID}name(0x01010003)="a.App" (Raw: "a.App")
        A: {ANDROID}allowBackup(0x01010280)=false
        A: {ANDROID}fullBackupContent(0x010104eb)=false
        A: {ANDROID}dataExtractionRules(0x0101063e)=@0x7f0a0000
          E: activity (line=7)
            A: {ANDROID}name(0x01010003)="a.Main" (Raw: "a.Main")
            A: {ANDROID}exported(0x01010010)=true
              E: intent-filter (line=8)
                  E: action (line=9)
                    A: {ANDROID}name(0x01010003)="android.intent.action.MAIN" (Raw: "android.intent.action.MAIN")
                  E: category (line=10)
                    A: {ANDROID}name(0x01010003)="android.intent.category.LAUNCHER" (Raw: "x")
          E: service (line=12)
            A: {ANDROID}name(0x01010003)="a.Service" (Raw: "a.Service")
            A: {ANDROID}permission(0x01010006)="p: q=r" (Raw: "p: q=r")
            A: {ANDROID}exported(0x01010010)=true
          E: receiver (line=14)
            A: {ANDROID}name(0x01010003)="a.Receiver" (Raw: "a.Receiver")
              E: intent-filter (line=15)
                  E: action (line=16)
                    A: {ANDROID}name(0x01010003)="x" (Raw: "x")
"""


def test_components_and_backup_are_read() -> None:
    found = manifest.parse(TREE)
    assert found.components == (
        Component("activity", "a.Main", exported=True, filtered=True, launcher=True, guarded=False),
        Component("service", "a.Service", exported=True, filtered=False, launcher=False, guarded=True),
        Component("receiver", "a.Receiver", exported=None, filtered=True, launcher=False, guarded=False),
    )
    assert [one.open for one in found.components] == [True, False, True]
    assert (found.allow_backup, found.backup_rules, found.test_only) == (False, True, False)


def test_the_systems_defaults_hold_where_the_manifest_is_silent() -> None:
    found = manifest.parse("  E: manifest (line=2)\n      E: application (line=5)\n")
    assert (found.components, found.allow_backup, found.backup_rules) == ((), True, False)


def test_a_manifest_without_application_is_refused() -> None:
    with pytest.raises(PackageInvalid, match="has no application"):
        manifest.parse("  E: manifest (line=2)\n")
