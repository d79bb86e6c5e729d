from __future__ import annotations

import json

import pytest
from tokenizers.pre_tokenizers import ByteLevel

from farm.errors import ModelDamaged
from pipeline.conversion.byte_bpe import unicode_classes
from pipeline.conversion.byte_bpe.tables import class_table, read_tables
from pipeline.conversion.byte_bpe.unicode_classes import CodePointClass
from pipeline.tokenizers.byte_level import byte_letters
from tests.fixtures import bound_models

CONTENT = bound_models.byte_tokenizer().to_str().encode()
SIZE = bound_models.byte_tokenizer().get_vocab_size()


def test_the_letters_are_those_of_the_tokenizers_package() -> None:
    letters = byte_letters()
    assert set(letters) == set(ByteLevel.alphabet())
    for character in ("a", " ", "\u00e9", "\U0001f642", "\0"):
        ((piece, _),) = ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(character)
        assert piece == "".join(letters[byte] for byte in character.encode())


def test_tables_hold_the_whole_tokenizer() -> None:
    tables = read_tables(CONTENT, SIZE + 3)
    tokenizer = bound_models.byte_tokenizer()
    model, ids = json.loads(CONTENT)["model"], tokenizer.get_vocab()
    for rank, (left, right) in enumerate(model["merges"]):
        assert tables.ranks.find(ids[left], ids[right]) == rank
        assert tables.merged[rank] == tokenizer.token_to_id(left + right)
    for token in range(SIZE):
        start = tables.token_offsets[token]
        spelled = tables.token_bytes[start : start + tables.token_lengths[token]].tobytes()
        assert spelled.decode(errors="replace") == tokenizer.decode([token], skip_special_tokens=True)
    # What only the model has prints as nothing, like special tokens.
    assert tables.token_lengths[SIZE:].tolist() == [0, 0, 0]
    assert tables.token_lengths[tokenizer.token_to_id("<|end|>")] == 0


def test_merges_written_as_strings_are_read() -> None:
    content = json.loads(CONTENT)
    content["model"]["merges"] = [" ".join(pair) for pair in content["model"]["merges"]]
    old = read_tables(json.dumps(content).encode(), SIZE)
    assert old.merged.tolist() == read_tables(CONTENT, SIZE).merged.tolist()


def test_a_byte_that_the_vocabulary_lacks_has_no_token() -> None:
    content = json.loads(CONTENT)
    content["model"]["vocab"]["unheard"] = content["model"]["vocab"].pop(byte_letters()[0xC3])
    tables = read_tables(json.dumps(content).encode(), SIZE)
    assert [byte for byte, token in enumerate(tables.byte_tokens) if token < 0] == [0xC3]


def test_a_tokenizer_larger_than_the_model_is_refused() -> None:
    with pytest.raises(ModelDamaged, match=f"only {SIZE - 1} tokens"):
        read_tables(CONTENT, SIZE - 1)


@pytest.mark.parametrize(
    ("character", "kind"),
    [
        ("a", CodePointClass.LETTER),
        ("\u4f60", CodePointClass.LETTER),
        ("7", CodePointClass.NUMBER),
        ("\u00bd", CodePointClass.NUMBER),
        ("\u3000", CodePointClass.SPACE),
        ("_", CodePointClass.OTHER),
        ("\ufffd", CodePointClass.OTHER),
        ("\U0001f642", CodePointClass.OTHER),
        ("\U0010ffff", CodePointClass.OTHER),
    ],
)
def test_classes_of_characters(character: str, kind: CodePointClass) -> None:
    table, code_point = class_table(), ord(character)
    assert table.blocks[table.block_of[code_point // 256] * 256 + code_point % 256] == kind
    assert unicode_classes.class_of(unicode_classes.classify(code_point)) == kind


def test_the_file_of_classes_goes_both_ways() -> None:
    content = unicode_classes.TABLE.read_bytes()
    assert unicode_classes.pack(unicode_classes.unpack_categories(content)) == content
    with pytest.raises(ValueError, match="not a table"):
        unicode_classes.unpack(content[:-1])
