"""What Keras is asked for the reference: golden prompts, random tokens and a held-out text, sized for the model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farm.errors import EvaluationUnusable
from farm.prompting import Mode, Prompting
from pipeline.conversion.description import DecoderDescription
from pipeline.conversion.evaluation_text import ANSWER, ENGLISH_TALE, GOLDEN_PROMPTS, QUESTION, TEXTS
from pipeline.tokenizers.export import TokenizerExport

Int32 = NDArray[np.int32]

FORCED_TOKENS = 40
GREEDY_TOKENS = 16
PROMPT_TOKENS = 8
SEED = 20260101
# Products of a parameter with a token that the greedy passes may cost at most, all in all: some seconds.
GREEDY_BUDGET = 64e9
LEAST_PASSES = 3
# The same for reading the texts, of which at least and at most so many tokens are read in all.
TEXT_BUDGET = 150e9
TEXT_TOKENS = (256, 2048)
SHORTEST_WINDOW = 24
# Of the texts' tokens this share is read as one text: rotation and windows show over a distance.
LONG_SHARE = 0.25
# Tokens that the decoder reads at once, of which the last ones are compared.
LONG_PROBE = 256
# What is written freely after the beginning of a text, and what Keras's passes over it may cost: it says how much a
# model repeats itself.
FREE_PROMPT = 32
FREE_TOKENS = 256
FREE_BUDGET = 300e9
LAST_TOKENS = 16
# Fewer tokens of the user's own text say nothing of a model.
SHORTEST_EVALUATION = 32


@dataclass(frozen=True)
class Prompt:
    """A golden prompt: its text, empty for random tokens, its tokens with the start token, and what was put into the
    model's template to make it."""

    text: str
    tokens: tuple[int, ...]
    question: str = ""


@dataclass(frozen=True)
class FreeRun:
    """The beginning of a text, and how many tokens Keras writes after it at most, in at most so many passes."""

    tokens: tuple[int, ...]
    most: int
    passes: int


@dataclass(frozen=True)
class Plan:
    """What Keras is asked: prompts to go on with for `greedy_tokens` in at most `passes` forward passes, random tokens,
    and windows of text, each behind the start token.

    answer_end: the position of an answer's last token in the first text; None where no text is a whole answer in the
    model's template. long_probe: random tokens behind whose last ones the decoder is compared as well, more than the
    layers' attention windows hold where the context has room for so many; None where the context is short. free: what
    Keras writes on from at length, None for a model that reads no text.
    """

    prompts: tuple[Prompt, ...]
    greedy_tokens: int
    passes: int
    probe_tokens: Int32
    texts: tuple[Int32, ...]
    answer_end: int | None = None
    long_probe: Int32 | None = None
    free: FreeRun | None = None


