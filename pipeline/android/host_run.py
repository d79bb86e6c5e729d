"""Runs the app's own tokenizer and engine on this machine's JVM and compares them with the golden prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from farm.errors import HostMismatch
from pipeline.android import host_driver
from pipeline.android.base import AppBase
from pipeline.android.golden import Golden, GoldenConversation, GoldenPrompt, GoldenTurn
from pipeline.inference.reference import PromptReference, Reference
from pipeline.toolchain import tools
from pipeline.toolchain.maven import Toolchain
from pipeline.toolchain.pins import Role
from pipeline.toolchain.tools import Tool

TIMEOUT = 1200.0
JVM = ("-XX:+UseSerialGC", "-Xshare:auto", "-Xmx1g")
HINT = "the app's code stopped on this machine; see the stage's log."


@dataclass(frozen=True)
class HostAnswer:
    """What the app's code gave for one prompt. ids: the text's tokens, None for a model without tokenizer. Times in
    seconds. likeliest: the best token at each step of Keras's own continuation."""

    ids: tuple[int, ...] | None
    tokens: tuple[int, ...]
    prefill_seconds: float
    decode_seconds: float
    likeliest: tuple[int, ...] = ()


@dataclass(frozen=True)
class SpecialTokens:
    """The model's own: what begins every prompt, if anything, and what ends an answer."""

    start: int | None
    stops: tuple[int, ...]


@dataclass(frozen=True)
class Following:
    """Steps on Keras's own continuation: those that count, those at which the engine's best token is Keras's, and those
    left out since Keras's two best tokens are too close."""

    compared: int
    agreed: int
    near_ties: int


@dataclass(frozen=True)
class Verdict:
    """How one prompt went: steps that agree, and the step of a tie from which on nothing was compared."""

    agreed: int
    near_tie: int | None


def run(
    base: AppBase,
    toolchain: Toolchain,
    package: Path,
    golden: Golden,
    reference: Reference,
    threads: int,
    scratch: Path,
) -> tuple[HostAnswer, ...]:
    """Start the driver, open the APK as a phone would, let it answer every golden prompt and follow Keras's answer.

    HostMismatch with the app's own sentence when it refuses something, StageCrashed when the JVM dies.
    """
    output = host_driver.run(
        (tools.find(Tool.JAVA), *JVM), host_driver.classpath(base, toolchain, Role.HOST_NATIVE),
        commands(package, golden, reference, threads, scratch), scratch, timeout=TIMEOUT, hint=HINT,
    )  # fmt: skip
    return read_answers(output, golden, reference, scratch)


def commands(package: Path, golden: Golden, reference: Reference, threads: int, scratch: Path) -> bytes:
    """The JSON lines for the driver."""
    lines: list[dict[str, Any]] = [{"cmd": "open", "apk": str(package), "threads": threads}]
    for prompt in golden.prompts:
        if prompt.text is not None:
            lines.append({"cmd": "tokenize", "text": prompt.text})
        lines.append({"cmd": "generate", "prompt_tokens": list(prompt.prompt_tokens), "max_new_tokens": prompt.steps})
    lines += [_conversation(talk, number) for talk in golden.conversations for number in range(len(talk.turns))]
    for number, followed in enumerate(reference.prompts):
        tokens = [*followed.tokens, *followed.greedy[:-1]]
        where = str(host_driver.logits_file(scratch, number))
        lines.append({"cmd": "score", "tokens": tokens, "from": len(followed.tokens) - 1, "logits": where})
    return host_driver.encode(lines)


def read_answers(output: str, golden: Golden, reference: Reference, scratch: Path) -> tuple[HostAnswer, ...]:
    """The driver's JSON lines as one answer a prompt; HostMismatch when one of them is a refusal."""
    try:
        lines = host_driver.decode(output, "The app's code refuses the package")
        answers, rest = [], iter(lines[1:])
        for prompt in golden.prompts:
            ids = tuple(next(rest)["ids"]) if prompt.text is not None else None
            run = next(rest)
            answers.append(HostAnswer(ids, tuple(run["tokens"]), run["prefill_seconds"], run["decode_seconds"]))
        for talk in golden.conversations:
            for number, turn in enumerate(talk.turns):
                require_conversation(number, turn, next(rest)["ids"])
        for number, _ in enumerate(reference.prompts):
            logits = host_driver.take_logits(scratch, number, next(rest))
            answers[number] = replace(answers[number], likeliest=tuple(logits.argmax(1).tolist()))
    except (StopIteration, KeyError, TypeError, IndexError, ValueError, OSError) as error:
        raise HostMismatch("The app's code gave no usable answer on this machine; see the stage's log.") from error
    return tuple(answers)


