"""What Keras is asked for the reference: golden prompts, random tokens and a held-out text, sized for the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farm.prompting import Mode, Prompting
from pipeline.conversion.description import DecoderDescription
from pipeline.conversion.held_out import GOLDEN_PROMPTS, HELD_OUT_TEXT
from pipeline.tokenizers.export import TokenizerExport

Int32 = NDArray[np.int32]

FORCED_TOKENS = 40
HELD_OUT_TOKENS = 160
GREEDY_TOKENS = 16
PROMPT_TOKENS = 8
SEED = 20260101
# Products of a parameter with a token that the greedy passes may cost at most, all in all: some seconds.
GREEDY_BUDGET = 64e9
LEAST_PASSES = 3


@dataclass(frozen=True)
class Prompt:
    """A golden prompt: its text, empty for random tokens, and its tokens with the start token."""

    text: str
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """What Keras is asked: prompts to go on with for `greedy_tokens` in at most `passes` forward passes, random tokens,
    and a text."""

    prompts: tuple[Prompt, ...]
    greedy_tokens: int
    passes: int
    probe_tokens: Int32
    held_out_tokens: Int32


def plan_reference(
    description: DecoderDescription, context: int, export: TokenizerExport, prompting: Prompting,
    read: Callable[[str], list[int]],
) -> Plan:  # fmt: skip
    """What to ask a model of this size and tokenizer, in the way it wants to be asked; everything fits into the
    context. read: gives a prompt's tokens as the file will, which need not be those of the reference tokenizer."""
    random = np.random.default_rng(SEED)
    vocabulary = description.vocabulary_size
    greedy_tokens = min(GREEDY_TOKENS, context // 4)
    room = context - greedy_tokens
    prompts = []
    for text in _texts(prompting):
        tokens = read(text)
        if export.tokenizer is None or len(tokens) > room:
            text, tokens = "", random.integers(0, vocabulary, min(PROMPT_TOKENS, room)).tolist()
        prompts.append(Prompt(text, tuple(tokens)))
    held_out = export.encode(HELD_OUT_TEXT) if export.tokenizer is not None else []
    if not held_out:
        held_out = random.integers(0, vocabulary, HELD_OUT_TOKENS).tolist()
    parameters = sum(int(np.prod(shape)) for shape in description.weight_shapes().values())
    tokens_a_pass = sum(len(prompt.tokens) + greedy_tokens // 2 for prompt in prompts)
    return Plan(
        prompts=tuple(prompts),
        greedy_tokens=greedy_tokens,
        passes=max(LEAST_PASSES, min(greedy_tokens, int(GREEDY_BUDGET / (parameters * tokens_a_pass)))),
        probe_tokens=random.integers(0, vocabulary, min(FORCED_TOKENS, context)).astype(np.int32),
        held_out_tokens=np.array(held_out[: min(HELD_OUT_TOKENS, context)], np.int32),
    )


def _texts(prompting: Prompting) -> tuple[str, ...]:
    """What a model that answers is asked: its own questions first."""
    asked = GOLDEN_PROMPTS if prompting.mode is Mode.COMPLETE else (*prompting.prompts, *GOLDEN_PROMPTS)
    return tuple(prompting.fill(text) for text in asked[: len(GOLDEN_PROMPTS)])
