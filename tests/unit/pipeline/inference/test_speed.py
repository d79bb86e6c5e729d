from __future__ import annotations

from pipeline.inference.interpreter import TokenModel
from pipeline.inference.speed import measure_speed


def test_figures_are_of_the_prompt_and_positive(model: TokenModel) -> None:
    speed = measure_speed(model, [1] * 20, steps=6, runs=2)
    assert speed.prompt_tokens == 20
    assert 0 < speed.prefill_seconds < 5
    assert speed.decode_rate > 1
    assert model.position == 26
