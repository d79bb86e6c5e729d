"""The process that runs a `model.litertlm` in LiteRT-LM itself: `python -m pipeline.litert_lm.child`, JSON in and out.

A process of its own, since LiteRT-LM's library is a whole runtime beside ai-edge-litert's, and what it can't run may
end the process. It gives texts and takes texts; where a text is read as other tokens than the golden ones is found by
its tokenizer.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import litert_lm

# Weights are packed in memory: a cache of them beside the file would be as large as the model.
NO_CACHE = ":nocache"
SHOWN = 60


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Step(_Frozen):
    """Golden tokens that end in a whole character, with their text. near_tie: whether one of them is one."""

    tokens: tuple[int, ...]
    text: str
    near_tie: bool


class Golden(_Frozen):
    """What the verified model writes. stops: whether a stop token comes behind the steps; stop_near_tie: that one."""

    steps: tuple[Step, ...]
    stops: bool = False
    stop_near_tie: bool = False

    def rest(self, place: int) -> int:
        """How many tokens follow from a step on."""
        return sum(len(step.tokens) for step in self.steps[place:]) + self.stops


class Prompt(_Frozen):
    """A prompt. texts: spellings of it, of which one is read as `tokens`."""

    texts: tuple[str, ...]
    tokens: tuple[int, ...]
    golden: Golden


class Message(_Frozen):
    """What a role says."""

    role: str
    content: str


class Turn(_Frozen):
    """A question behind a history, the tokens that the model's pieces make of both, and the answer. thinking: whether
    it is to begin with thoughts."""

    history: tuple[Message, ...]
    question: str
    tokens: tuple[int, ...]
    golden: Golden
    thinking: bool = False


class Asked(_Frozen):
    """What the process is given. turns: of the golden conversation; renderings: further ones, whose tokens alone are
    compared; live: so many turns are also asked in one conversation, whose cache then holds the golden tokens."""

    path: str
    context: int
    threads: int
    prompts: tuple[Prompt, ...]
    turns: tuple[Turn, ...] = ()
    renderings: tuple[Turn, ...] = ()
    live: int = 0


class Outcome(_Frozen):
    """How one answer went, in tokens. agreed: of those compared; uncompared: behind another token, to which no text
    leads back; difference: the first other token; fault: a prompt that is read otherwise."""

    compared: int = 0
    agreed: int = 0
    near_ties: int = 0
    uncompared: int = 0
    difference: str = ""
    fault: str = ""


class Report(_Frozen):
    """What it says. template_fault: why the template in the file is not the model's own, empty where it is."""

    prompts: tuple[Outcome, ...]
    turns: tuple[Outcome, ...] = ()
    live_turns: int = 0
    template_fault: str = ""


class Runner:
    """An open engine."""

    def __init__(self, engine: litert_lm.Engine):
        import litert_lm

        self._engine = engine
        self._greedy = litert_lm.SamplerConfig(top_k=1, temperature=0.0)

    def tokens(self, text: str) -> tuple[int, ...]:
        """What the runtime reads of a text with which it begins."""
        start = self._engine.bos_token_id
        return (*(() if start is None else (start,)), *self._engine.tokenize(text))

    def write(self, text: str, most: int) -> str:
        """The greedy continuation, at most so many tokens."""
        with self._engine.create_session(
            apply_prompt_template=False, sampler_config=self._greedy, max_output_tokens=most
        ) as session:
            session.run_prefill([text])
            return str((session.run_decode().texts or [""])[0])

    def converse(self, turn: Turn, most: int) -> litert_lm.Conversation:
        """A conversation behind a turn's history."""
        said = [{"role": each.role, "content": each.content} for each in turn.history]
        return self._engine.create_conversation(
            messages=said or None, sampler_config=self._greedy, max_output_tokens=most,
            extra_context={"enable_thinking": turn.thinking},
        )  # fmt: skip


def ask(conversation: litert_lm.Conversation, question: str) -> str:
    """The answer's text."""
    answer: Any = conversation.send_message(question)
    return "".join(part.text for part in answer.contents)


def follow(runner: Runner, prompt: str, tokens: Sequence[int], golden: Golden, found: str) -> Outcome:
    """Compare what the runtime wrote with the golden steps, and lead it back to them behind each other token."""
    compared = agreed = near_ties = uncompared = place = 0
    difference = ""
    while True:
        matched, missed = _match(golden, place, found)
        equal = sum(len(step.tokens) for step in golden.steps[place:matched])
        compared, agreed, place = compared + equal, agreed + equal, matched
        if not missed:
            compared, agreed = compared + golden.stops, agreed + golden.stops
            break
        at_end = place == len(golden.steps)
        size = 1 if at_end else len(golden.steps[place].tokens)
        if golden.stop_near_tie if at_end else golden.steps[place].near_tie:
            near_ties += size
        else:
            compared += size
            difference = difference or _difference(tokens, golden, place, found)
        if at_end:
            break
        place += 1
        forced = prompt + "".join(step.text for step in golden.steps[:place])
        wanted_tokens = (*tokens, *(token for step in golden.steps[:place] for token in step.tokens))
        if runner.tokens(forced) != wanted_tokens:
            uncompared = golden.rest(place)
            break
        found = runner.write(forced, golden.rest(place)) if golden.rest(place) else ""
    return Outcome(compared=compared, agreed=agreed, near_ties=near_ties, uncompared=uncompared, difference=difference)


