"""Byte-level BPE: the ways of splitting, vocabulary and merges as a document, and how a token prints."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from farm.errors import ModelDamaged
from farm.tokenizer_kinds import PreTokenizer

Json = Any

LLAMA3_EXPRESSION = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)"
    r"|\s+"
)
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
LEAD = r"[^\r\n\p{L}\p{N}]?"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
EXPRESSIONS: dict[PreTokenizer, str] = {
    PreTokenizer.LLAMA3: LLAMA3_EXPRESSION,
    PreTokenizer.QWEN2: LLAMA3_EXPRESSION.replace("{1,3}", ""),
    PreTokenizer.BLOOM: r" ?[^(\s|[.,!?…。，、।۔،])]+",
    PreTokenizer.TEKKEN: (
        rf"{LEAD}{UPPER}*{LOWER}+|{LEAD}{UPPER}+{LOWER}*|\p{{N}}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    PreTokenizer.O200K: (
        rf"{LEAD}{UPPER}*{LOWER}+{CONTRACTIONS}?|{LEAD}{UPPER}+{LOWER}*{CONTRACTIONS}?|\p{{N}}{{1,3}}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
}
# DeepSeek's has three steps before the bytes: numbers, Chinese and Japanese, the rest.
DEEPSEEK = (
    r"\p{N}{1,3}",
    "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
    "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
)
# Other spellings of the same set of characters.
SYNONYMS = {
    r" ?[^(\s|.,!?…。，、।۔،)]+": EXPRESSIONS[PreTokenizer.BLOOM],
}
FALCON_DIGITS = "[0-9][0-9][0-9]"

# By KerasHub's classes, which state no pattern of their own; what a model's files state comes first.
BY_CLASS: dict[str, PreTokenizer] = {
    "GPT2Tokenizer": PreTokenizer.GPT2,
    "OPTTokenizer": PreTokenizer.GPT2,
    "GPTNeoXTokenizer": PreTokenizer.GPT2,
    "QwenTokenizer": PreTokenizer.QWEN2,
    "Qwen3Tokenizer": PreTokenizer.QWEN2,
    "Llama3Tokenizer": PreTokenizer.LLAMA3,
    "SmolLM3Tokenizer": PreTokenizer.LLAMA3,
    "BloomTokenizer": PreTokenizer.BLOOM,
    "FalconTokenizer": PreTokenizer.FALCON,
}
# Falcon RefinedWeb 1B has GPT-2's vocabulary, whose last token this is, and splits as GPT-2 does.
GPT2_LAST = ("<|endoftext|>", 50256)


def split_of(class_name: str, vocabulary: Mapping[str, int]) -> PreTokenizer | None:
    """How a tokenizer of KerasHub's class splits; None for a class that is not in the table."""
    if class_name == "FalconTokenizer" and vocabulary.get(GPT2_LAST[0]) == GPT2_LAST[1]:
        return PreTokenizer.GPT2
    return BY_CLASS.get(class_name)


def write_pre_tokenizer(split: PreTokenizer, prefix_space: bool = False) -> Json:
    """The way of splitting as `pre_tokenizer`; prefix_space is for GPT-2's alone."""
    by_regex = _byte_level(use_regex=True, prefix_space=prefix_space)
    if split is PreTokenizer.GPT2:
        return by_regex
    if split is PreTokenizer.SMOLLM:
        return _sequence({"type": "Digits", "individual_digits": True}, by_regex)
    if split is PreTokenizer.FALCON:
        return _sequence(
            {"type": "Punctuation", "behavior": "Contiguous"},
            by_regex,
            {"type": "Digits", "individual_digits": False},
            _split(FALCON_DIGITS),
        )
    if split is PreTokenizer.DEEPSEEK:
        return _sequence(*map(_split, DEEPSEEK), _byte_level(use_regex=False, prefix_space=False))
    return _sequence(_split(EXPRESSIONS[split]), _byte_level(use_regex=False, prefix_space=False))


