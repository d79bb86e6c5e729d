"""The app's tokenizer, run on the JVM, against the tokenizers package, which is the reference."""

from __future__ import annotations

import json
import pydoc_data.topics
import random
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from farm import locations
from pipeline.conversion.byte_bpe import unicode_classes
from tests.fixtures.host_driver import HostDriver

CLASSES = locations.ANDROID_BUILDER / "generation/src/main/assets/unicode-classes.bin"
END = "<|endoftext|>"
LEAST_STRINGS = 5000
WORDS = (
    "the The list's THEY'RE don't we'll I'm he'd you've 'tis rock'n'roll l'eau naïve façade Straße ПРИВЕТ привет мир"
    " 中文字符 日本語のテキスト 한국어 العربية עברית हिन्दी ไทย Ελληνικά"
    " ǅ ℌ ⅷ ² ½ ٣ ५ 𝟘 x² 😀 👩‍👩‍👧‍👦 🇩🇪 👍🏽 e\u0301 A\u030a n\u0303o"
    " def __init__(self): return x[i]+=1; /* ok */ <|endoftext|>"
    " http://a.b/c?d=e&f %20 \\n C:\\dir {} => != ... --- ___"
).split(" ")
SPACES = [*" \n\t\u00a0\u2003\u3000\u2028\x85", "  ", "   ", " " * 8, "\n\n", "\r\n", "\t\t", " \n ", ""]
FIXED = [
    "", " ", "  ", "\n", "\t ", " a", "a ", "  a", "a  b", "a\n\nb", "a \n b", "'", "''", "'s", " 's", "'S",
    "'ll", "'lly",
    "'l", "'re've", "1'2", "a'", "0", "007", "3.14", "1,000,000", "12 34", "\x00", "\x00\x01\x7f", "\ufeffa", "\u200b",
    "\u00ad", "\ufffd", "\U0010ffff", "\ue000", "\ufdd0", " \u0301", "a\u0301\u0302", "🏳️‍🌈", "ﬁ", "İ",
    "\u0130\u0131", END,
    f"a{END}b", "<|endoftext|", "def f(x):\n    return x\n", "if (a && b) { c(); }\r\n", "\u180e", "\u1680", "\u205f",
]  # fmt: skip


def strings() -> list[str]:
    """Strings of every kind that splits or encodes in a way of its own; always the same ones."""
    chance = random.Random(20)  # noqa: S311  the same cases every time
    found = list(FIXED)
    for _ in range(2200):
        pieces = (chance.choice(WORDS) + chance.choice(SPACES) for _ in range(chance.randint(1, 8)))
        found.append(chance.choice(SPACES) + "".join(pieces))
    for _ in range(600):
        found.append("".join(chance.choice("0123456789 .,'aZ\n") for _ in range(chance.randint(1, 30))))
    for _ in range(1400):
        points = (chance.randrange(0x110000 - 0x800) for _ in range(chance.randint(1, 12)))
        found.append("".join(chr(point if point < 0xD800 else point + 0x800) for point in points))
    for _ in range(600):
        found.append("".join(chr(chance.randrange(0x3000)) for _ in range(chance.randint(1, 20))))
    lines = "\n".join(pydoc_data.topics.topics.values()).splitlines()
    return found + chance.sample(lines, 700)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tokenizer, Path]]:
    """A byte-level BPE trained here, and its file."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=6000, special_tokens=[END], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([*pydoc_data.topics.topics.values(), *WORDS * 30], trainer)
    # Text that looks like a special token is text.
    tokenizer.encode_special_tokens = True
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.save(str(path))
    yield tokenizer, path


@pytest.fixture
def opened(shared_driver: HostDriver, reference: tuple[Tokenizer, Path]) -> HostDriver:
    """A driver that has the reference's file open."""
    answer = shared_driver.ask(cmd="open", tokenizer=str(reference[1]), unicode_classes=str(CLASSES))
    assert answer["tokenizer_size"] == reference[0].get_vocab_size()
    return shared_driver


def test_ids_equal_the_reference_and_text_comes_back(opened: HostDriver, reference: tuple[Tokenizer, Path]) -> None:
    texts = strings()
    assert len(texts) >= LEAST_STRINGS
    wrong = []
    for text in texts:
        expected = reference[0].encode(text, add_special_tokens=False).ids
        ids = opened.ask(cmd="tokenize", text=text)["ids"]
        back = opened.ask(cmd="detokenize", ids=ids)
        if ids != expected or back["text"] != text or "".join(back["parts"]) != text:
            wrong.append((text, ids, expected, back))
    assert wrong == []


