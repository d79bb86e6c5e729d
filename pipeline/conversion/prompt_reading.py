"""How a job's file, or the app beside it, reads a prompt: golden prompts are read in the same way."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from farm.jobspec import JobSpec, SpecialTokens, TokenizerGraph
from farm.prompting import Prompting
from pipeline.tokenizers.export import TokenizerExport

TEXT_TEMPLATE = (
    "The model's prompt template has special tokens, which the tokenizer in this file takes for text; submit the model"
    " again with --special-tokens read."
)
# Nobody means to write these: padding, the unknown, what surrounds a whole text, and what is kept for later.
NOT_OF_PROMPTS = re.compile(r"^\W*(pad|unk|mask|s\b|bos|eos|begin.of.text|reserved|unused|extra)", re.IGNORECASE)
TEXT_TOKENS = (
    "The model's special token {token} in a prompt is read as text; submit the model again with --special-tokens read,"
    " or with a --prompt-template that has it, to read it as the token."
)


@dataclass(frozen=True)
class PromptReading:
    """special_tokens: what those in a prompt are taken for, None where the farm's own tokenizer reads none. read: gives
    a prompt's tokens with the start token. notes: what a reader of the job should know."""

    special_tokens: SpecialTokens | None
    read: Callable[[str], list[int]]
    notes: tuple[str, ...] = ()


def prompt_reading(spec: JobSpec, export: TokenizerExport, prompting: Prompting) -> PromptReading:
    """In the file as the job says; the app of the I/O mode `tokens` reads them where the model's own template has
    some."""
    if export.tokenizer is None or spec.tokenizer_graph is TokenizerGraph.TFTEXT:
        return PromptReading(None, export.encode)
    template = prompting.fill("")
    in_template = export.tokenizer.encode(template) != export.encode_literally(template)
    special_tokens = spec.special_tokens
    if not spec.own_tokenizer and in_template:
        special_tokens = SpecialTokens.READ
    if special_tokens is SpecialTokens.READ:
        return PromptReading(special_tokens, export.encode)
    start = [] if export.start_token is None else [export.start_token]
    notes = (TEXT_TEMPLATE,) if in_template else _of_prompts(export)
    return PromptReading(special_tokens, lambda text: start + export.encode_literally(text), notes)


def _of_prompts(export: TokenizerExport) -> tuple[str, ...]:
    """What to say where the model has special tokens beside those that begin and end a text."""
    codec = export.tokenizer
    if codec is None:
        return ()
    own = {export.start_token, *export.stop_tokens}
    # Asked for once: of Gemma's 262,144 tokens some 6,000 are special.
    ids = codec.ids
    others = [token for token in codec.special_tokens if ids.get(token) not in own and not NOT_OF_PROMPTS.search(token)]
    return (TEXT_TOKENS.format(token=others[0][:40]),) if others else ()
