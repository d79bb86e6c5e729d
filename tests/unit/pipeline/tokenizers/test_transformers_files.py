from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers.pre_tokenizers import ByteLevel

from farm.errors import ModelDamaged
from farm.tokenizer_kinds import Feature, PreTokenizer, Reader
from pipeline.tokenizers import byte_level
from pipeline.tokenizers.export import TokenizerExport, export_tokenizer
from tests.fixtures import sentencepiece_models

LETTERS = sorted(ByteLevel.alphabet())
MERGES = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("1", "2")]
VOCABULARY = {token: number for number, token in enumerate([*LETTERS, "th", "the", "Ġthe", "12", "<s>", "</s>"])}
START, END = VOCABULARY["<s>"], VOCABULARY["</s>"]


def document(split: Any = None, **model: Any) -> dict[str, Any]:
    added = [byte_level.special_token(token, VOCABULARY[token]) for token in ("<s>", "</s>")]
    pre_tokenizer = split or byte_level.write_pre_tokenizer(PreTokenizer.LLAMA3)
    value = byte_level.write_document(VOCABULARY, MERGES, added, pre_tokenizer)
    value["model"] |= model
    return dict(value)


def export(folder: Path, **files: Any) -> TokenizerExport:
    """The export of a folder with these files; `tokenizer_json` is `tokenizer.json`."""
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"} | files.pop("config_json", {})))
    for name, content in files.items():
        path = folder / name.replace("_json", ".json").replace("_txt", ".txt").replace("_model", ".model")
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return export_tokenizer(None, "Llama", folder)


GENERATION = {"eos_token_id": [END]}


@pytest.mark.parametrize("split", PreTokenizer)
def test_what_the_files_state_is_how_texts_are_split(tmp_path: Path, split: PreTokenizer) -> None:
    made = export(
        tmp_path, tokenizer_json=document(byte_level.write_pre_tokenizer(split)), generation_config_json=GENERATION
    )
    assert made.split is split
    assert made.missing(Reader.PYTHON) is None


def test_a_split_that_is_not_in_the_table_is_kept_and_named(tmp_path: Path) -> None:
    own = {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": r"\s?\p{P}+"}, "behavior": "Isolated", "invert": False},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
        ],
    }
    made = export(tmp_path, tokenizer_json=document(own), generation_config_json=GENERATION)
    assert made.kind is None
    assert made.reason is not None
    assert r"\\s?\\p{P}+" in made.reason
    assert json.loads(made.content)["pre_tokenizer"] == own
    assert made.encode("the,the") == [VOCABULARY[token] for token in ("the", ",", "the")]


def test_whole_tokens_come_before_merges_where_the_files_say_so(tmp_path: Path) -> None:
    added = {"Ġviet": len(VOCABULARY)}
    value = document(vocab=VOCABULARY | added, ignore_merges=True)
    made = export(tmp_path, tokenizer_json=value, generation_config_json=GENERATION)
    assert Feature.IGNORE_MERGES in made.features
    assert made.encode(" viet") == [added["Ġviet"]]
    # Where merges reach every token the setting changes nothing, and any reader will do.
    plain = export(tmp_path, tokenizer_json=document(ignore_merges=True), generation_config_json=GENERATION)
    assert Feature.IGNORE_MERGES not in plain.features


def test_every_end_that_is_named_ends_an_answer(tmp_path: Path) -> None:
    made = export(
        tmp_path,
        tokenizer_json=document(),
        config_json={"eos_token_id": START},
        generation_config_json={"eos_token_id": [VOCABULARY["the"], VOCABULARY["12"]]},
        tokenizer_config_json={"eos_token": {"content": "</s>"}},
    )
    assert made.stop_tokens == tuple(sorted((START, VOCABULARY["the"], VOCABULARY["12"], END)))


def test_an_end_that_is_no_id_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelDamaged, match=r"generation_config\.json names the end token '</s>'"):
        export(tmp_path, tokenizer_json=document(), generation_config_json={"eos_token_id": "</s>"})


def test_no_end_anywhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelDamaged, match="add eos_token_id to generation_config"):
        export(tmp_path, tokenizer_json=document())


@pytest.mark.parametrize(
    ("processor", "config", "start"),
    [
        (None, {}, None),
        (None, {"add_bos_token": True, "bos_token": "<s>"}, START),
        (None, {"add_bos_token": False, "bos_token": "<s>"}, None),
        ({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {}}]}, {}, START),
        ({"type": "TemplateProcessing", "single": [{"Sequence": {}}, {"SpecialToken": {"id": "<s>"}}]}, {}, None),
        (
            {
                "type": "Sequence",
                "processors": [
                    {"type": "ByteLevel"},
                    {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {}}]},
                ],
            },
            {},
            START,
        ),
    ],
)
def test_the_files_say_whether_a_text_begins_with_a_token(
    tmp_path: Path, processor: Any, config: dict[str, Any], start: int | None
) -> None:
    value = document() | {"post_processor": processor}
    made = export(tmp_path, tokenizer_json=value, tokenizer_config_json=config, generation_config_json=GENERATION)
    assert made.start_token == start
    assert json.loads(made.content)["post_processor"] is None


def test_a_sentencepiece_file_brings_its_added_tokens(tmp_path: Path) -> None:
    content = sentencepiece_models.make(dummy_prefix=False)
    made = export(
        tmp_path,
        tokenizer_model=content,
        tokenizer_config_json={"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>"},
        added_tokens_json={"<|user|>": 400},
    )
    assert (made.start_token, made.stop_tokens) == (1, (2,))
    assert made.encode("<|user|>")[1:] == [400]


def test_vocabulary_and_merges_are_read_by_their_class(tmp_path: Path) -> None:
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in MERGES) + "\n")
    files = {"vocab_json": VOCABULARY, "generation_config_json": GENERATION}
    made = export(tmp_path, config_json={"model_type": "gpt2"}, tokenizer_config_json={"eos_token": "</s>"}, **files)
    assert (made.split, made.encode("the</s>")) == (PreTokenizer.GPT2, [VOCABULARY["the"], END])
    qwen = export(tmp_path, tokenizer_config_json={"tokenizer_class": "Qwen2TokenizerFast"}, **files)
    assert Feature.NFC in qwen.features
    other = export(tmp_path, tokenizer_config_json={"tokenizer_class": "OwnTokenizer"}, **files)
    assert other.tokenizer is None
    assert other.reason is not None
    assert "OwnTokenizer" in other.reason


def test_settings_that_have_no_equal_are_named(tmp_path: Path) -> None:
    for change, named in (
        ({"type": "Unigram"}, "Unigram"),
        ({"dropout": 0.1}, "dropout"),
        ({"end_of_word_suffix": "</w>"}, "end_of_word_suffix"),
    ):
        made = export(tmp_path, tokenizer_json=document(**change), generation_config_json=GENERATION)
        assert made.tokenizer is None
        assert made.reason is not None
        assert named in made.reason


@pytest.mark.parametrize(
    ("added", "sentence"),
    [
        ({"id": -1, "content": "<x>"}, "has the added token"),
        ({"id": 10**9, "content": "<x>"}, "has the added token"),
        ({"id": END, "content": "<x>"}, "'</s>' and '<x>' the same id"),
    ],
)
def test_added_tokens_need_an_id_of_their_own(tmp_path: Path, added: dict[str, Any], sentence: str) -> None:
    value = document()
    value["added_tokens"].append(byte_level.special_token("<x>", 0) | added)
    with pytest.raises(ModelDamaged, match=sentence):
        export(tmp_path, tokenizer_json=value, generation_config_json=GENERATION)
