"""The kinds of `tokenizer.json` that the farm writes: which one a file is, and what each knows about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from farm.tokenizer_kinds import SPLIT_FEATURES, Feature, TokenizerKind
from pipeline.tokenizers import byte_level, sentencepiece_bpe
from pipeline.tokenizers.protocol import KindOfFile, Steps
from pipeline.tokenizers.unusable import TokenizerUnusable

Json = Any

BPE = "BPE"


class ByteLevelBpe:
    """Byte-pair encoding over the letters of a text's bytes."""

    name = TokenizerKind.BYTE_LEVEL_BPE
    feature = Feature.BYTE_LEVEL
    prints_added = True
    print_token = staticmethod(byte_level.print_token)

    def recognises(self, value: Mapping[str, Json]) -> bool:
        """Whether it prints by bytes."""
        decoder = value.get("decoder")
        return _is_bpe(value) and isinstance(decoder, Mapping) and decoder.get("type") == "ByteLevel"

    def read_steps(self, value: Mapping[str, Json], vocabulary: Mapping[str, int]) -> Steps:
        """See KindOfFile."""
        features: list[Feature] = []
        others: list[str] = []
        normalizers = list(steps_of(value.get("normalizer"), "normalizers"))
        normalizer = None if not normalizers else value["normalizer"]
        if normalizers == [{"type": "NFC"}]:
            normalizer = normalizers[0]
            features.append(Feature.NFC)
        elif normalizers:
            others.append(f"the normalizer {', '.join(str(step.get('type')) for step in normalizers)}")
        stated = value.get("pre_tokenizer")
        found = byte_level.find_split(stated)
        if found is None:
            others.append(f"the pre-tokenizer {byte_level.describe_steps(stated)}")
            return Steps(normalizer, stated, tuple(features), tuple(others))
        split, prefix_space = found
        features.append(SPLIT_FEATURES[split])
        if prefix_space:
            features.append(Feature.PREFIX_SPACE)
        if not vocabulary.keys() >= set(byte_level.byte_letters()):
            features.append(Feature.MISSING_BYTES)
        written = byte_level.write_pre_tokenizer(split, prefix_space)
        return Steps(normalizer, written, tuple(features), tuple(others), split)

    def write_model(self, model: Mapping[str, Json]) -> dict[str, Json]:  # noqa: ARG002  none of it is kept
        """Neither a fallback nor an unknown token: every byte has a letter."""
        return _bpe(unk_token=None, fuse_unk=False, byte_fallback=False)


class SentencePieceBpe:
    """Byte-pair encoding over characters, as SentencePiece does it; what else is a BPE is taken for one."""

    name = TokenizerKind.SENTENCEPIECE_BPE
    feature = Feature.SENTENCEPIECE
    # A user-defined symbol prints as any other piece.
    prints_added = False
    print_token = staticmethod(sentencepiece_bpe.print_token)

    def recognises(self, value: Mapping[str, Json]) -> bool:
        """Whether it is a BPE at all."""
        return _is_bpe(value)

    def read_steps(self, value: Mapping[str, Json], vocabulary: Mapping[str, int]) -> Steps:
        """See KindOfFile."""
        model = value["model"]
        space = sentencepiece_bpe.SPACE
        replace = {"type": "Replace", "pattern": {"String": " "}, "content": space}
        prepend = {"type": "Prepend", "prepend": space}
        normalizers, pre_tokenizer = list(steps_of(value.get("normalizer"), "normalizers")), value.get("pre_tokenizer")
        # Nothing is left to split at once every blank is replaced.
        if normalizers and pre_tokenizer == _split_at_blanks():
            pre_tokenizer = None
        features: list[Feature] = []
        others: list[str] = []
        normalizer = value.get("normalizer")
        if normalizers == [prepend, replace] and pre_tokenizer is None:
            features.append(Feature.DUMMY_PREFIX)
        elif normalizers == [replace] and pre_tokenizer is None:
            normalizer = replace
        elif not normalizers and pre_tokenizer == sentencepiece_bpe.metaspace_first():
            normalizer = None
            features.append(Feature.FIRST_PREFIX)
        else:
            names = [str(step.get("type")) for step in (*normalizers, *steps_of(pre_tokenizer, "pretokenizers"))]
            others.append(f"the normalizer or pre-tokenizer {', '.join(names) or 'none'}")
        printing = [step.get("type") for step in steps_of(value.get("decoder"), "decoders")]
        if printing not in (["Replace", "ByteFallback", "Fuse"], ["Replace", "ByteFallback", "Fuse", "Strip"]):
            others.append(f"the decoder {', '.join(str(name) for name in printing) or 'none'}")
        missing = sentencepiece_bpe.missing_bytes(vocabulary)
        if not model.get("byte_fallback") or missing:
            others.append("a vocabulary without byte_fallback to all 256 bytes")
        if not model.get("fuse_unk") or model.get("unk_token") is None:
            others.append("the settings fuse_unk or unk_token")
        return Steps(normalizer, pre_tokenizer, tuple(features), tuple(others))

    def write_model(self, model: Mapping[str, Json]) -> dict[str, Json]:
        """Unknown characters become bytes."""
        return _bpe(
            unk_token=model.get("unk_token"),
            fuse_unk=bool(model.get("fuse_unk")),
            byte_fallback=bool(model.get("byte_fallback")),
        )


# The first that recognises a file has it.
KINDS: tuple[KindOfFile, ...] = (ByteLevelBpe(), SentencePieceBpe())


def find(value: Mapping[str, Json]) -> KindOfFile:
    """The kind of a file that has a model; TokenizerUnusable names one that is not in the table."""
    for kind in KINDS:
        if kind.recognises(value):
            return kind
    raise TokenizerUnusable(f"the tokenizer model {str(value['model'].get('type'))[:40]}")


def steps_of(step: Json, key: str) -> Iterator[Mapping[str, Json]]:
    """The steps of a sequence, also of one within another."""
    if not isinstance(step, Mapping):
        return
    if step.get("type") == "Sequence":
        for inner in step.get(key) or ():
            yield from steps_of(inner, key)
    else:
        yield step


def _is_bpe(value: Mapping[str, Json]) -> bool:
    """Older files state no type."""
    return bool(value["model"].get("type", BPE) == BPE)


def _bpe(*, unk_token: Json, fuse_unk: bool, byte_fallback: bool) -> dict[str, Json]:
    return {
        "type": BPE,
        "dropout": None,
        "unk_token": unk_token,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": fuse_unk,
        "byte_fallback": byte_fallback,
        "ignore_merges": False,
    }


def _split_at_blanks() -> Json:
    return {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
