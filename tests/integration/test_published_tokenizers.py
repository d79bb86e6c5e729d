"""Tokenizers of published models in the farm's spelling, against the tokenizers package on the files as published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2
from tokenizers import Tokenizer

from farm.errors import UsageError
from farm.tokenizer_kinds import Feature, PreTokenizer, Reader, unable
from pipeline.inference.mixed_texts import mixed_texts
from pipeline.tokenizers import document, proto, sentencepiece_bpe
from pipeline.tokenizers.codec import TextCodec
from tests.fixtures import real_tokenizers

# `scripts/faults --only T1` reads 100,000 texts.
TEXTS, MOST_BYTES, MOST_SYMBOLS = 2000, 300, 60
SPLITS = {
    "deepseek_v3": PreTokenizer.DEEPSEEK, "gpt4o": PreTokenizer.O200K, "gptoss": PreTokenizer.O200K,
    "llama3": PreTokenizer.LLAMA3, "llama3_1": PreTokenizer.LLAMA3, "qwen3": PreTokenizer.QWEN2,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest) -> Path:
    """Where fetched tokenizers are kept between test runs."""
    assert request.config.cache is not None
    return request.config.cache.mkdir("real-tokenizers")


def texts(value: Any) -> list[str]:
    """Texts of every kind with the file's own added tokens in them."""
    added = [token["content"] for token in value["added_tokens"]]
    return list(mixed_texts(TEXTS, MOST_BYTES, seed=9, further=added[:: max(1, len(added) // MOST_SYMBOLS)]))


@pytest.mark.parametrize("name", real_tokenizers.PACKAGES)
def test_ids_and_texts_are_those_of_the_published_file(folder: Path, name: str) -> None:
    content = real_tokenizers.fetch(name, folder).read_bytes()
    value = json.loads(content)
    written = document.write(value)
    assert written.others == ()
    assert written.split is SPLITS.get(name)
    assert unable(Reader.PYTHON, written.features) == ()
    reference, codec = Tokenizer.from_buffer(content), TextCodec(written.content, name)
    wanted = texts(value)
    for special in (True, False):
        reference.encode_special_tokens = not special
        read = codec.encode if special else codec.encode_literally
        for text, encoding in zip(wanted, reference.encode_batch(wanted, add_special_tokens=False), strict=True):
            assert read(text) == encoding.ids, text
            whole = reference.decode(encoding.ids)
            assert codec.decode(encoding.ids) == whole
            # A SentencePiece text loses its dummy prefix when it is printed whole, and never as a continuation.
            answer = codec.continue_text(encoding.ids)
            assert answer == whole or (
                Feature.DUMMY_PREFIX in written.features and answer.lstrip(" ") == whole.lstrip(" ")
            )
    for half in ("\ud83d", "a\udc00b"):
        with pytest.raises(UsageError, match="surrogate"):
            codec.encode(half)


def test_a_published_vocabulary_is_translated_as_sentencepiece_reads_it(folder: Path) -> None:
    """Llama 2's pieces as a proto, in the order of their ids."""
    value = json.loads(real_tokenizers.fetch("llama2", folder).read_bytes())
    model = sentencepiece_model_pb2.ModelProto()
    for text, number in sorted(value["model"]["vocab"].items(), key=lambda item: int(item[1])):
        kind = 2 if number == 0 else 3 if number < 3 else 6 if number < 259 else 1
        model.pieces.add(piece=text, score=0 if number < 259 else 259 - number, type=kind)
    model.trainer_spec.model_type, model.trainer_spec.byte_fallback = 2, True
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.remove_extra_whitespaces = False
    content = model.SerializeToString()
    written = document.write(sentencepiece_bpe.write_document(proto.read_proto(content, "tokenizer.model")))
    codec, processor = TextCodec(written.content, "llama2"), SentencePieceProcessor(model_proto=content)
    for text in texts(value):
        assert codec.encode_literally(text) == processor.encode(text), text
