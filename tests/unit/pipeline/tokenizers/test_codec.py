from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from farm.errors import FileUnreadable, UsageError
from pipeline.tokenizers.codec import TextCodec
from tests.fixtures.bound_models import END_TOKEN, byte_tokenizer

CODEC = TextCodec(byte_tokenizer().to_str().encode(), "fixture")


@given(st.text(max_size=40))
def test_pieces_joined_are_the_text(text: str) -> None:
    assert "".join(CODEC.stream(CODEC.encode(text))) == text


@given(st.lists(st.integers(0, 299), max_size=40))
def test_any_tokens_stream_as_they_decode(tokens: list[int]) -> None:
    assert "".join(CODEC.stream(tokens)) == CODEC.decode(tokens)


def test_no_half_character_is_shown() -> None:
    tokens = CODEC.encode("a👩‍🚀é")
    assert len(tokens) > 8
    assert list(CODEC.stream(tokens)) == ["a", "👩", "\u200d", "🚀", "é"]


def test_broken_utf8_at_the_end_is_shown_at_last() -> None:
    tokens = CODEC.encode("né")[:-1]
    assert list(CODEC.stream(tokens)) == ["n", "\ufffd"]


def test_pieces_come_as_soon_as_their_token() -> None:
    seen: list[int] = []

    def tokens() -> list[int]:
        return CODEC.encode("the rain")

    def watched():
        for token in tokens():
            seen.append(token)
            yield token

    first = next(CODEC.stream(watched()))
    assert first == "th"
    assert len(seen) == 1


def test_special_tokens_are_left_out() -> None:
    assert CODEC.decode([*CODEC.encode("in"), END_TOKEN]) == "in"


def test_words_that_lose_their_space_at_the_beginning_keep_it_in_the_middle() -> None:
    words = Tokenizer(models.BPE({"▁the": 0, "▁cat": 1, "[UNK]": 2}, [], unk_token="[UNK]"))  # noqa: S106
    words.normalizer = normalizers.Sequence([])
    words.pre_tokenizer = pre_tokenizers.Metaspace()
    words.decoder = decoders.Metaspace()
    codec = TextCodec(words.to_str().encode(), "w")
    assert codec.decode([0, 1, 0]) == "the cat the"
    # An answer goes on from a prompt, behind which its first blank stands.
    assert codec.continue_text([0, 1, 0]) == " the cat the"


def test_a_kind_that_is_not_in_the_table_is_refused_by_name() -> None:
    words = Tokenizer(models.WordLevel({"the": 0, "[UNK]": 1}, unk_token="[UNK]"))  # noqa: S106
    with pytest.raises(FileUnreadable, match="w is the tokenizer model WordLevel, which the farm does not have"):
        TextCodec(words.to_str().encode(), "w")


def test_half_of_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(UsageError, match="surrogate"):
        CODEC.encode("a\ud83d")


def test_pieces_are_ids_and_literal_texts() -> None:
    read = CODEC.encode_pieces([END_TOKEN, "th", "e <|end|>", END_TOKEN, ""])
    assert read == [END_TOKEN, *CODEC.encode_literally("the <|end|>"), END_TOKEN]
    assert CODEC.encode_pieces(["a\ud83d"]) == CODEC.encode("a\ufffd")


@pytest.mark.parametrize("scheme", ["first", "always", "never"])
def test_only_the_first_piece_begins_a_text(scheme: str) -> None:
    words = Tokenizer(models.BPE({"▁": 0, "a": 1, "▁a": 2}, [("▁", "a")]))
    words.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(prepend_scheme=scheme)])
    words.decoder = decoders.Metaspace()
    words.add_special_tokens(["<s>"])
    codec = TextCodec(words.to_str().encode(), "w")
    assert codec.encode_pieces([3, "a"]) == codec.encode("<s>a")
    assert codec.encode_pieces(["a", 3, "a"]) == codec.encode("a<s>a")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    with pytest.raises(FileUnreadable, match="is no tokenizer of the tokenizers package"):
        TextCodec.open(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="can't be read"):
        TextCodec.open(tmp_path / "tokenizer.json")
