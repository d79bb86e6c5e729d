from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.errors import FarmError, ModelDamaged, ModelUnsafe
from pipeline.tokenizers import proto
from pipeline.tokenizers.proto import PieceType, read_proto
from tests.fixtures import sentencepiece_models

WHOLE = sentencepiece_models.make(symbols=("<|user|>",))


def test_pieces_and_settings_are_read() -> None:
    found = read_proto(WHOLE, "vocabulary.spm")
    assert [piece.text for piece in found.pieces[:4]] == ["<unk>", "<s>", "</s>", "<|user|>"]
    assert [piece.type for piece in found.pieces[:4]] == [
        PieceType.UNKNOWN, PieceType.CONTROL, PieceType.CONTROL, PieceType.USER_DEFINED,
    ]  # fmt: skip
    assert (found.model_type, found.byte_fallback, found.dummy_prefix, found.normalizer) == (2, True, True, "identity")


@pytest.mark.parametrize("length", [1, 5, len(WHOLE) // 2, len(WHOLE) - 1])
def test_a_file_that_was_cut_is_refused(length: int) -> None:
    with pytest.raises(ModelDamaged, match=r"vocabulary\.spm is cut or no SentencePiece model"):
        read_proto(WHOLE[:length], "vocabulary.spm")


def test_ten_million_pieces_are_refused_before_any_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proto, "MOST_PIECES", 50_000)
    with pytest.raises(ModelUnsafe, match="more than 50000 pieces"):
        # A piece of no bytes at all takes two in the file.
        read_proto(b"\x0a\x00" * 10_000_000, "vocabulary.spm")


def test_a_file_beyond_any_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proto, "FILE_BYTES", len(WHOLE) - 1)
    with pytest.raises(ModelUnsafe, match="more than any tokenizer"):
        read_proto(WHOLE, "vocabulary.spm")


def test_a_piece_that_stands_twice_is_refused() -> None:
    with pytest.raises(ModelDamaged, match=r"the piece '▁t' twice, as 259 and as \d+"):
        read_proto(sentencepiece_models.make(words=("▁t", "▁t")), "vocabulary.spm")


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(ModelDamaged, match="holds no pieces"):
        read_proto(b"", "vocabulary.spm")


def test_a_score_that_is_no_number_is_refused() -> None:
    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto.FromString(WHOLE)
    model.pieces[300].score = float("nan")
    with pytest.raises(ModelDamaged, match="score that is no number"):
        read_proto(model.SerializeToString(), "vocabulary.spm")


@given(st.data())
def test_any_damage_is_one_of_the_farms_own_errors(data: st.DataObject) -> None:
    content = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_proto(bytes(content), "vocabulary.spm")
    except FarmError as error:
        assert str(error).endswith((".", "it is refused."))
