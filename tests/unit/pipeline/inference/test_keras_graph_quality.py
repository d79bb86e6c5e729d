from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from farm import recipes
from farm.errors import QualityMissed
from pipeline.inference.keras_graph_quality import check_limits, compare_with_keras, judge
from pipeline.inference.reference import PromptReference, Reference
from pipeline.inference.text_model import Completion, TextAnswer, TextAnswers
from pipeline.tokenizers.codec import TextCodec
from tests.fixtures.bound_models import END_TOKEN, START_TOKEN, byte_tokenizer

CODEC = TextCodec(byte_tokenizer().to_str().encode(), "tests")
BEFORE = (START_TOKEN, *CODEC.encode("on "))
PATH = tuple(CODEC.encode("the inner"))
PROMPT = PromptReference("on ", BEFORE, PATH, (1.0,) * len(PATH))


def test_a_text_that_follows_keras_to_the_end_is_equal() -> None:
    outcome = judge(CODEC, PROMPT, b"on the inner and on", (END_TOKEN,), 0.1)
    assert (outcome.followed, outcome.compared, outcome.agreed, outcome.equal) == (len(PATH),) * 3 + (True,)


def test_the_end_token_must_end_the_text() -> None:
    prompt = replace(PROMPT, greedy=(*PATH, END_TOKEN), margins=(1.0,) * (len(PATH) + 1))
    assert judge(CODEC, prompt, b"on the inner", (END_TOKEN,), 0.1).equal
    beyond = judge(CODEC, prompt, b"on the inner and", (END_TOKEN,), 0.1)
    assert (beyond.equal, beyond.compared - beyond.agreed) == (False, 1)


def test_a_step_that_parts_counts_unless_it_is_a_tie() -> None:
    parted = judge(CODEC, PROMPT, b"on the outer", (END_TOKEN,), 0.1)
    assert 0 < parted.followed < len(PATH)
    assert (parted.compared - parted.agreed, parted.equal) == (1, False)
    margins = tuple(0.05 if at == parted.followed else 1.0 for at in range(len(PATH)))
    tied = judge(CODEC, replace(PROMPT, margins=margins), b"on the outer", (END_TOKEN,), 0.1)
    assert (tied.compared - tied.agreed, tied.equal) == (0, False)


def test_a_prompt_that_does_not_come_back_agrees_nowhere() -> None:
    outcome = judge(CODEC, PROMPT, b"off the inner", (END_TOKEN,), 0.1)
    assert (outcome.compared, outcome.agreed) == (len(PATH), 0)


class Written:
    """A model that gives the same text to every prompt."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    def answer(self, tokenize: Sequence[bytes], complete: Sequence[Completion]) -> TextAnswers:
        assert not tokenize
        assert all(asked.max_new_tokens is None for asked in complete)
        return TextAnswers((), tuple(TextAnswer(self.text, (), (), 0.5) for _ in complete))


def reference(*prompts: PromptReference) -> Reference:
    logits = np.array([[1.0, -1.0]] * 2, np.float32)
    return Reference(prompts, np.zeros(2, np.int32), logits, ())


def test_figures_and_limits() -> None:
    limits = recipes.find("none").limits
    good = compare_with_keras(Written(b"on the inner"), CODEC, reference(PROMPT), (END_TOKEN,), 0.1)
    assert (good.agreement, good.equal, good.seconds) == (1.0, 1, 0.5)
    assert good.golden()[0]["tokens"] == PATH
    check_limits(good, limits, "none")
    bad = compare_with_keras(Written(b"on the outer"), CODEC, reference(PROMPT), (END_TOKEN,), 0.1)
    with pytest.raises(QualityMissed, match="leaves Keras's path at step"):
        check_limits(bad, limits, "none")


def test_nothing_passes_because_there_was_nothing_to_compare() -> None:
    with pytest.raises(QualityMissed, match="No prompt fits"):
        compare_with_keras(Written(b""), CODEC, reference(replace(PROMPT, text=None)), (END_TOKEN,), 0.1)
