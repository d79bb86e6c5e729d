"""From a KerasHub tokenizer to `tokenizer.json` of the tokenizers package, the farm's one reference for splitting.

KerasHub itself splits in two ways, by Llama 3's pattern outside of a TensorFlow graph and roughly by GPT-2's inside;
models of GPT-2's kind were trained with GPT-2's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from farm.errors import ModelDamaged
from farm.jobspec import IoMode

BYTE_LEVEL_BPE = "byte-level-bpe"


class PreTokenizer(StrEnum):
    """How a byte-level BPE splits a text before it merges."""

    GPT2 = "gpt2"
    LLAMA3 = "llama3"
    QWEN2 = "qwen2"
    SMOLLM = "smollm"


LLAMA3_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)"
    r"|\s+"
)
# The tokenizers package has GPT-2's own, which SmolLM uses between single digits.
EXPRESSIONS: dict[PreTokenizer, str] = {
    PreTokenizer.LLAMA3: LLAMA3_PATTERN,
    PreTokenizer.QWEN2: LLAMA3_PATTERN.replace("{1,3}", ""),
}
# Tokenizers by class; the app has GPT-2's pattern alone. KerasHub has no class for SmolLM's: a checkpoint states it.
SPLITTERS = {
    "GPT2Tokenizer": PreTokenizer.GPT2,
    "OPTTokenizer": PreTokenizer.GPT2,
    "GPTNeoXTokenizer": PreTokenizer.GPT2,
    "QwenTokenizer": PreTokenizer.QWEN2,
    "Qwen3Tokenizer": PreTokenizer.QWEN2,
}


@dataclass(frozen=True)
class TokenizerExport:
    """What goes into `tokenizer.json` and into `model-info.json`.

    content: the file. kind: BYTE_LEVEL_BPE when the app can use it, else None with `reason` as a sentence. tokenizer:
    None when the tokenizers package has no equal of it. split: how it splits,
    None where a graph has no rule for it. start_token: what is put before every prompt, None for nothing.
    """

    content: bytes
    kind: str | None
    reason: str | None
    tokenizer: Tokenizer | None
    start_token: int | None
    end_token: int | None
    split: PreTokenizer | None = None

    def why_no_app(self, io_mode: IoMode) -> str | None:
        """Why no app comes of the model in that io_mode, None where one does: that of the I/O mode `strings` reads no
        text."""
        return None if io_mode is IoMode.STRINGS else self.reason

    def encode(self, text: str) -> list[int]:
        """The text's tokens behind the start token."""
        start = [] if self.start_token is None else [self.start_token]
        return start if self.tokenizer is None else start + list(self.tokenizer.encode(text).ids)

    def encode_literally(self, text: str) -> list[int]:
        """The text's own tokens, special tokens in it read as ordinary text."""
        if self.tokenizer is None:
            return []
        self.tokenizer.encode_special_tokens = True
        try:
            return list(self.tokenizer.encode(text).ids)
        finally:
            self.tokenizer.encode_special_tokens = False


def export_tokenizer(preprocessor: Any, family: str, stated: PreTokenizer | None = None) -> TokenizerExport:
    """The export of a preprocessor's tokenizer; ModelDamaged when vocabulary and merges do not fit each other.

    stated: how the model's own files say to split, None where they say nothing.
    """
    tokenizer = getattr(preprocessor, "tokenizer", None)
    if tokenizer is None:
        return _without_equal(
            {"class": None}, "The model was saved without a tokenizer; save it with its preprocessor to get an app."
        )
    start = tokenizer.start_token_id if getattr(preprocessor, "add_start_token", True) else None
    end = tokenizer.end_token_id
    class_name = type(tokenizer).__name__
    if not _is_byte_pair(tokenizer):
        about = {"class": class_name, "vocabulary_size": tokenizer.vocabulary_size()}
        return _without_equal(about, _no_app_sentence(family), start, end)
    split = stated or SPLITTERS.get(class_name, PreTokenizer.LLAMA3)
    usable = split is PreTokenizer.GPT2 and not tokenizer.add_prefix_space
    equal = byte_level_bpe(tokenizer.vocabulary, tokenizer.merges, tokenizer.special_tokens, split)
    return TokenizerExport(
        content=equal.to_str(pretty=False).encode(),
        kind=BYTE_LEVEL_BPE if usable else None,
        reason=None if usable else _no_app_sentence(family),
        tokenizer=equal,
        start_token=start,
        end_token=end,
        split=None if tokenizer.add_prefix_space else split,
    )


def byte_level_bpe(
    vocabulary: Mapping[str, int], merges: list[str], special_tokens: list[str], split: PreTokenizer = PreTokenizer.GPT2
) -> Tokenizer:
    """A byte-level BPE that splits text in that way before merging."""
    split_merges = [merge.partition(" ") for merge in merges if merge and not merge.startswith("#version")]
    pairs = [(left, right) for left, _, right in split_merges]
    try:
        tokenizer = Tokenizer(models.BPE(vocab=dict(vocabulary), merges=pairs))
    # The package raises the bare class, whatever is wrong.
    except Exception as error:
        raise ModelDamaged(
            f"The tokenizer's merges do not fit its vocabulary ({error}); save the model's tokenizer again."
        ) from error
    tokenizer.pre_tokenizer = pre_tokenizer(split)
    tokenizer.decoder = decoders.ByteLevel()
    known = sorted((token for token in set(special_tokens) if token in vocabulary), key=vocabulary.__getitem__)
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in known])
    return tokenizer


def pre_tokenizer(split: PreTokenizer) -> pre_tokenizers.PreTokenizer:
    """What splits text in that way in the tokenizers package."""
    if split in EXPRESSIONS:
        by_expression = pre_tokenizers.Split(pattern=Regex(EXPRESSIONS[split]), behavior="isolated")
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        return pre_tokenizers.Sequence([by_expression, byte_level])
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if split is PreTokenizer.SMOLLM:
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), gpt2])
    return gpt2


def _is_byte_pair(tokenizer: Any) -> bool:
    # By name, since importing KerasHub for one class would cost seconds.
    return any(cls.__name__ == "BytePairTokenizer" for cls in type(tokenizer).__mro__)


def _without_equal(
    about: dict[str, Any], reason: str, start: int | None = None, end: int | None = None
) -> TokenizerExport:
    content = json.dumps({"keras_tokenizer": about, "note": reason}, sort_keys=True).encode()
    return TokenizerExport(content, None, reason, None, start, end)


def _no_app_sentence(family: str) -> str:
    return f"The app has no tokenizer for the family {family} yet; the job ends at the verified model.tflite."
