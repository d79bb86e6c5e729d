"""What a job puts into its packages."""

from __future__ import annotations

import pytest

from farm.stages import BY_NAME, StageName
from pipeline.android.assembly import JOB_ASSETS


@pytest.mark.parametrize("name", [StageName.PACKAGE, StageName.BUNDLE, StageName.SDK])
def test_a_stage_that_packs_is_given_all_that_goes_into_the_app(name: StageName) -> None:
    assert set(JOB_ASSETS) <= set(BY_NAME[name].inputs)