def test_any_tokens_decode_as_the_reference_does(opened: HostDriver, reference: tuple[Tokenizer, Path]) -> None:
    """Single byte tokens in any order: most are no UTF-8, and the number of U+FFFD must agree."""
    chance = random.Random(21)  # noqa: S311  the same cases every time
    alphabet = [reference[0].token_to_id(letter) for letter in pre_tokenizers.ByteLevel.alphabet()]
    high = [reference[0].token_to_id(letter) for letter in "ðŁĺĢâĤ¬íłĢô"] + [alphabet[0]]
    pools: tuple[Any, ...] = (alphabet, high, range(reference[0].get_vocab_size()))
    for pool in pools:
        for _ in range(300):
            ids = [chance.choice(pool) for _ in range(chance.randint(1, 12))]
            answer = opened.ask(cmd="detokenize", ids=ids)
            assert answer["text"] == reference[0].decode(ids), ids
            assert "".join(answer["parts"]) == answer["text"]


def test_a_stream_never_shows_half_a_character(opened: HostDriver, reference: tuple[Tokenizer, Path]) -> None:
    text = "\U0001fae8 e\u0301"  # the emoji is in no vocabulary, so it comes byte by byte
    ids = opened.ask(cmd="tokenize", text=text)["ids"]
    parts = opened.ask(cmd="detokenize", ids=ids)["parts"]
    assert len(ids) > len([part for part in parts if part])
    assert not any("\ufffd" in part for part in parts)


def test_merges_written_as_strings_give_the_same(
    opened: HostDriver, reference: tuple[Tokenizer, Path], tmp_path: Path
) -> None:
    content = json.loads(reference[1].read_text())
    assert isinstance(content["model"]["merges"][0], list)
    content["model"]["merges"] = [" ".join(pair) for pair in content["model"]["merges"]]
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content))
    text = "A list's items — 中文, naïve 😀 and 12345."
    expected = opened.ask(cmd="tokenize", text=text)["ids"]
    assert "error" not in opened.ask(cmd="open", tokenizer=str(path), unicode_classes=str(CLASSES))
    assert opened.ask(cmd="tokenize", text=text)["ids"] == expected


@pytest.mark.parametrize("text", ["a" * 100_000, "ab" * 50_000, " " * 100_000, "😀" * 25_000])
def test_one_long_piece_takes_no_quadratic_time(
    opened: HostDriver, reference: tuple[Tokenizer, Path], text: str
) -> None:
    began = time.monotonic()
    ids = opened.ask(cmd="tokenize", text=text)["ids"]
    # Quadratic merging takes minutes here.
    assert time.monotonic() - began < 5
    assert ids == reference[0].encode(text, add_special_tokens=False).ids


def split_by(expression: str, behavior: str = "Isolated") -> dict[str, object]:
    """A pre-tokenizer that splits by an expression, then into bytes."""
    split = {"type": "Split", "pattern": {"Regex": expression}, "behavior": behavior, "invert": False}
    to_bytes = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
    return {"type": "Sequence", "pretokenizers": [split, to_bytes]}


@pytest.mark.parametrize(
    ("part", "value", "word"),
    [
        ("normalizer", {"type": "Lowercase"}, "normalizer Lowercase"),
        ("normalizer", {"type": "Replace", "pattern": {"String": "a"}, "content": "b"}, "replaces another text"),
        ("pre_tokenizer", {"type": "Whitespace"}, "Whitespace"),
        ("pre_tokenizer", None, "nothing"),
        ("pre_tokenizer", split_by("a|b"), "pattern not known: a|b"),
        ("pre_tokenizer", split_by(r"\p{N}{1,3}", "MergedWithNext"), "behavior MergedWithNext"),
        ("decoder", {"type": "WordPiece"}, "WordPiece"),
        ("model", {"type": "WordPiece", "vocab": {"a": 0}}, "WordPiece"),
        ("model", {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}, "vocabulary"),
        ("model", {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": ["a b c"]}, "pair"),
        (
            "model",
            {"type": "BPE", "vocab": {"a": 0}, "merges": [], "byte_fallback": True, "fuse_unk": True},
            "splits a text",
        ),
        ("model", {"type": "BPE", "vocab": {"a": -1}, "merges": []}, "id"),
        ("model", {"type": "BPE", "vocab": ["a"], "merges": []}, "kind"),
        ("added_tokens", [{"id": 1, "content": "<x>", "single_word": True}], "<x> as a single_word"),
        ("added_tokens", [{"id": 1 << 30, "content": "<x>"}], "<x> the id"),
    ],
)
def test_what_would_be_computed_differently_is_refused(
    opened: HostDriver, reference: tuple[Tokenizer, Path], tmp_path: Path, part: str, value: object, word: str
) -> None:
    content = json.loads(reference[1].read_text())
    content[part] = value
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content))
    answer = opened.ask(cmd="open", tokenizer=str(path), unicode_classes=str(CLASSES))
    assert word in answer["error"]
    assert answer["error"].endswith(".")


