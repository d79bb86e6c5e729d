"""aapt2's words about an APK."""

from __future__ import annotations

import pytest

from farm.errors import PackageInvalid
from pipeline.android import badging
from pipeline.android.badging import Badging

# As printed by aapt2 2.19 for an APK of the farm; the label is: Bob's "x" \ app
OUTPUT = r"""package: name='org.example.story' versionCode='7' versionName='1.2 'b' platformBuildVersionName='' platformBuildVersionCode='' compileSdkVersion='34' compileSdkVersionCodename='14'
sdkVersion:'26'
targetSdkVersion:'35'
application-label:'Bob's \"x\" \\ app'
application: label='Bob's \"x\" \\ app' icon=''
launchable-activity: name='dev.kerasfarm.app.MainActivity'  label='' icon=''
feature-group: label=''
  uses-feature: name='android.hardware.faketouch'
  uses-implied-feature: name='android.hardware.faketouch' reason='default feature for all apps'
main
supports-screens: 'small' 'normal' 'large' 'xlarge'
supports-any-density: 'true'
locales: '--_--'
densities: '160'
native-code: 'arm64-v8a' 'x86_64'
"""  # noqa: E501  one line of aapt2


def test_everything_is_read() -> None:
    assert badging.parse(OUTPUT) == Badging(
        application_id="org.example.story",
        version_code=7,
        version_name="1.2 'b",
        label='Bob\'s "x" \\ app',
        min_sdk=26,
        target_sdk=35,
        abis=frozenset({"arm64-v8a", "x86_64"}),
        activities=("dev.kerasfarm.app.MainActivity",),
        permissions=(),
        debuggable=False,
    )


def test_a_label_with_a_line_separator_stays_whole() -> None:
    text = OUTPUT.replace("application-label:'Bob's", "application-label:'a\u2028b")
    assert badging.parse(text).label == 'a\u2028b "x" \\ app'


@pytest.mark.parametrize(
    "line",
    [
        "uses-permission: name='android.permission.INTERNET'",
        "uses-permission: name='android.permission.INTERNET' maxSdkVersion='28'",
        "uses-permission-sdk-23: name='android.permission.INTERNET'",
        "uses-implied-permission: name='android.permission.INTERNET' reason='targetSdkVersion < 4'",
    ],
)
def test_permissions_are_seen_in_every_form(line: str) -> None:
    assert badging.parse(OUTPUT + line + "\n").permissions == ("android.permission.INTERNET",)


def test_a_debuggable_app_is_seen() -> None:
    assert badging.parse(OUTPUT + "application-debuggable\n").debuggable


def test_further_abis_are_seen() -> None:
    assert badging.parse(OUTPUT + "alt-native-code: 'x86'\n").abis == {"arm64-v8a", "x86_64", "x86"}


@pytest.mark.parametrize("lost", ["package: ", "sdkVersion:", "targetSdkVersion:", "application-label:"])
def test_a_line_that_is_missing_is_named(lost: str) -> None:
    text = "\n".join(line for line in OUTPUT.split("\n") if not line.startswith(lost))
    with pytest.raises(PackageInvalid, match=r"build the package again\.$"):
        badging.parse(text)