def plan_reference(
    description: DecoderDescription, context: int, export: TokenizerExport, prompting: Prompting,
    read: Callable[[str], list[int]], evaluation: str | None = None, stated: Collection[int] = (),
) -> Plan:  # fmt: skip
    """What to ask a model of this size and tokenizer, in the way it wants to be asked; everything fits into the
    context. read: gives a prompt's tokens as the file will, which need not be those of the reference tokenizer.
    evaluation: a text of the user's own in place of the farm's; EvaluationUnusable where the model reads too little in
    it. stated: attention windows as the model's own configuration has them, whatever the description says."""
    random = np.random.default_rng(SEED)
    vocabulary = description.vocabulary_size
    greedy_tokens = min(GREEDY_TOKENS, context // 4)
    room = context - greedy_tokens
    prompts = []
    for question in _questions(prompting):
        text = prompting.fill(question)
        tokens = read(text)
        if export.tokenizer is None or len(tokens) > room:
            question, text, tokens = "", "", random.integers(0, vocabulary, min(PROMPT_TOKENS, room)).tolist()
        prompts.append(Prompt(text, tuple(tokens), question))
    parameters = sum(int(np.prod(shape)) for shape in description.weight_shapes().values())
    tokens_a_pass = sum(len(prompt.tokens) + greedy_tokens // 2 for prompt in prompts)
    answer = _answer(context, export, prompting)
    windows = _windows(parameters, context, export, vocabulary, evaluation)
    return Plan(
        prompts=tuple(prompts),
        greedy_tokens=greedy_tokens,
        passes=max(LEAST_PASSES, min(greedy_tokens, int(GREEDY_BUDGET / (parameters * tokens_a_pass)))),
        probe_tokens=random.integers(0, vocabulary, min(FORCED_TOKENS, context)).astype(np.int32),
        texts=windows if answer is None else (answer, *windows),
        answer_end=None if answer is None else len(answer) - 1,
        long_probe=long_probe(description, context, stated),
        free=_free_run(parameters, context, export),
    )


def _questions(prompting: Prompting) -> tuple[str, ...]:
    """What a model is asked, or given to go on from: its own prompts first."""
    return (*prompting.prompts, *GOLDEN_PROMPTS)[: max(len(GOLDEN_PROMPTS), len(prompting.prompts))]


def _answer(context: int, export: TokenizerExport, prompting: Prompting) -> Int32 | None:
    """A question with its answer in the model's template; None where it has none, or where it is too long."""
    if export.tokenizer is None or prompting.mode is Mode.COMPLETE:
        return None
    tokens = export.encode(prompting.fill(QUESTION) + ANSWER)
    return np.array(tokens, np.int32) if len(tokens) <= context else None


def _free_run(parameters: int, context: int, export: TokenizerExport) -> FreeRun | None:
    """As much of a tale as leaves room for many tokens; the passes are what the model's size allows."""
    if export.tokenizer is None:
        return None
    tokens = export.encode(ENGLISH_TALE)[: min(FREE_PROMPT, context // 4)]
    most = min(FREE_TOKENS, context - len(tokens))
    passes = int(FREE_BUDGET / (parameters * (len(tokens) + most)))
    return FreeRun(tuple(tokens), most, max(1, min(most, passes))) if tokens else None


def long_probe(description: DecoderDescription, context: int, stated: Collection[int] = ()) -> Int32 | None:
    """Random tokens of which the last few are far from the first, and outside of every attention window: of the
    description's, and of those stated elsewhere, which a faulty description may lack."""
    windows = [layer.attention_window for layer in description.layers if layer.attention_window is not None]
    beyond = max((window + LAST_TOKENS for window in (*windows, *stated) if window < context), default=0)
    length = min(context, max(LONG_PROBE, beyond))
    if length <= FORCED_TOKENS:
        return None
    return np.random.default_rng(SEED + 2).integers(0, description.vocabulary_size, length).astype(np.int32)


def _windows(
    parameters: int, context: int, export: TokenizerExport, vocabulary: int, own: str | None
) -> tuple[Int32, ...]:
    """Windows of text, as many tokens in all as the model's size allows; random tokens where it reads no text."""
    least, most = TEXT_TOKENS
    total = int(min(max(TEXT_BUDGET / parameters, least), most))
    texts = [export.encode(text) for text in (TEXTS if own is None else [own])]
    if own is not None and len(texts[0]) < SHORTEST_EVALUATION:
        raise EvaluationUnusable(
            f"The model reads {len(texts[0])} tokens in the evaluation text, and {SHORTEST_EVALUATION} are needed; give"
            " a longer text in the language of the model, and a model with its tokenizer."
        )
    if export.tokenizer is None or not any(len(tokens) > 1 for tokens in texts):
        random = np.random.default_rng(SEED + 1)
        return (random.integers(0, vocabulary, max(2, min(160, context))).astype(np.int32),)
    window = min(context, max(SHORTEST_WINDOW, int(total * (1 - LONG_SHARE)) // len(texts)))
    if own is None:
        long = export.encode("\n".join(reversed(TEXTS)))[: min(context, int(total * LONG_SHARE))]
        texts = [long, *(tokens[:window] for tokens in texts)]
        window = context
    else:
        texts = list(_cut(texts[0], min(context, total), total, export))
        window = context
    return tuple(np.array(tokens[:window], np.int32) for tokens in texts if len(tokens[:window]) > 1)


def _cut(tokens: list[int], window: int, total: int, export: TokenizerExport) -> Iterator[list[int]]:
    """A long text as windows, each behind the start token."""
    start = [] if export.start_token is None else [export.start_token]
    text = tokens[len(start) :][:total]
    step = max(1, window - len(start))
    for first in range(0, len(text), step):
        yield start + text[first : first + step]
