"""How many tokens the decoder is compared behind."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline.conversion.reference_plan import LAST_TOKENS, LONG_PROBE, long_probe
from pipeline.stages.convert import stated_windows
from tests.fixtures.decoders import TINY


def test_a_window_that_the_description_lacks_is_looked_beyond() -> None:
    found = long_probe(TINY, 1024, (512,))
    assert found is not None
    assert len(found) == 512 + LAST_TOKENS
    beside = long_probe(TINY, 1024)
    assert beside is not None
    assert len(beside) == LONG_PROBE


def test_windows_are_read_wherever_a_configuration_states_them(tmp_path: Path) -> None:
    assert stated_windows(tmp_path) == ()
    stated = {
        "text_config": {"sliding_window": 512},
        "config": {"sliding_window_size": 4096, "use_sliding_window": True},
    }
    (tmp_path / "config.json").write_text(json.dumps(stated | {"window": None}))
    assert sorted(stated_windows(tmp_path)) == [512, 4096]
