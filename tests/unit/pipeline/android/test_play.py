"""The table of what Play asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from farm.errors import SettingsInvalid
from pipeline.android import play
from pipeline.toolchain import pins


def test_the_app_is_built_for_what_play_asks() -> None:
    rules, target = play.load(), pins.load().target
    assert target.target_sdk >= rules.target_sdk
    assert target.min_sdk >= rules.min_sdk
    assert rules.signature_schemes == {2, 3}
    assert rules.permissions == frozenset()
    assert rules.size.apk < rules.size.base_module < rules.size.asset_pack < rules.size.install < rules.size.bundle
    assert all(source.startswith("https://") for source in rules.sources.values())


@pytest.mark.parametrize(
    "text", ["", "[play]\ntarget_sdk = 'x'", "[play]\ntarget_sdk = 36\ntarget_sdk_since = 'soon'", "no toml"]
)
def test_a_damaged_table_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "play.toml").write_text(text)
    with pytest.raises(SettingsInvalid, match=r"play\.toml is refused: .*; restore it"):
        play.load(tmp_path / "play.toml")
