"""What a job writes into its Android Studio project."""

from __future__ import annotations

import pytest

from farm import locations
from farm.appspec import Abi, AppSpec
from farm.errors import StageCrashed
from pipeline.android import project

TEXT = (locations.ANDROID_BUILDER / project.PROPERTIES).read_text()


def test_the_jobs_values_take_the_place_of_the_farms() -> None:
    app = AppSpec(application_id="org.example.story", version_name="1.2 'ä\\😀", version_code=7, abis=(Abi.ARM64,))
    lines = project.properties(TEXT, app).splitlines()
    assert "autocomplete.applicationId=org.example.story" in lines
    assert "autocomplete.versionCode=7" in lines
    assert "autocomplete.versionName=1.2 '\\u00e4\\\\\\ud83d\\ude00" in lines
    assert "autocomplete.abis=arm64-v8a" in lines
    assert len(lines) == len(TEXT.splitlines())


def test_the_defaults_are_those_of_a_job() -> None:
    assert project.properties(TEXT, AppSpec()) == TEXT


def test_a_value_without_a_line_is_no_silent_loss() -> None:
    with pytest.raises(StageCrashed, match=r"no line for autocomplete\.versionName"):
        project.properties(TEXT.replace("versionName", "version"), AppSpec())
