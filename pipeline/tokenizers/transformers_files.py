"""The tokenizer files of a Transformers folder: `tokenizer.json`, or what its slow tokenizers have instead."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farm import sources
from farm.tokenizer_kinds import PreTokenizer
from pipeline.models import jsonfile
from pipeline.tokenizers import byte_level, stop_tokens
from pipeline.tokenizers.unusable import TokenizerUnusable

Json = Any

TOKENIZER = "tokenizer.json"
SENTENCEPIECE = "tokenizer.model"
CONFIG = stop_tokens.TOKENIZER_CONFIG
ADDED = "added_tokens.json"
VOCABULARY, MERGES = "vocab.json", "merges.txt"
# How a tokenizer splits that is stated by its class alone, beside vocabulary and merges, and whether it normalizes.
SPLIT_BY_CLASS = {
    "GPT2Tokenizer": (PreTokenizer.GPT2, False),
    "GPTNeoXTokenizer": (PreTokenizer.GPT2, False),
    "Qwen2Tokenizer": (PreTokenizer.QWEN2, True),
}
CLASS_BY_TYPE = {
    "gpt2": "GPT2Tokenizer", "opt": "GPT2Tokenizer", "gpt_neox": "GPTNeoXTokenizer",
    "qwen2": "Qwen2Tokenizer", "qwen3": "Qwen2Tokenizer",
}  # fmt: skip
NAMED_TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token")
# Their slow tokenizers begin a text with the start token when no file says otherwise.
STARTING_CLASSES = ("Llama", "CodeLlama", "Gemma", "Mistral")


def is_transformers(folder: Path) -> bool:
    """Whether the folder is laid out as Transformers does it."""
    config = folder / sources.CONFIG
    return config.is_file() and sources.is_transformers(jsonfile.parse(config.read_bytes(), sources.CONFIG))


def read_document(folder: Path) -> Json | None:
    """The content of `tokenizer.json`; None without one."""
    path = folder / TOKENIZER
    if not path.is_file():
        return None
    return jsonfile.parse(path.read_bytes(), TOKENIZER, limit=jsonfile.VOCABULARY_BYTES)


def read_vocabulary(folder: Path) -> Json | None:
    """Vocabulary and merges as a `tokenizer.json`; None without them. TokenizerUnusable for an unknown class."""
    path, merges = folder / VOCABULARY, folder / MERGES
    if not path.is_file() or not merges.is_file():
        return None
    config = stop_tokens.read_json(folder / CONFIG)
    class_name = str(config.get("tokenizer_class") or "").removesuffix("Fast")
    if class_name in ("", "PreTrainedTokenizer"):
        class_name = CLASS_BY_TYPE.get(
            str(stop_tokens.read_json(folder / sources.CONFIG).get("model_type")), class_name
        )
    if class_name not in SPLIT_BY_CLASS:
        raise TokenizerUnusable(f"the way in which the class {class_name or 'of no name'} splits")
    split, normalizes = SPLIT_BY_CLASS[class_name]
    vocabulary = jsonfile.parse(path.read_bytes(), VOCABULARY, limit=jsonfile.VOCABULARY_BYTES)
    lines = merges.read_text(encoding="utf-8").split("\n")
    pairs = [byte_level.read_merge(line) for line in lines if line.strip() and not line.startswith("#version")]
    stated = {stop_tokens.token_text(config.get(name)) for name in NAMED_TOKENS} | {byte_level.GPT2_LAST[0]}
    added = [byte_level.special_token(token, vocabulary[token]) for token in vocabulary if token in stated]
    prefix_space = bool(config.get("add_prefix_space")) and split is PreTokenizer.GPT2
    value = byte_level.write_document(vocabulary, pairs, added, byte_level.write_pre_tokenizer(split, prefix_space))
    return {**value, "normalizer": {"type": "NFC"} if normalizes else None}


def add_tokens(value: Json, folder: Path) -> Json:
    """The document of a `tokenizer.model` or a vocabulary with the tokens that other files add to it."""
    known = {token["content"]: token for token in value["added_tokens"]}
    table = stop_tokens.read_json(folder / CONFIG).get("added_tokens_decoder")
    stated = {
        str(token.get("content")): {**token, "id": int(number)}
        for number, token in (table.items() if isinstance(table, Mapping) else ())
        if isinstance(token, Mapping) and str(number).isdigit()
    }
    for content, number in stop_tokens.read_json(folder / ADDED).items():
        stated.setdefault(content, {"id": number, "content": content, "special": True})
    for content, token in stated.items():
        # What SentencePiece calls a control or a user-defined symbol is in the document already.
        if content not in known:
            known[content] = token
    return {**value, "added_tokens": list(known.values())}


def start_token(folder: Path, value: Json | None, ids: Mapping[str, int]) -> int | None:
    """The token with which the files begin every text; None for none. TokenizerUnusable for more than one."""
    config = stop_tokens.read_json(folder / CONFIG)
    first = _template_start(None if value is None else value.get("post_processor"))
    if len(first) > 1:
        raise TokenizerUnusable(f"a post_processor that begins a text with {len(first)} tokens")
    class_name = str(config.get("tokenizer_class", ""))
    adds = config.get("add_bos_token", value is None and class_name.startswith(STARTING_CLASSES))
    content = first[0] if first else stop_tokens.token_text(config.get("bos_token")) if adds else None
    return ids.get(content) if content is not None else None


def _template_start(processor: Json) -> list[str]:
    """The special tokens before the text in a `post_processor`."""
    if not isinstance(processor, Mapping):
        return []
    if processor.get("type") == "Sequence":
        return [token for step in processor.get("processors") or () for token in _template_start(step)]
    found: list[str] = []
    for step in processor.get("single") or () if processor.get("type") == "TemplateProcessing" else ():
        special = step.get("SpecialToken") if isinstance(step, Mapping) else None
        if not isinstance(special, Mapping):
            break
        found.append(str(special.get("id")))
    return found
