"""`model-info.json`: what a program must know about a converted model to run it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from farm.chat import Chat
from farm.errors import BadPromptTemplate, FileUnreadable
from farm.modelref import ModelRef
from farm.prompting import Prompting


class ModelInfo(BaseModel):
    """The content of `model-info.json`.

    context and prefill in tokens; start_token is put before every prompt, None for no such token; an answer ends
    before any of stop_tokens, of which end_token is one; name and source say what the model is and never where its
    owner keeps it, see `identity`; source_digest is the SHA-256 of the fetched files; recipe by its full name.
    prompt_bytes and output_tokens: the longest prompt and answer of a I/O mode that takes text, None for the I/O
    mode `tokens`. prompting: whether the model continues a text or answers a question, and how it wants to be
    asked. runtime: the oldest one that the file was made for; weights: the form in which matrices are stored;
    tokenizer_graph: whose tokenizer is in a file of the I/O mode `strings`; special_tokens: what the farm's own
    tokenizer, in the file or in the app, takes those in a prompt for, `text` or `read`; None without such a
    tokenizer. licence: of the model, as its own metadata say. chat: how a conversation is put
    into words, None for a model without a template.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    format: Literal[1] = 1
    name: str
    family: str
    io_mode: str
    recipe: str
    context: int
    prefill: tuple[int, ...]
    vocabulary_size: int
    layers: int
    kv_heads: int
    head_dim: int
    start_token: int | None
    end_token: int
    stop_tokens: tuple[int, ...]
    tokenizer: str | None
    tokenizer_sha256: str | None
    model_sha256: str
    source: str
    source_digest: str | None
    prompt_bytes: int | None = None
    output_tokens: int | None = None
    prompting: Prompting = Prompting()
    runtime: str | None = None
    weights: str | None = None
    tokenizer_graph: str | None = None
    special_tokens: str | None = None
    licence: str | None = None
    chat: Chat | None = None

    @model_validator(mode="before")
    @classmethod
    def _stop_at_the_end(cls, value: Any) -> Any:
        # Files of older jobs name one token alone.
        if isinstance(value, dict) and "stop_tokens" not in value and "end_token" in value:
            return {**value, "stop_tokens": (value["end_token"],)}
        return value

    @classmethod
    def parse(cls, content: bytes, where: str) -> ModelInfo:
        """Read the JSON text; FileUnreadable names `where` it came from."""
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            field = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the whole"
            raise FileUnreadable(
                f"{where} is no model description of this farm ({field} is wrong); take it from the job that made the"
                " model."
            ) from error
        except BadPromptTemplate as error:
            raise FileUnreadable(f"{where} is no model description of this farm: {error}") from error

    @classmethod
    def read(cls, path: Path) -> ModelInfo:
        """Read a file; FileUnreadable when it is missing or of another kind."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise FileUnreadable(
                f"{path} can't be read ({error.strerror}); give a folder that a farm job wrote."
            ) from error
        return cls.parse(content, str(path))

    def write(self, path: Path) -> None:
        """Write the file, readable for people."""
        path.write_text(self.model_dump_json(indent=2) + "\n")


def identity(reference: ModelRef, family: str, digest: str | None) -> tuple[str, str]:
    """What an artifact calls a model, and where it says that it came from.

    Only a hub's reference is public. Paths and file names of a machine are not: equal files of several owners share one
    conversion, and artifacts are passed on to strangers. Such a model is named by family and digest.
    """
    if reference.kind.on_hub:
        return reference.short_name, reference.text
    return f"{family} {digest[:8]}" if digest else family, f"sha256:{digest}" if digest else "local files"
