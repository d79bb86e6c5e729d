from __future__ import annotations

import pytest

from farm.errors import ModelDamaged
from pipeline.models import assets
from tests.fixtures import sentencepiece_models

WHOLE = sentencepiece_models.make()


@pytest.mark.parametrize(
    "name", ["assets/tokenizer/vocabulary.spm", "tokenizer.model", "assets/tokenizer/vocabulary.spm in model.keras"]
)
def test_a_sentencepiece_file_is_read_before_anything_else_opens_it(name: str) -> None:
    assets.check(WHOLE, name)
    with pytest.raises(ModelDamaged, match="is cut or no SentencePiece model"):
        assets.check(WHOLE[:-3], name)


@pytest.mark.parametrize("name", ["vocab.json", "assets/tokenizer/vocabulary.json in model.keras"])
def test_a_vocabulary_is_a_table(name: str) -> None:
    assets.check(b'{"a": 0}', name)
    with pytest.raises(ModelDamaged, match="no table of tokens and numbers"):
        assets.check(b"{}", name)
