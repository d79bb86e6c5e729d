"""The small files beside a checkpoint's weights: typed and bounded, before anything reads them for what they mean."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from farm import sources
from farm.errors import ModelDamaged, ModelUnsafe

INDEX = "model.safetensors.index.json"

Token = Annotated[str, Field(max_length=4096)]
Id = Annotated[int, Field(ge=0, le=1 << 31)]
Ids = Id | Annotated[list[Id], Field(max_length=256)]
TOKENS = 4_000_000
TENSORS = 200_000
TEMPLATE = 1 << 20
SMALL = 1 << 20
# Keys of tokenizer.json that steer; what they mean is the tokenizers' own matter.
Step = dict[Annotated[str, Field(max_length=64)], Any] | None


class _File(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, strict=True)


class AddedToken(_File):
    """A token that is found before all others."""

    id: Id
    content: Token
    special: bool = False
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = True


class TokenizerModel(_File):
    """The part of tokenizer.json that merges. A vocabulary or merges that are text would be taken for a path."""

    type: Literal["BPE", "Unigram", "WordPiece", "WordLevel"] = "BPE"
    vocab: (
        Annotated[dict[Token, Id], Field(max_length=TOKENS)]
        | Annotated[list[tuple[Token, float]], Field(max_length=TOKENS)]
    )
    merges: (
        Annotated[list[Token], Field(max_length=TOKENS)]
        | Annotated[list[Annotated[list[Token], Field(min_length=2, max_length=2)]], Field(max_length=TOKENS)]
        | None
    ) = None
    unk_token: Token | None = None
    continuing_subword_prefix: Token | None = None
    end_of_word_suffix: Token | None = None
    fuse_unk: bool = False
    byte_fallback: bool | None = False
    ignore_merges: bool | None = False
    dropout: float | None = None


class TokenizerFile(_File):
    """`tokenizer.json`."""

    model: TokenizerModel
    added_tokens: Annotated[list[AddedToken], Field(max_length=100_000)] = []
    normalizer: Step = None
    pre_tokenizer: Step = None
    post_processor: Step = None
    decoder: Step = None
    truncation: Step = None
    padding: Step | str = None


class TokenObject(_File):
    """A special token with its flags, as tokenizer_config.json writes one."""

    content: Token


Special = Token | TokenObject | None


class NamedTemplate(_File):
    """One of several chat templates."""

    name: Token
    template: Annotated[str, Field(max_length=TEMPLATE)]


class TokenizerConfig(_File):
    """`tokenizer_config.json`."""

    chat_template: (
        Annotated[str, Field(max_length=TEMPLATE)] | Annotated[list[NamedTemplate], Field(max_length=32)] | None
    ) = None
    added_tokens_decoder: Annotated[dict[Token, TokenObject], Field(max_length=100_000)] | None = None
    bos_token: Special = None
    eos_token: Special = None
    pad_token: Special = None
    unk_token: Special = None
    tokenizer_class: Token | None = None
    model_max_length: int | float | None = None
    add_bos_token: bool | None = None
    add_eos_token: bool | None = None
    add_prefix_space: bool | None = None


class GenerationConfig(_File):
    """`generation_config.json`: of interest are the tokens that begin and end a text."""

    bos_token_id: Ids | None = None
    eos_token_id: Ids | None = None
    pad_token_id: Ids | None = None


class Index(_File):
    """`model.safetensors.index.json`: which tensor lies in which file."""

    metadata: dict[str, Any] | None = None
    weight_map: Annotated[dict[Token, Token], Field(max_length=TENSORS)]


AddedTokens = TypeAdapter(Annotated[dict[Token, Id], Field(max_length=100_000)])


def check_file(name: str, value: Any) -> None:
    """Check a parsed file by its name; ModelDamaged with the place, ModelUnsafe for an index that leads elsewhere."""
    check = CHECKS.get(name)
    if check is None:
        return
    try:
        check(value)
    except ValidationError as error:
        raise _wrong_value(name, error) from error


def check_index(value: Any) -> None:
    """Only files of the checkpoint itself may be named."""
    index = Index.model_validate(value)
    for file in set(index.weight_map.values()):
        if not file.endswith(".safetensors") or not sources.belongs(file, transformers=True):
            raise ModelUnsafe(
                f"{INDEX} names {file[:80]!r} as a part of the weights, which is none; the model is refused, get it"
                " from a source you trust."
            )


def _check_tokenizer(value: Any) -> None:
    file = TokenizerFile.model_validate(value)
    by_id: dict[int, str] = {}
    for token in file.added_tokens:
        if by_id.setdefault(token.id, token.content) != token.content:
            raise ModelDamaged(
                f"tokenizer.json gives the id {token.id} to {by_id[token.id][:40]!r} and to {token.content[:40]!r};"
                " correct added_tokens or copy the file again."
            )


def _wrong_value(name: str, error: ValidationError) -> ModelDamaged:
    """The place of the first fault, in own words: pydantic's would show a stranger's text."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    steps = [str(step) for step in first["loc"] if re.fullmatch(r"[a-z_0-9]{1,40}", str(step))]
    place = ".".join(steps[:4])
    where = f" at {place}" if place else ""
    return ModelDamaged(
        f"{name} has another form than Transformers writes{where} (a missing entry, a wrong type, or more than any"
        " model needs); save or copy the model again."
    )


CHECKS: dict[str, Callable[[Any], object]] = {
    "tokenizer.json": _check_tokenizer,
    "tokenizer_config.json": TokenizerConfig.model_validate,
    "generation_config.json": GenerationConfig.model_validate,
    "added_tokens.json": AddedTokens.validate_python,
    INDEX: check_index,
}
# Files that are small in every model, in bytes.
LIMITS = {
    "generation_config.json": SMALL,
    "tokenizer_config.json": 16 << 20,
    "added_tokens.json": 16 << 20,
    INDEX: 32 << 20,
}
