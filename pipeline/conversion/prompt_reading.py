"""How a job's file, or the app beside it, reads a prompt: golden prompts are read in the same way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from farm.jobspec import JobSpec, SpecialTokens, TokenizerGraph
from farm.prompting import Prompting
from pipeline.tokenizers.export import TokenizerExport

TEXT_TEMPLATE = (
    "The model's prompt template has special tokens, which the tokenizer in this file takes for text; submit the model"
    " again with --special-tokens read."
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
    return PromptReading(
        special_tokens, lambda text: start + export.encode_literally(text), (TEXT_TEMPLATE,) if in_template else ()
    )