def test_a_damaged_file_is_refused(host_driver: HostDriver, reference: tuple[Tokenizer, Path], tmp_path: Path) -> None:
    path, classes = tmp_path / "tokenizer.json", tmp_path / "classes.bin"
    path.write_bytes(reference[1].read_bytes()[:-2000])
    assert "damaged" in host_driver.ask(cmd="open", tokenizer=str(path), unicode_classes=str(CLASSES))["error"]
    classes.write_bytes(CLASSES.read_bytes()[:-1])
    answer = host_driver.ask(cmd="open", tokenizer=str(reference[1]), unicode_classes=str(classes))
    assert "cut short" in answer["error"]
    assert "No tokenizer" in host_driver.ask(cmd="tokenize", text="a")["error"]


def test_special_tokens_stand_for_no_text(opened: HostDriver, reference: tuple[Tokenizer, Path]) -> None:
    end = reference[0].token_to_id(END)
    ids = opened.ask(cmd="tokenize", text="a list")["ids"]
    assert end not in opened.ask(cmd="tokenize", text=END)["ids"]
    assert opened.ask(cmd="detokenize", ids=[end, *ids, end])["text"] == "a list"


# Nested, overlapping, one the beginning of another, with a blank, not of ASCII.
SPECIALS = ["<|a|>", "<|a|><|b|>", "<|b|>", " <x>", "'s!", "<\uff5cbegin\u2581of\uff5c>", "\U0001f642", END]


def test_special_tokens_are_read_where_the_model_says_so(
    host_driver: HostDriver, reference: tuple[Tokenizer, Path], tmp_path: Path
) -> None:
    tokenizer = Tokenizer.from_file(str(reference[1]))
    tokenizer.add_special_tokens(SPECIALS)
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    opening = {"cmd": "open", "tokenizer": str(path), "unicode_classes": str(CLASSES), "reads_special": True}
    assert "error" not in host_driver.ask(**opening)
    chance = random.Random(23)  # noqa: S311  the same cases every time
    parts = [*SPECIALS * 6, *(special[:-1] for special in SPECIALS[:-2]), *WORDS, *SPACES]
    texts = [*SPECIALS, *("".join(chance.choice(parts) for _ in range(chance.randint(1, 12))) for _ in range(1500))]
    wanted = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    ids = {tokenizer.token_to_id(special) for special in SPECIALS}
    assert sum(bool(ids.intersection(each)) for each in wanted) > 900
    assert [host_driver.ask(cmd="tokenize", text=text)["ids"] for text in texts] == wanted


def test_the_class_table_is_complete_and_fresh() -> None:
    content = CLASSES.read_bytes()
    categories, classes = unicode_classes.unpack_categories(content), unicode_classes.unpack(content)
    assert len(categories) == len(classes) == 0x110000
    assert unicode_classes.pack(categories) == content
    chance = random.Random(22)  # noqa: S311  the same cases every time
    sample = [*range(0x3100), *chance.sample(range(0x110000), 20_000)]
    assert [point for point in sample if categories[point] != unicode_classes.classify(point)] == []
    # Where another Unicode would answer differently the table must hold the reference's answer.
    letters = {point for point in range(0x110000) if unicodedata.category(chr(point)).startswith("L")}
    assert letters != {point for point, kind in enumerate(classes) if kind == unicode_classes.CodePointClass.LETTER}


def test_a_table_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match="table"):
        unicode_classes.unpack(CLASSES.read_bytes()[:-1])
