"""Whether a model that reads and writes text does what its own tokens signatures and the reference tokenizer do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from farm.errors import QualityMissed
from worker.inference.generation import generate, greedy
from worker.inference.interpreter import Float32, TokenModel
from worker.inference.mixed_texts import mixed_texts
from worker.inference.quality import PromptOutcome, margin
from worker.inference.text import TextCodec
from worker.inference.text_model import TextModel

PARITY_TEXTS = 400
# Written on beside the golden prompts: nothing, special tokens as text, several scripts.
FURTHER_PROMPTS = ("", "<|endoftext|> It's 12:30", "caf\u00e9 \u4f60\u597d \U0001f642  x")
FURTHER_TOKENS = 8


@dataclass(frozen=True)
class TextFigures:
    """texts: compared with the reference tokenizer, all equal. prompts: written on as text; keras_equal: how many of
    the golden ones went on exactly as Keras's do; ties: how many parted where two tokens were as good as equal."""

    texts: int
    prompts: int
    golden: int
    keras_equal: int
    ties: int


def compare_texts(
    texts: TextModel, tokens: TokenModel, codec: TextCodec, outcomes: Sequence[PromptOutcome],
    start_token: int | None, end_token: int, tie: float,
) -> TextFigures:  # fmt: skip
    """QualityMissed at the first text that the graph reads or writes otherwise than it should.

    outcomes: what the same file has written through its tokens signatures. tie: a lead of the best logit below which
    either token is right.
    """
    compared = _compare_tokenizers(texts, codec)
    golden = [
        outcome
        for outcome in outcomes
        if outcome.reference.text and outcome.tokens and len(outcome.reference.text.encode()) <= texts.prompt_bytes
    ]
    equal = ties = 0
    for outcome in golden:
        parted = _compare_answer(
            texts, codec, outcome.reference.text or "", outcome.tokens, outcome.margins, end_token, tie
        )
        ties += parted
        written = _until(outcome.reference.greedy, end_token)
        equal += not parted and _until(outcome.tokens, end_token) == written
    further = 0
    for prompt in FURTHER_PROMPTS:
        given = ([] if start_token is None else [start_token]) + codec.encode_literally(prompt)
        room = tokens.contract.context - len(given)
        if not given or room < 1 or len(prompt.encode()) > texts.prompt_bytes:
            continue
        wanted, margins = _write_tokens(tokens, given, min(FURTHER_TOKENS, room), end_token)
        ties += _compare_answer(texts, codec, prompt, wanted, margins, end_token, tie)
        further += 1
    if not golden and not further:
        raise QualityMissed("No prompt fits into the model to try it with; raise --context or --prompt-bytes.")
    return TextFigures(compared, len(golden) + further, len(golden), equal, ties)


def _compare_tokenizers(texts: TextModel, codec: TextCodec) -> int:
    for text in mixed_texts(PARITY_TEXTS, texts.prompt_bytes):
        found, wanted = texts.tokenize(text.encode()), codec.encode_literally(text)
        if found != wanted:
            raise QualityMissed(
                f"The tokenizer in the graph reads {text[:60]!r} as {found[:12]}, the tokenizers package as"
                f" {wanted[:12]}; report this with the job's tokenizer.json and use the tokens lane."
            )
    return PARITY_TEXTS


def _compare_answer(
    texts: TextModel, codec: TextCodec, prompt: str, wanted: Sequence[int], margins: Sequence[float],
    end_token: int, tie: float,
) -> bool:  # fmt: skip
    """Whether the answer parts from the wanted one at a tie; QualityMissed when it does so elsewhere."""
    content = prompt.encode()
    answer = texts.complete(content, len(wanted))
    expected = _until(wanted, end_token)
    if answer.text[: len(content)] != content or answer.text[len(content) :].decode(errors="replace") != codec.decode(
        answer.tokens
    ):
        raise QualityMissed(
            f"The text after {prompt[:60]!r} is not that of the tokens {answer.tokens[:12]}; report this with the job's"
            " tokenizer.json and use the tokens lane."
        )
    if answer.tokens == expected:
        return False
    differs = next(
        (at for at, pair in enumerate(zip(answer.tokens, expected, strict=False)) if pair[0] != pair[1]),
        min(len(answer.tokens), len(expected)),
    )
    if margins[differs] < tie:
        return True
    raise QualityMissed(
        f"The text signature goes on from {prompt[:60]!r} with {answer.tokens[:12]}, the tokens signatures with"
        f" {expected[:12]}; report this with the job's log, since both read the same weights."
    )


def _write_tokens(
    model: TokenModel, prompt: Sequence[int], count: int, end_token: int
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """What the tokens signatures write, with the end token, and each step's margin."""
    margins: list[float] = []

    def choose(logits: Float32) -> int:
        margins.append(margin(logits))
        return greedy(logits)

    tokens = tuple(generate(model, prompt, count, end_token, choose))
    return (*tokens, *([end_token] if len(margins) > len(tokens) else [])), tuple(margins)


def _until(tokens: Sequence[int], end_token: int) -> tuple[int, ...]:
    found = tuple(tokens)
    return found[: found.index(end_token)] if end_token in found else found
