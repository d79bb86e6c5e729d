"""Whether LiteRT-LM writes with a `model.litertlm` what verification has seen, asked of LiteRT-LM itself."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from farm.chat import Chat, Exchange
from farm.errors import QualityMissed, StageCrashed
from farm.recipes import Recipe
from pipeline import process
from pipeline.chat.conversations import messages, random_conversations
from pipeline.inference.model_info import ModelInfo
from pipeline.litert_lm import processor_list
from pipeline.litert_lm.child import Asked, Golden, Message, Outcome, Prompt, Report, Step, Turn
from pipeline.tokenizers.codec import TextCodec

PACKAGE = "litert_lm"
PROGRAM = (sys.executable, "-P", "-m", "pipeline.litert_lm.child")
TIMEOUT = 1200.0
# Beside the golden conversation, whose texts are plain.
RENDERINGS = 24
NO_REPORT = "LiteRT-LM's process gave no report; run the job again."


def missing() -> str | None:
    """Why LiteRT-LM can't run here, as the rest of a sentence; None where it can."""
    if importlib.util.find_spec(PACKAGE) is None:
        return "the package litert-lm-api is not installed here"
    if not processor_list.PATH.is_file():
        return f"its library needs {processor_list.PATH}, which is not to be seen here"
    return None


def plan(
    path: Path, info: ModelInfo, codec: TextCodec, golden: Mapping[str, Any], threads: int, *, chats: bool
) -> Asked:
    """What is to be run. golden: golden.json; chats: whether the file has a template."""
    near = float(golden["limits"]["near_tie_margin"])
    conversation = golden.get("conversations") or []
    first = len(golden["prompts"]) - sum(len(each["turns"]) for each in conversation)
    prompts = [_prompt(each, info, codec, near) for each in golden["prompts"][:first] if each["text"] is not None]
    turns: list[Turn] = []
    for each in conversation if chats else ():
        turns += _turns(each, info, codec, near)
    return Asked(
        path=str(path), context=info.context, threads=threads, prompts=tuple(prompts), turns=tuple(turns),
        renderings=tuple(renderings(info.chat, codec)) if chats and info.chat else (), live=_live(turns, info),
    )  # fmt: skip


def run(asked: Asked, recipe: Recipe, least: float) -> Report:
    """Run LiteRT-LM in a process of its own. least: the share (0 to 1) of decisive steps at which a recipe that rounds
    must write the golden token; an exact one must at each.

    QualityMissed where it reads or writes otherwise, StageCrashed where it does not run."""
    completed = process.run(
        PROGRAM, timeout=TIMEOUT, error=StageCrashed, hint="LiteRT-LM does not run model.litertlm; report this with the"
        " job's log.", stdin=asked.model_dump_json().encode(),
    )  # fmt: skip
    try:
        report = Report.model_validate_json(completed.stdout.strip().rpartition("\n")[2])
    except ValidationError as error:
        raise StageCrashed(NO_REPORT) from error
    if len(report.prompts) != len(asked.prompts):
        raise StageCrashed(NO_REPORT)
    judged = {"a golden prompt": report.prompts}
    if not report.template_fault:
        judged["the golden conversation"] = report.turns
    for where, outcomes in judged.items():
        require_no_fault(where, outcomes, exact=recipe.exact)
    require_agreement([outcome for outcomes in judged.values() for outcome in outcomes], least, recipe.alias)
    return report


def require_no_fault(where: str, outcomes: Sequence[Outcome], *, exact: bool) -> None:
    """QualityMissed with the first prompt that is read otherwise; for an exact recipe also with the first other token.

    Rounding to few bits goes another way in another build of the runtime, so that single tokens may differ there."""
    fault = next((said for one in outcomes if (said := one.fault or (one.difference if exact else ""))), None)
    if fault is not None:
        raise QualityMissed(f"LiteRT-LM does not follow {where}: it {fault}; report this with the job's log.")


