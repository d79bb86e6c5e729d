"""The app's tokenizers, run on the JVM, against the tokenizers package: published vocabularies and every split."""

from __future__ import annotations

import json
import pydoc_data.topics
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from pipeline.android import token_table
from tests.fixtures import real_tokenizers
from tests.fixtures.host_driver import HostDriver
from tests.integration.test_app_tokenizer import CLASSES, FIXED, SPACES, WORDS, strings

# For each of the twenty files; `scripts/faults --only T1` reads 100,000 in the app.
TEXTS, MIXTURES = 1500, 1000
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
TEKKEN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*|\p{{N}}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BLOOM = " ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+"


def _split(expression: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Split(Regex(expression), behavior="isolated")


def _into_bytes() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


# Those of families without a published vocabulary here, learned from text that every machine has.
SPLITS: dict[str, Callable[[], list[Any]]] = {
    "bloom": lambda: [_split(BLOOM), _into_bytes()],
    "tekken": lambda: [_split(TEKKEN), _into_bytes()],
    "falcon": lambda: [
        pre_tokenizers.Punctuation(behavior="contiguous"), pre_tokenizers.ByteLevel(add_prefix_space=False),
        pre_tokenizers.Digits(individual_digits=False), _split("[0-9][0-9][0-9]"),
    ],
    "smollm": lambda: [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)],
    "gpt2": lambda: [pre_tokenizers.ByteLevel(add_prefix_space=False)],
    "gpt2-prefix": lambda: [pre_tokenizers.ByteLevel(add_prefix_space=True)],
}  # fmt: skip
ADDED = [
    AddedToken("<think>", normalized=False),
    AddedToken("The", normalized=True),
    AddedToken("<right>", rstrip=True, normalized=False),
    AddedToken("<left>", lstrip=True, normalized=False, special=True),
]


def learned(split: str, target: Path) -> Path:
    """The file of a byte-level BPE that splits so."""
    target.write_text(_learn(split))
    return target


@cache
def _learn(split: str) -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(SPLITS[split]())
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=6000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([*pydoc_data.topics.topics.values(), *WORDS * 30, *strings()[:2000]], trainer)
    tokenizer.add_tokens(ADDED)
    return str(tokenizer.to_str())


def with_first_prefix(source: Path, target: Path) -> Path:
    """Llama 2's vocabulary in the form in which a blank stands before the text alone."""
    content = json.loads(source.read_text())
    content["normalizer"] = None
    metaspace = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": False}
    content["pre_tokenizer"] = metaspace
    content["added_tokens"].append(
        {"id": 32_000, "content": "<|end|>", "single_word": False, "lstrip": False, "rstrip": True, "normalized": False}
        | {"special": True}
    )
    target.write_text(json.dumps(content))
    return target


@pytest.fixture(scope="module")
def real_folder(request: pytest.FixtureRequest) -> Path:
    """Where fetched tokenizers are kept between test runs."""
    assert request.config.cache is not None
    return request.config.cache.mkdir("real-tokenizers")


def texts_with(added: list[str], seed: int) -> list[str]:
    """Strings of every kind, others for each seed, and mixtures with added tokens."""
    chance = random.Random(seed)  # noqa: S311  the same cases every time
    found = [*FIXED, *chance.sample(strings(), TEXTS)]
    for _ in range(MIXTURES):
        pools = (chance.choice((added, WORDS, SPACES, ["Ⅻ", "\u0344", "1234567", "ſ", "'ſ", "K"])) for _ in range(6))
        found.append("".join(chance.choice(pool) for pool in pools))
    return found