def _conversation(talk: GoldenConversation, number: int) -> dict[str, Any]:
    """Asks for the tokens of a conversation up to a question."""
    turns = [{"question": turn.question, "answer": turn.answer} for turn in talk.turns[:number]]
    turns.append({"question": talk.turns[number].question, "answer": None})  # type: ignore[dict-item]
    return {"cmd": "conversation", "system": talk.system, "thinking": talk.thinking, "turns": turns}


def require_conversation(number: int, turn: GoldenTurn, ids: Sequence[int]) -> None:
    """HostMismatch when the app's code reads a conversation otherwise up to that question."""
    step = _first_difference(ids, turn.prompt_tokens)
    if step is not None:
        raise HostMismatch(
            f"The app's code reads turn {number + 1} of the golden conversation otherwise from token {step} on:"
            f" {_at(ids, step)} where {_at(turn.prompt_tokens, step)} is right; report this with the model-info.json."
        )


def follow(prompt: PromptReference, likeliest: Sequence[int], near_tie: float) -> Following:
    """Compare the best tokens along Keras's own continuation with it.

    near_tie: a lead of Keras's best logit below which a step does not count. HostMismatch when steps are missing.
    """
    if len(likeliest) != len(prompt.greedy):
        raise HostMismatch("The app's engine did not follow the golden prompts to their end; see the stage's log.")
    steps = zip(likeliest, prompt.greedy, prompt.margins, strict=True)
    counting = [found == right for found, right, margin in steps if margin >= near_tie]
    return Following(compared=len(counting), agreed=sum(counting), near_ties=len(prompt.greedy) - len(counting))


def require_agreement(followed: Sequence[Following], least: float, recipe: str) -> None:
    """HostMismatch when the engine's best tokens are Keras's at fewer than that share (0 to 1) of the steps."""
    compared, agreed = sum(one.compared for one in followed), sum(one.agreed for one in followed)
    if agreed < least * compared:
        share = f"{agreed / compared:.1%} where the recipe {recipe} asks for {least:.0%}"
        raise HostMismatch(
            f"The app's engine takes Keras's next token at {agreed} of {compared} decisive steps, {share}; don't ship"
            " this package, and report it with its model.tflite."
        )


def require_tokens(number: int, prompt: GoldenPrompt, answer: HostAnswer, start_token: int | None) -> None:
    """HostMismatch when the app's tokenizer reads the prompt's text otherwise; names the prompt and both tokens."""
    if answer.ids is None:
        return
    right = prompt.text_tokens(start_token)
    step = _first_difference(answer.ids, right)
    if step is not None:
        raise HostMismatch(
            f"The app's tokenizer reads golden prompt {number} otherwise from token {step} on:"
            f" {_at(answer.ids, step)} where {_at(right, step)} is right; report this with the tokenizer.json."
        )


def judge(number: int, prompt: GoldenPrompt, answer: HostAnswer, special: SpecialTokens, near_tie: float) -> Verdict:
    """Compare a text of an exact recipe with its golden prompt. HostMismatch names the prompt, the step, both tokens.

    near_tie: a lead of the best logit below which another choice counts as a near-tie.
    """
    expected = prompt.written(special.stops)
    step = _first_difference(answer.tokens, expected)
    if step is None:
        return Verdict(agreed=len(expected), near_tie=None)
    if step < len(prompt.margins) and prompt.margins[step] < near_tie:
        return Verdict(agreed=step, near_tie=step)
    raise HostMismatch(
        f"The app's engine leaves golden prompt {number} at step {step}: token {_at(answer.tokens, step)} where"
        f" {_at(expected, step)} is right; don't ship this package, and report it with its model.tflite."
    )


def _first_difference(found: Sequence[int], expected: Sequence[int]) -> int | None:
    """The first place at which two sequences differ; None when they are equal."""
    if tuple(found) == tuple(expected):
        return None
    pairs = zip(found, expected, strict=False)
    return next((step for step, (one, other) in enumerate(pairs) if one != other), min(len(found), len(expected)))


def _at(tokens: Sequence[int], step: int) -> str:
    return str(tokens[step]) if step < len(tokens) else "the end"
