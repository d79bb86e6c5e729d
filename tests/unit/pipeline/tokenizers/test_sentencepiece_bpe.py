from __future__ import annotations

import json

import pytest
from sentencepiece import SentencePieceProcessor

from farm.errors import ModelDamaged
from farm.tokenizer_kinds import Feature, TokenizerKind
from pipeline.inference.mixed_texts import mixed_texts
from pipeline.tokenizers import document, sentencepiece_bpe, sentencepiece_check
from pipeline.tokenizers.codec import TextCodec
from pipeline.tokenizers.proto import read_proto
from pipeline.tokenizers.unusable import TokenizerUnusable
from tests.fixtures import sentencepiece_models

SYMBOLS = ("<|user|>", "<|end|>", "<br>")
TEXTS = ["", " ", "  a", "the on\n\nan aaaa aaaaa", "日本語 é ü", "<s>the</s>", "<unk>", "<0x41>", "a▁b", "12 34"]


def translate(content: bytes) -> TextCodec:
    value = sentencepiece_bpe.write_document(read_proto(content, "vocabulary.spm"))
    return TextCodec(document.write(value).content, "tests")


@pytest.mark.parametrize(
    ("dummy_prefix", "symbols", "features"),
    [
        (True, (), {Feature.DUMMY_PREFIX}),
        (False, (), set()),
        (False, SYMBOLS, {Feature.ORDINARY_ADDED, Feature.NORMALIZED_ADDED}),
        (False, ("▁▁", "▁▁▁", *SYMBOLS), {Feature.ORDINARY_ADDED, Feature.NORMALIZED_ADDED}),
        (True, SYMBOLS, {Feature.ORDINARY_ADDED, Feature.FIRST_PREFIX}),
    ],
)
def test_a_translation_reads_and_prints_as_sentencepiece(
    dummy_prefix: bool, symbols: tuple[str, ...], features: set[Feature]
) -> None:
    words = [word for word in sentencepiece_models.WORDS if word not in symbols]
    content = sentencepiece_models.make(dummy_prefix=dummy_prefix, symbols=symbols, words=words)
    file = read_proto(content, "vocabulary.spm")
    written = document.write(sentencepiece_bpe.write_document(file))
    assert written.kind is TokenizerKind.SENTENCEPIECE_BPE
    assert written.features == {Feature.SENTENCEPIECE, *features}
    assert written.others == ()
    codec, reference = TextCodec(written.content, "tests"), SentencePieceProcessor(model_proto=content)
    for text in (*TEXTS, *mixed_texts(1500, 300, seed=5, further=symbols)):
        text = text.replace("\0", "")
        if dummy_prefix and symbols:
            text = "a" + text
        tokens = reference.encode(text)
        assert codec.encode_literally(text) == tokens
        assert codec.decode(tokens) == reference.decode(tokens)
    sentencepiece_check.require_same(content, file, codec)


def test_an_answer_keeps_its_first_blank() -> None:
    codec = translate(sentencepiece_models.make())
    tokens = codec.encode("the on")
    assert codec.decode(tokens) == "the on"
    assert codec.continue_text(tokens) == " the on"


def test_bytes_of_one_character_come_together() -> None:
    codec = translate(sentencepiece_models.make(dummy_prefix=False))
    assert list(codec.stream(codec.encode("aüa"))) == ["a", "ü", "a"]
    assert codec.continue_text(codec.encode("ü")[:1]) == "\ufffd"


def test_special_tokens_are_found_only_where_they_are_read() -> None:
    codec = translate(sentencepiece_models.make(dummy_prefix=False))
    assert codec.encode("a</s>")[-1] == 2
    assert 2 not in codec.encode_literally("a</s>")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"model_type": 1}, "model type unigram"),
        ({"remove_extra_whitespaces": True}, "remove_extra_whitespaces"),
        ({"treat_whitespace_as_suffix": True}, "treat_whitespace_as_suffix"),
        ({"escape_whitespaces": False}, "escape_whitespaces"),
        ({"byte_fallback": False}, "without byte_fallback"),
        ({"precompiled_charsmap": b"1", "name": "nmt_nfkc"}, "normalizer nmt_nfkc"),
    ],
)
def test_a_setting_without_an_equal_is_named(changes: dict[str, object], named: str) -> None:
    with pytest.raises(TokenizerUnusable, match=named):
        translate(sentencepiece_models.make(**changes))  # type: ignore[arg-type]


def test_a_translation_that_reads_otherwise_is_refused() -> None:
    content = sentencepiece_models.make()
    value = sentencepiece_bpe.write_document(read_proto(content, "vocabulary.spm"))
    value["model"]["merges"] = value["model"]["merges"][::-1]
    codec = TextCodec(json.dumps(value).encode(), "tests")
    with pytest.raises(ModelDamaged, match="otherwise than SentencePiece"):
        sentencepiece_check.require_same(content, read_proto(content, "vocabulary.spm"), codec)


def test_a_translation_is_compared_on_the_jobs_text_too(monkeypatch: pytest.MonkeyPatch) -> None:
    content = sentencepiece_models.make()
    file = read_proto(content, "vocabulary.spm")
    value = sentencepiece_bpe.write_document(file)
    value["model"]["merges"] = value["model"]["merges"][::-1]
    codec = TextCodec(json.dumps(value).encode(), "tests")
    monkeypatch.setattr(sentencepiece_check, "mixed_texts", lambda *_given, **_more: iter([""]))
    sentencepiece_check.require_same(content, file, codec)
    with pytest.raises(ModelDamaged, match="otherwise than SentencePiece"):
        sentencepiece_check.require_same(content, file, codec, ["the on then in an the nation other that"])
