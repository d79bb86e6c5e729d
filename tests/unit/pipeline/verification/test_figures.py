"""What verification says beside its figures."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.verification.figures import notes


def figures(perplexity: float) -> Any:
    divergence = SimpleNamespace(keras_perplexity=perplexity)
    return SimpleNamespace(identical_prompts=4, prompts=4, near_ties=0, divergence=divergence)


@pytest.mark.parametrize(("perplexity", "remarked"), [(999.0, False), (1000.0, False), (1001.0, True)])
def test_a_model_that_guesses_worse_than_chance_is_remarked_on(perplexity: float, remarked: bool) -> None:
    assert any("worse than chance" in note for note in notes(figures(perplexity), 1000)) is remarked
