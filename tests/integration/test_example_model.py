"""The example model: a small KerasHub preset folder of the repository that loads and writes English."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import keras_hub
import numpy as np
import pytest

from examples import documentation, train_tiny_gpt2
from examples.byte_level_bpe import END_OF_TEXT, Bpe
from farm import locations, modelref, sources
from pipeline.models import checking

# Keras says so of every CausalLM that is loaded from a preset; its variables are there all the same.
pytestmark = pytest.mark.filterwarnings("ignore:`build\\(\\)` was called on layer:UserWarning")
FOLDER = locations.EXAMPLES / "tiny_gpt2"
LARGEST = 12_000_000
WINDOWS = 12


@pytest.fixture(scope="module")
def model() -> keras_hub.models.CausalLM:
    lm = keras_hub.models.CausalLM.from_preset(str(FOLDER))
    lm.compile(sampler="greedy")
    return lm


@pytest.fixture(scope="module")
def bpe() -> Bpe:
    assets = FOLDER / "assets" / "tokenizer"
    merges = [line for line in (assets / "merges.txt").read_text().splitlines() if not line.startswith("#version")]
    return Bpe(json.loads((assets / "vocabulary.json").read_text()), [line for line in merges if line])


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return documentation.documents()


def test_the_folder_is_a_small_preset_and_nothing_else(tmp_path: Path) -> None:
    files = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()}
    assert files == set(sources.files(modelref.parse(str(FOLDER))))
    checked = checking.check(FOLDER, tmp_path)
    assert (checked.form, checked.backbone) == ("preset", "GPT2Backbone")
    assert checked.bytes <= LARGEST


def test_its_shape(model: keras_hub.models.CausalLM, bpe: Bpe) -> None:
    assert isinstance(model, keras_hub.models.GPT2CausalLM)
    assert model.backbone.max_sequence_length >= 256
    assert model.backbone.vocabulary_size == len(bpe.vocabulary)
    assert model.preprocessor.tokenizer.end_token_id == bpe.vocabulary[END_OF_TEXT] != 0
    assert {str(weight.dtype) for weight in model.backbone.weights} == {"float32"}


def test_it_predicts_held_out_text_far_better_than_frequencies_do(
    model: keras_hub.models.CausalLM, bpe: Bpe, texts: list[str]
) -> None:
    training, held_out = (
        train_tiny_gpt2.tokens(bpe, train_tiny_gpt2.part(texts, held_out=part)) for part in (False, True)
    )
    baseline = math.exp(train_tiny_gpt2.unigram_loss(training, held_out, len(bpe.vocabulary)))
    perplexity = math.exp(train_tiny_gpt2.mean_loss(model, bpe, held_out[: WINDOWS * train_tiny_gpt2.POSITIONS]))
    assert perplexity < baseline / 5


def test_it_writes_words_of_its_texts(model: keras_hub.models.CausalLM, texts: list[str]) -> None:
    known = set(re.findall(r"[A-Za-z]+", " ".join(texts)))
    written: list[str] = []
    for prompt in train_tiny_gpt2.PROMPTS:
        text = model.generate(prompt, max_length=48)
        assert text.startswith(prompt)
        written += re.findall(r"[A-Za-z]+", text.removeprefix(prompt))[:-1]  # the last word may be cut off
    assert len(written) > 100
    assert len(set(written)) > 30
    assert np.mean([word in known for word in written]) > 0.9