def require_agreement(outcomes: Sequence[Outcome], least: float, recipe: str) -> None:
    """QualityMissed when LiteRT-LM writes the golden token at fewer than that share of the steps."""
    compared, agreed = sum(one.compared for one in outcomes), sum(one.agreed for one in outcomes)
    if agreed < least * compared:
        first = next(one.difference for one in outcomes if one.difference)
        raise QualityMissed(
            f"LiteRT-LM writes the golden token at {agreed} of {compared} decisive steps, {agreed / compared:.1%} where"
            f" the recipe {recipe} asks for {least:.0%}: it first {first}; report this with the job's log."
        )


def golden_steps(
    codec: TextCodec, tokens: Sequence[int], margins: Sequence[float], near_tie: float, stop_tokens: Sequence[int]
) -> Golden:
    """Golden tokens as texts that end in whole characters; a last part of a character is left out."""
    steps: list[Step] = []
    held: list[int] = []
    content, near = b"", False
    special = set(codec.special_tokens)
    for token, margin in zip(tokens, margins, strict=True):
        if token in stop_tokens:
            if held:
                break
            return Golden(steps=tuple(steps), stops=True, stop_near_tie=margin < near_tie)
        # LiteRT-LM prints it, or does not.
        if codec.spelling(token) in special:
            break
        held.append(token)
        content, near = content + codec.token_bytes(token), near or margin < near_tie
        text = content.decode(errors="replace")
        if text and "\ufffd" not in text:
            steps.append(Step(tokens=tuple(held), text=text, near_tie=near))
            held, content, near = [], b"", False
    return Golden(steps=tuple(steps))


def _prompt(prompt: Mapping[str, Any], info: ModelInfo, codec: TextCodec, near: float) -> Prompt:
    text, tokens = prompt["text"], tuple(prompt["prompt_tokens"])
    start = (codec.spelling(tokens[0]) or "") if tokens else ""
    return Prompt(
        # The runtime puts the start token before a text by itself, where the file has one.
        texts=tuple(dict.fromkeys((text, start + text, text.removeprefix(start)))),
        tokens=tokens,
        golden=golden_steps(codec, prompt["tokens"], prompt["margins"], near, info.stop_tokens),
    )


def _turns(conversation: Mapping[str, Any], info: ModelInfo, codec: TextCodec, near: float) -> list[Turn]:
    exchanges: list[Exchange] = []
    turns = []
    for turn in conversation["turns"]:
        answered = golden_steps(codec, turn["tokens"], turn["margins"], near, info.stop_tokens)
        turns.append(
            Turn(
                history=_messages(conversation["system"], exchanges), question=turn["question"],
                tokens=tuple(turn["prompt_tokens"]), golden=answered, thinking=conversation["thinking"],
            )
        )  # fmt: skip
        exchanges.append(Exchange(turn["question"], turn["answer"]))
    return turns


def renderings(chat: Chat, codec: TextCodec) -> list[Turn]:
    """Random conversations, as the model's pieces read them."""
    takes_system, thinks = chat.system is not None, chat.thinking is not None
    turns = []
    for number, (system, exchanges) in enumerate(random_conversations(RENDERINGS, system=takes_system)):
        thinking = thinks and number % 2 == 0
        tokens = tuple(codec.encode_pieces(chat.pieces(system, exchanges, thinking=thinking)))
        history, question = _messages(system, exchanges[:-1]), exchanges[-1].question
        turns.append(
            Turn(history=history, question=question, tokens=tokens, golden=Golden(steps=()), thinking=thinking)
        )
    return turns


def _messages(system: str | None, exchanges: Sequence[Exchange]) -> tuple[Message, ...]:
    return tuple(Message.model_validate(message) for message in messages(system, exchanges))


def _live(turns: Sequence[Turn], info: ModelInfo) -> int:
    """How many turns one conversation can go through with the golden tokens in its cache: as long as each answer ends
    by itself, and the next turn's tokens begin with those of the turn before and of its answer."""
    before: tuple[int, ...] = ()
    for number, turn in enumerate(turns):
        if not turn.golden.stops or turn.tokens[: len(before)] != before:
            return number
        if number and turn.tokens[len(before)] not in info.stop_tokens:
            return number
        before = (*turn.tokens, *(token for step in turn.golden.steps for token in step.tokens))
    return len(turns)
