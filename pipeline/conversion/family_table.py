"""Every CausalLM class of KerasHub as a row of docs/families.md: what the farm makes of it.

`scripts/family-table` writes the page; a test compares it with the file.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras_hub

from farm.chat import Exchange
from farm.prompting import PLACE
from farm.tokenizer_kinds import SPLIT_FEATURES, Feature, Reader, TokenizerKind, unable
from pipeline.chat import families as chat_families
from pipeline.chat.extraction import extract
from pipeline.chat.rendering import TemplateText
from pipeline.conversion.families import FAMILIES, family_name
from pipeline.tokenizers import byte_level, stop_tokens

HEAD = """# Families

Every class of KerasHub's CausalLM, the tokenizer that it brings, and whether the farm makes an app of it. Written by
`scripts/family-table`.

The stop tokens are those that the class itself names; a model's `generation_config.json`, `config.json`,
`tokenizer_config.json` and template may add to them ([tokenizers.md](tokenizers.md)). Where a model's own files state
another way of splitting than its class, the files win.

The template is that of the class's published instruct models, as it puts a conversation's first question behind the
start token; a preset that is named as one of them gets it by itself ([chat.md](chat.md)). A base model takes none, and
a model without an entry here brings its own.

| class | family | tokenizer | stop tokens | template | app |
|---|---|---|---|---|---|
"""
# What the farm's decoder, a dense one for text, does not compute.
OTHER_MODELS = {
    **dict.fromkeys(("Mixtral", "QwenMoe", "Qwen3Moe", "GptOss"), "a mixture of experts"),
    **dict.fromkeys(("Bart", "EdRec", "Moonshine", "T5Gemma", "T5Gemma2"), "an encoder before the decoder"),
    **dict.fromkeys(("Gemma3n", "Gemma4", "PaliGemma", "PARSeq", "Qwen3_5"), "made for more than text"),
    "RWKV7": "a recurrent network",
}
END_NAMES = ("end_token", "end_token2")


@dataclass(frozen=True)
class FamilyRow:
    """A class and what is made of it; `lacking` is why there is no app, None where there is one."""

    name: str
    family: str
    tokenizer: str
    stops: tuple[str, ...]
    template: str | None
    lacking: str | None

    def markdown(self) -> str:
        """The row."""
        stops = ", ".join(map(_code, self.stops)) or "none"
        template = "the model's own" if self.template is None else _code(self.template.replace("\n", "\\n"))
        app = "yes" if self.lacking is None else f"no: {self.lacking}"
        return f"| `{self.name}` | {self.family} | {self.tokenizer} | {stops} | {template} | {app} |"


def find_rows() -> list[FamilyRow]:
    """A row for every class that KerasHub offers, by name."""
    offered: list[Any] = [value for value in vars(keras_hub.models).values() if isinstance(value, type)]
    classes = {cls for cls in offered if issubclass(cls, keras_hub.models.CausalLM) and cls.backbone_cls is not None}
    return sorted((_row(cls) for cls in classes), key=lambda row: row.name)


def write_page() -> str:
    """The whole page."""
    return HEAD + "".join(f"{row.markdown()}\n" for row in find_rows())


def _row(cls: type[Any]) -> FamilyRow:
    backbone = cls.backbone_cls.__name__
    tokenizer_class = getattr(cls.preprocessor_cls, "tokenizer_cls", None)
    name, features = _kind(tokenizer_class)
    lacking = [feature.value for feature in unable(Reader.APP, features)]
    reason = None if name is not None and not lacking else ", ".join(lacking) or "no tokenizer of a known kind"
    if backbone not in FAMILIES:
        reason = OTHER_MODELS.get(family_name(backbone), "no mapping to the farm's decoder")
    stops = () if tokenizer_class is None else tuple(dict.fromkeys(_stops(tokenizer_class)))
    family = family_name(backbone)
    template = _template(family) if backbone in FAMILIES else None
    return FamilyRow(cls.__name__, family, name or "of another kind", stops, template, reason)


def _template(family: str) -> str | None:
    """What the farm's table of chat templates makes of a first question; None for a family that it lacks."""
    row = next((row for row in chat_families.ROWS if row.family == family), None)
    if row is None:
        return None
    chat = extract(TemplateText(row.template), family).chat.model_copy(update={"begin": ()})
    return "".join(map(str, chat.pieces(None, [Exchange(PLACE)])))


def _code(text: str) -> str:
    """As code in a table of Markdown."""
    return f"`{text.replace('|', chr(92) + '|')}`"


def _kind(tokenizer_class: type[Any] | None) -> tuple[str | None, frozenset[Feature]]:
    """The kind's name with the way of splitting, and what it needs at least."""
    bases = {base.__name__ for base in getattr(tokenizer_class, "__mro__", ())}
    if "SentencePieceTokenizer" in bases:
        return TokenizerKind.SENTENCEPIECE_BPE.value, frozenset({Feature.SENTENCEPIECE})
    split = None if tokenizer_class is None else byte_level.split_of(tokenizer_class.__name__, {})
    if "BytePairTokenizer" not in bases or split is None:
        return None, frozenset()
    kind = f"{TokenizerKind.BYTE_LEVEL_BPE.value}, {split.value}"
    return kind, frozenset({Feature.BYTE_LEVEL, SPLIT_FEATURES[split]})


def _stops(tokenizer_class: type[Any]) -> Iterator[str]:
    """The tokens by their spelling, which KerasHub's classes know without a vocabulary."""
    arguments = {"proto": None} if "proto" in tokenizer_class.__init__.__code__.co_varnames else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tokenizer = tokenizer_class(**arguments)
    for name in END_NAMES:
        if isinstance(token := getattr(tokenizer, name, None), str):
            yield token
    if tokenizer_class.__name__.startswith("Gemma3"):
        yield stop_tokens.END_OF_TURN
