"""Whether a model that reads and writes text does what its own tokens signatures and the reference tokenizer do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from farm.errors import QualityMissed
from farm.jobspec import SpecialTokens
from pipeline.inference.generation import generate, greedy
from pipeline.inference.interpreter import Float32, TokenModel
from pipeline.inference.mixed_texts import mixed_texts
from pipeline.inference.quality import PromptOutcome, margin
from pipeline.inference.text_model import Completion, TextAnswer, TextReader
from pipeline.tokenizers.codec import TextCodec

PARITY_TEXTS = 400
# Written on beside the golden prompts: nothing, a special token of many models, several scripts.
FURTHER_PROMPTS = ("", "<|endoftext|> It's 12:30", "caf\u00e9 \u4f60\u597d \U0001f642  x")
FURTHER_TOKENS = 8
# A model may have hundreds of special tokens that differ by a number.
MOST_SPECIALS = 6

# Gives a text's tokens as the graph should.
Read = Callable[[str], list[int]]


@dataclass(frozen=True)
class TextMetrics:
    """texts: compared with the reference tokenizer, all equal. prompts: written on as text; keras_equal: how many of
    the golden ones went on exactly as Keras's do; near_ties: how many parted where two tokens were as good as equal."""

    texts: int
    prompts: int
    golden: int
    keras_equal: int
    near_ties: int


@dataclass(frozen=True)
class _Expected:
    """What is to be written on from a prompt: tokens, with the end token if it comes, and each step's margin."""

    prompt: str
    tokens: tuple[int, ...]
    margins: tuple[float, ...]


def compare_texts(
    texts: TextReader, tokens: TokenModel, codec: TextCodec, special_tokens: SpecialTokens,
    outcomes: Sequence[PromptOutcome], start_token: int | None, stop_tokens: Collection[int], near_tie: float,
    longest_answer: int | None = None,
) -> TextMetrics:  # fmt: skip
    """QualityMissed at the first text that the graph reads or writes otherwise than it should.

    special_tokens: what the graph should take them for. outcomes: what the same file has written through its tokens
    signatures. tie: a lead of the best logit below which either token is right. longest_answer: how many
    tokens a signature that takes the prompt alone writes; None where there is no such signature.
    """
    read = codec.encode if special_tokens is SpecialTokens.READ else codec.encode_literally
    start = [] if start_token is None else [start_token]
    golden = [
        outcome
        for outcome in outcomes
        if outcome.reference.text
        and outcome.tokens
        and len(outcome.reference.text.encode()) <= texts.prompt_bytes
        and list(outcome.reference.tokens) == start + read(outcome.reference.text)
    ]
    expected = [_Expected(outcome.reference.text or "", outcome.tokens, outcome.margins) for outcome in golden]
    own = codec.special_tokens[:MOST_SPECIALS]
    further = (*FURTHER_PROMPTS, *(f"{special} It's {special}12:30" for special in own[:1]))
    expected += _expect_further(texts, tokens, further, read, start, stop_tokens)
    if not expected:
        raise QualityMissed("No prompt fits into the model to try it with; raise --context or --prompt-bytes.")
    cut = (special[:-1] for special in own)
    mixed = list(mixed_texts(PARITY_TEXTS, texts.prompt_bytes, further=(*own, *cut)))
    asked = [Completion(wanted.prompt.encode(), len(wanted.tokens)) for wanted in expected]
    if longest_answer is not None:
        asked += [Completion(asked[0].prompt, longest_answer), Completion(asked[0].prompt, None)]
    found = texts.answer([text.encode() for text in mixed], asked)
    _compare_tokens(mixed, found.tokens, read)
    if longest_answer is not None and found.answers[-1].text != found.answers[-2].text:
        raise QualityMissed(
            f"serving_default goes on from {expected[0].prompt[:60]!r} with {found.answers[-1].text[-60:]!r}, the"
            f" signature with settings with {found.answers[-2].text[-60:]!r}; report this with the job's log."
        )
    parted = [
        _parts_at_tie(codec, wanted, answer, stop_tokens, near_tie)
        for wanted, answer in zip(expected, found.answers[: len(expected)], strict=True)
    ]
    equal = sum(
        not at_tie and _until(outcome.tokens, stop_tokens) == _until(outcome.reference.greedy, stop_tokens)
        for outcome, at_tie in zip(golden, parted, strict=False)
    )
    return TextMetrics(len(mixed), len(expected), len(golden), equal, sum(parted))


def _expect_further(
    texts: TextReader,
    tokens: TokenModel,
    prompts: Sequence[str],
    read: Read,
    start: list[int],
    stop_tokens: Collection[int],
) -> Iterator[_Expected]:
    for prompt in prompts:
        given = start + read(prompt)
        room = tokens.contract.context - len(given)
        if given and room > 0 and len(prompt.encode()) <= texts.prompt_bytes:
            yield _Expected(prompt, *_write_tokens(tokens, given, min(FURTHER_TOKENS, room), stop_tokens))


def _compare_tokens(texts: Sequence[str], found: Sequence[Sequence[int]], read: Read) -> None:
    for text, tokens in zip(texts, found, strict=True):
        wanted = read(text)
        if list(tokens) != wanted:
            raise QualityMissed(
                f"The tokenizer in the graph reads {text[:60]!r} as {list(tokens[:12])}, the tokenizers package as"
                f" {wanted[:12]}; report this with the job's tokenizer.json and use the I/O mode `tokens`."
            )


def _parts_at_tie(
    codec: TextCodec, wanted: _Expected, answer: TextAnswer, stop_tokens: Collection[int], near_tie: float
) -> bool:
    """Whether the answer parts from the wanted one at a tie; QualityMissed when it does so elsewhere."""
    content = wanted.prompt.encode()
    expected = _until(wanted.tokens, stop_tokens)
    if answer.text[: len(content)] != content or answer.text[len(content) :].decode(
        errors="replace"
    ) != codec.continue_text(answer.tokens):
        raise QualityMissed(
            f"The text after {wanted.prompt[:60]!r} is not that of the tokens {answer.tokens[:12]}; report this with"
            " the job's tokenizer.json and use the I/O mode `tokens`."
        )
    if answer.tokens == expected:
        return False
    differs = next(
        (at for at, pair in enumerate(zip(answer.tokens, expected, strict=False)) if pair[0] != pair[1]),
        min(len(answer.tokens), len(expected)),
    )
    if wanted.margins[differs] < near_tie:
        return True
    raise QualityMissed(
        f"The text signature goes on from {wanted.prompt[:60]!r} with {answer.tokens[:12]}, the tokens signatures with"
        f" {expected[:12]}; report this with the job's log, since both read the same weights."
    )


def _write_tokens(
    model: TokenModel, prompt: Sequence[int], count: int, stop_tokens: Collection[int]
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """What the tokens signatures write, with the end token, and each step's margin."""
    margins: list[float] = []
    chosen: list[int] = []

    def choose(logits: Float32) -> int:
        margins.append(margin(logits))
        chosen.append(greedy(logits))
        return chosen[-1]

    tokens = tuple(generate(model, prompt, count, stop_tokens, choose))
    return (*tokens, *chosen[len(tokens) :]), tuple(margins)


def _until(tokens: Sequence[int], stop_tokens: Collection[int]) -> tuple[int, ...]:
    return tuple(takewhile(lambda token: token not in stop_tokens, tokens))
