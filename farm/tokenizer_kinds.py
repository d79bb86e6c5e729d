"""The table of tokenizer kinds and settings, and which of the farm's three readers can do each.

A reader is the Kotlin library in the app, a graph of the I/O modes `bytes` and `strings`, or Python, where the
tokenizers package reads every file that it wrote. docs/tokenizers.md shows how the file spells each setting.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class TokenizerKind(StrEnum):
    """What `tokenizer` in `model-info.json` says."""

    BYTE_LEVEL_BPE = "byte-level-bpe"
    SENTENCEPIECE_BPE = "sentencepiece-bpe"


class PreTokenizer(StrEnum):
    """How a byte-level BPE splits a text before it merges."""

    GPT2 = "gpt2"
    LLAMA3 = "llama3"
    QWEN2 = "qwen2"
    SMOLLM = "smollm"
    BLOOM = "bloom"
    FALCON = "falcon"
    TEKKEN = "tekken"
    O200K = "o200k"
    DEEPSEEK = "deepseek"


class Reader(StrEnum):
    """What reads text for a model."""

    APP = "app"
    GRAPH = "graph"
    PYTHON = "python"


class Feature(StrEnum):
    """One setting of a tokenizer that a reader has to know."""

    BYTE_LEVEL = "byte-level BPE"
    SENTENCEPIECE = "SentencePiece BPE"
    SPLIT_GPT2 = "pre-tokenizer gpt2"
    SPLIT_LLAMA3 = "pre-tokenizer llama3"
    SPLIT_QWEN2 = "pre-tokenizer qwen2"
    SPLIT_SMOLLM = "pre-tokenizer smollm"
    SPLIT_BLOOM = "pre-tokenizer bloom"
    SPLIT_FALCON = "pre-tokenizer falcon"
    SPLIT_TEKKEN = "pre-tokenizer tekken"
    SPLIT_O200K = "pre-tokenizer o200k"
    SPLIT_DEEPSEEK = "pre-tokenizer deepseek"
    PREFIX_SPACE = "add_prefix_space"
    IGNORE_MERGES = "ignore_merges"
    MISSING_BYTES = "a vocabulary without some of the 256 bytes"
    NFC = "normalizer NFC"
    DUMMY_PREFIX = "normalizer Prepend"
    FIRST_PREFIX = "pre-tokenizer Metaspace with prepend_scheme first"
    ORDINARY_ADDED = "added tokens that are not special"
    NORMALIZED_ADDED = "added tokens with normalized"
    STRIPPING_ADDED = "added tokens with lstrip or rstrip"
    OTHER = "a setting of the model's own"


EVERYWHERE = frozenset(Reader)
OUTSIDE_OF_GRAPHS = frozenset({Reader.APP, Reader.PYTHON})
PYTHON_ALONE = frozenset({Reader.PYTHON})

ABILITIES: dict[Feature, frozenset[Reader]] = {
    Feature.BYTE_LEVEL: EVERYWHERE,
    Feature.SENTENCEPIECE: OUTSIDE_OF_GRAPHS,
    Feature.SPLIT_GPT2: EVERYWHERE,
    Feature.SPLIT_LLAMA3: EVERYWHERE,
    Feature.SPLIT_QWEN2: EVERYWHERE,
    Feature.SPLIT_SMOLLM: EVERYWHERE,
    Feature.SPLIT_BLOOM: EVERYWHERE,
    Feature.SPLIT_FALCON: OUTSIDE_OF_GRAPHS,
    Feature.SPLIT_TEKKEN: OUTSIDE_OF_GRAPHS,
    Feature.SPLIT_O200K: OUTSIDE_OF_GRAPHS,
    Feature.SPLIT_DEEPSEEK: OUTSIDE_OF_GRAPHS,
    Feature.PREFIX_SPACE: OUTSIDE_OF_GRAPHS,
    Feature.IGNORE_MERGES: OUTSIDE_OF_GRAPHS,
    Feature.MISSING_BYTES: EVERYWHERE,
    Feature.NFC: OUTSIDE_OF_GRAPHS,
    Feature.DUMMY_PREFIX: OUTSIDE_OF_GRAPHS,
    Feature.FIRST_PREFIX: OUTSIDE_OF_GRAPHS,
    Feature.ORDINARY_ADDED: EVERYWHERE,
    Feature.NORMALIZED_ADDED: OUTSIDE_OF_GRAPHS,
    Feature.STRIPPING_ADDED: OUTSIDE_OF_GRAPHS,
    Feature.OTHER: PYTHON_ALONE,
}

SPLIT_FEATURES = {name: Feature(f"pre-tokenizer {name.value}") for name in PreTokenizer}


def unable(reader: Reader, features: Iterable[Feature]) -> tuple[Feature, ...]:
    """The features that the reader lacks, in the table's order."""
    wanted = set(features)
    return tuple(feature for feature in Feature if feature in wanted and reader not in ABILITIES[feature])