def require_parity(driver: HostDriver, file: Path, scratch: Path, *, reads_special: bool) -> None:
    """Ids, whole text and stream are those of the package, on every text and on random ids."""
    reference = Tokenizer.from_file(str(file))
    reference.encode_special_tokens = not reads_special
    table = scratch / "tokenizer.bin"
    token_table.write_token_table(file, table)
    opened = driver.ask(cmd="open", table=str(table), unicode_classes=str(CLASSES), reads_special=reads_special)
    assert "error" not in opened, opened
    added = [token.content for token in reference.get_added_tokens_decoder().values()]
    texts = texts_with(added, seed=reference.get_vocab_size())
    wrong: list[Any] = []
    for text in texts:
        expected = reference.encode(text, add_special_tokens=False).ids
        ids = driver.ask(cmd="tokenize", text=text)["ids"]
        back = driver.ask(cmd="detokenize", ids=expected)
        whole = reference.decode(expected)
        if ids != expected or back["text"] != whole or "".join(back["parts"]) != whole:
            wrong.append((text, ids, expected, back, whole))
    chance = random.Random(32)  # noqa: S311  the same cases every time
    # The byte tokens of a SentencePiece vocabulary come first.
    for most in (300, reference.get_vocab_size()):
        for _ in range(250):
            ids = [chance.randrange(most) for _ in range(chance.randint(1, 12))]
            back = driver.ask(cmd="detokenize", ids=ids)
            if not back["text"] == "".join(back["parts"]) == reference.decode(ids):
                wrong.append((ids, back, reference.decode(ids)))
    assert wrong == []


@pytest.mark.parametrize("reads_special", [False, True], ids=["text", "read"])
@pytest.mark.parametrize("split", SPLITS)
def test_every_split_reads_as_the_package_does(
    shared_driver: HostDriver, tmp_path: Path, split: str, reads_special: bool
) -> None:
    require_parity(shared_driver, learned(split, tmp_path / "tokenizer.json"), tmp_path, reads_special=reads_special)


@pytest.mark.parametrize("name", real_tokenizers.PACKAGES)
def test_published_vocabularies_read_as_the_package_does(
    shared_driver: HostDriver, tmp_path: Path, real_folder: Path, name: str
) -> None:
    require_parity(shared_driver, real_tokenizers.fetch(name, real_folder), tmp_path, reads_special=True)


def test_a_blank_before_the_text_alone(shared_driver: HostDriver, tmp_path: Path, real_folder: Path) -> None:
    file = with_first_prefix(real_tokenizers.fetch("llama2", real_folder), tmp_path / "tokenizer.json")
    for reads_special in (False, True):
        require_parity(shared_driver, file, tmp_path, reads_special=reads_special)


def test_the_file_gives_what_its_table_gives(shared_driver: HostDriver, tmp_path: Path, real_folder: Path) -> None:
    file = real_tokenizers.fetch("llama3", real_folder)
    token_table.write_token_table(file, tmp_path / "tokenizer.bin")
    texts, found = strings()[:300], []
    for way in ({"tokenizer": str(file)}, {"table": str(tmp_path / "tokenizer.bin")}):
        assert "error" not in shared_driver.ask(cmd="open", unicode_classes=str(CLASSES), **way)
        found.append([shared_driver.ask(cmd="tokenize", text=text)["ids"] for text in texts])
    assert found[0] == found[1]


def test_a_damaged_table_is_refused(shared_driver: HostDriver, tmp_path: Path) -> None:
    token_table.write_token_table(learned("gpt2", tmp_path / "tokenizer.json"), tmp_path / "tokenizer.bin")
    whole, damaged = (tmp_path / "tokenizer.bin").read_bytes(), tmp_path / "damaged.bin"
    middle = len(whole) // 2
    for content, words in (
        (whole[:-1000], "cut short"),
        (whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :], "damaged"),
        (b"PK" + whole, "of another form"),
    ):
        damaged.write_bytes(content)
        answer = shared_driver.ask(cmd="open", table=str(damaged), unicode_classes=str(CLASSES))
        assert answer["error"].startswith("Tokenizer.bin is ")
        assert words in answer["error"]


def test_a_quarter_of_a_million_tokens_take_little_heap(
    host_driver: HostDriver, tmp_path: Path, real_folder: Path
) -> None:
    token_table.write_token_table(real_tokenizers.fetch("gemma3", real_folder), tmp_path / "tokenizer.bin")
    opening = {"cmd": "open", "table": str(tmp_path / "tokenizer.bin"), "unicode_classes": str(CLASSES)}
    assert host_driver.ask(**opening, measures=True)["heap_bytes"] < 40_000_000