def _difference(tokens: Sequence[int], golden: Golden, place: int, found: str) -> str:
    behind = len(tokens) + sum(len(step.tokens) for step in golden.steps[:place])
    wanted = "its end" if place == len(golden.steps) else repr(golden.steps[place].text)
    written = sum(len(step.text) for step in golden.steps[:place])
    return f"writes {found[-SHOWN:]!r} where {wanted} comes behind {behind} tokens ({written} characters)"


def _match(golden: Golden, place: int, found: str) -> tuple[int, bool]:
    """The first step that a text does not go on with, and whether there is any; the end counts as one where the golden
    tokens stop."""
    steps = golden.steps[place:]
    # Some tokenizers print the first of all words without the space before it.
    if steps and steps[0].text.startswith(" ") and not found.startswith(" "):
        found = " " + found
    at = 0
    for number, step in enumerate(steps):
        if not found.startswith(step.text, at):
            return place + number, True
        at += len(step.text)
    return len(golden.steps), golden.stops and at < len(found)


def run_prompt(runner: Runner, prompt: Prompt) -> Outcome:
    """Write behind a prompt."""
    text = next((text for text in prompt.texts if runner.tokens(text) == prompt.tokens), None)
    if text is None:
        read = list(runner.tokens(prompt.texts[0]))
        return Outcome(fault=f"reads {prompt.texts[0][-SHOWN:]!r} as {_around(read, prompt.tokens)}")
    return follow(runner, text, prompt.tokens, prompt.golden, runner.write(text, prompt.golden.rest(0)))


def rendering_fault(runner: Runner, turn: Turn) -> tuple[str, str]:
    """What the runtime makes of a conversation with a new question, and what is wrong with it."""
    with runner.converse(turn, 1) as conversation:
        rendered = str(conversation.render_message_to_string(turn.question))
    read = runner.tokens(rendered)
    if rendered and read == turn.tokens:
        return rendered, ""
    return rendered, f"it reads {rendered[-SHOWN:]!r} as {_around(read, turn.tokens)}"


def run_turns(runner: Runner, asked: Asked) -> Report:
    """The renderings, and each turn's answer behind its history."""
    for turn in asked.renderings:
        if fault := rendering_fault(runner, turn)[1]:
            return Report(prompts=(), template_fault=fault)
    outcomes = []
    for turn in asked.turns:
        rendered, fault = rendering_fault(runner, turn)
        if fault:
            return Report(prompts=(), template_fault=fault)
        with runner.converse(turn, turn.golden.rest(0)) as conversation:
            found = ask(conversation, turn.question)
        outcomes.append(follow(runner, rendered, turn.tokens, turn.golden, found))
    return Report(prompts=(), turns=tuple(outcomes))


def run_live(runner: Runner, turns: Sequence[Turn]) -> tuple[int, str]:
    """How many turns of one conversation left the golden tokens in the cache, up to the first other or endless answer;
    what is wrong with the cache."""
    if not turns:
        return 0, ""
    with runner.converse(turns[0], max(turn.golden.rest(0) for turn in turns)) as conversation:
        for number, turn in enumerate(turns):
            found = ask(conversation, turn.question)
            if not turn.golden.stops or _match(turn.golden, 0, found) != (len(turn.golden.steps), False):
                return number, ""
            wanted = len(turn.tokens) + turn.golden.rest(0)
            if conversation.token_count != wanted:
                return (
                    number,
                    f"its cache holds {conversation.token_count} tokens behind turn {number + 1}, not {wanted}",
                )
    return len(turns), ""


def answer(asked: Asked) -> Report:
    """Run everything."""
    import litert_lm

    litert_lm.set_min_log_severity(litert_lm.LogSeverity.ERROR)
    cpu = litert_lm.Backend.CPU(thread_count=asked.threads)
    with litert_lm.Engine(asked.path, backend=cpu, max_num_tokens=asked.context, cache_dir=NO_CACHE) as engine:
        runner = Runner(engine)
        report = run_turns(runner, asked)
        live, fault = (0, "") if report.template_fault else run_live(runner, asked.turns[: asked.live])
        prompts = tuple(run_prompt(runner, prompt) for prompt in asked.prompts)
        return report.model_copy(
            update={"prompts": prompts, "live_turns": live, "template_fault": report.template_fault or fault}
        )


def _around(read: Sequence[int], wanted: Sequence[int]) -> str:
    at = next(
        (at for at, pair in enumerate(zip(read, wanted, strict=False)) if pair[0] != pair[1]),
        min(len(read), len(wanted)),
    )
    return f"{list(read[at : at + 6])} from token {at} on, the farm's tokenizer as {list(wanted[at : at + 6])}"


def main() -> None:
    """Read the request from stdin, and write the report as the last line of stdout."""
    asked = Asked.model_validate_json(sys.stdin.buffer.read())
    sys.stdout.write("\n" + answer(asked).model_dump_json() + "\n")


if __name__ == "__main__":
    main()