def find_split(stated: Json) -> tuple[PreTokenizer, bool] | None:
    """The way of splitting that does what a `pre_tokenizer` does, and whether it puts a blank in front; None for
    another one."""
    wanted = list(_steps(stated))
    for name in PreTokenizer:
        if list(_steps(write_pre_tokenizer(name))) == wanted:
            return name, False
    if list(_steps(write_pre_tokenizer(PreTokenizer.GPT2, prefix_space=True))) == wanted:
        return PreTokenizer.GPT2, True
    return None


def describe_steps(stated: Json) -> str:
    """The steps of a `pre_tokenizer` by name, for a sentence."""
    names = [f"{step[0]} {str(step[1])[:40]!r}" if step[0] == "Split" else str(step[0]) for step in _steps(stated)]
    return ", ".join(names) or "none"


def write_document(
    vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]], added: Sequence[Json], pre_tokenizer: Json
) -> Json:
    """A `tokenizer.json` as a value."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": list(added),
        "normalizer": None,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": dict(sorted(vocabulary.items(), key=lambda item: item[1])),
            "merges": [list(pair) for pair in merges],
        },
    }


def special_token(content: str, number: int) -> Json:
    """An added token that prints as nothing."""
    return {
        "id": number,
        "content": content,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }


def read_merge(merge: Json) -> tuple[str, str]:
    """A merge as a pair; older files write it as one string. ModelDamaged."""
    parts = merge.split(" ") if isinstance(merge, str) else merge
    if not isinstance(parts, Sequence) or len(parts) != 2 or not all(isinstance(part, str) for part in parts):
        raise ModelDamaged(f"The tokenizer's merge {str(merge)[:60]!r} is no pair of tokens; save the tokenizer again.")
    return parts[0], parts[1]


@cache
def byte_letters() -> tuple[str, ...]:
    """The letter that stands for each byte in a byte-level vocabulary: printable Latin-1 for itself, others moved."""
    printable = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    moved = iter(range(0x100, 0x200))
    return tuple(chr(byte if byte in printable else next(moved)) for byte in range(256))


@cache
def _bytes_of() -> dict[str, int]:
    return {letter: byte for byte, letter in enumerate(byte_letters())}


def print_token(token: str) -> bytes:
    """The bytes that a vocabulary's entry stands for; one that has other letters stands for itself."""
    table = _bytes_of()
    try:
        return bytes(table[letter] for letter in token)
    except KeyError:
        return token.encode()


def _sequence(*steps: Json) -> Json:
    return {"type": "Sequence", "pretokenizers": list(steps)}


def _split(expression: str) -> Json:
    return {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}


def _byte_level(*, use_regex: bool, prefix_space: bool) -> Json:
    return {"type": "ByteLevel", "add_prefix_space": prefix_space, "trim_offsets": True, "use_regex": use_regex}


def _steps(stated: Json) -> Iterator[tuple[Any, ...]]:
    """What decides how a text is split, step by step; offsets do not."""
    if not isinstance(stated, Mapping):
        return
    match stated.get("type"):
        case "Sequence":
            for step in stated.get("pretokenizers") or ():
                yield from _steps(step)
        case "Digits":
            yield "Digits", bool(stated.get("individual_digits"))
        case "ByteLevel":
            yield "ByteLevel", bool(stated.get("add_prefix_space")), bool(stated.get("use_regex", True))
        case "Punctuation":
            yield "Punctuation", stated.get("behavior", "Isolated")
        case "Split":
            pattern = stated.get("pattern")
            expression = pattern.get("Regex") if isinstance(pattern, Mapping) else pattern
            expression = SYNONYMS.get(str(expression), expression)
            # What is removed is what does not match: that is nothing where the expression matches everything.
            whole = expression not in (EXPRESSIONS[PreTokenizer.BLOOM], FALCON_DIGITS, *DEEPSEEK)
            isolated = (stated.get("behavior"), stated.get("invert", False)) == ("Isolated", False)
            inverted = (stated.get("behavior"), stated.get("invert")) == ("Removed", True)
            yield "Split", expression, isolated or (whole and inverted)
        case other:
            yield str(other), json.dumps(stated, sort_keys=True)
