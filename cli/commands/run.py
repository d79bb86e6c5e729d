"""`farm run`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated

import typer

from cli import units
from cli.arguments import AsJson, RunnableTarget, Threads
from cli.sampling_options import (
    MinP,
    RepetitionPenalty,
    Seed,
    Stop,
    Temperature,
    TopK,
    TopP,
    read_sampling,
)
from cli.targets import model_files
from cli.terminal import open_terminal, printable
from farm.artifacts import ArtifactName
from farm.errors import UnknownMode, UsageError
from farm.jobspec import IoMode
from farm.native_output import stdout_suppressed
from farm.option_texts import read_template
from farm.options import OneOf
from farm.prompting import PLACE, Mode

NEEDED = (ArtifactName.MODEL, ArtifactName.TOKENIZER, ArtifactName.MODEL_INFO)
DEFAULT_TOKENS = 64
# Of stdin; no model reads as much.
LONGEST_PROMPT = 1 << 20


@dataclass
class Timer:
    """Counts the tokens that pass and when: seconds from the start to the first and to the last."""

    started: float = field(default_factory=time.perf_counter)
    tokens: int = 0
    first: float = 0.0
    last: float = 0.0

    def count(self, tokens: Iterable[int]) -> Iterator[int]:
        """Pass the tokens on."""
        for token in tokens:
            self.last = time.perf_counter() - self.started
            self.first = self.first or self.last
            self.tokens += 1
            yield token

    @property
    def rate(self) -> float | None:
        """Tokens a second after the first; None for fewer than two."""
        return (self.tokens - 1) / (self.last - self.first) if self.tokens > 1 else None


def command(
    ctx: typer.Context,
    target: RunnableTarget,
    prompt: Annotated[
        str,
        typer.Argument(
            metavar="PROMPT", help="The text to continue, or the question; - reads it from stdin.", show_default=False
        ),
    ],
    max_tokens: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help=f"At most so many new tokens (default: {DEFAULT_TOKENS}).", show_default=False
        ),
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(
            metavar="MODE",
            help=f"{', '.join(Mode)} (default: the model's own, as in its app).",
            show_default=False,
        ),
    ] = None,
    prompt_template: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|TEXT",
            help=f"What an instruct model reads, with {PLACE} where the question goes (default: the model's own).",
            show_default=False,
        ),
    ] = None,
    temperature: Temperature = 0.0,
    top_k: TopK = 0,
    top_p: TopP = 1.0,
    min_p: MinP = 0.0,
    repetition_penalty: RepetitionPenalty = 1.0,
    seed: Seed = None,
    stop: Stop = None,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Complete or answer a prompt with a model on this machine.

    What the model writes goes to stdout as it comes, in the mode complete behind the prompt; the figures go to stderr.
    It takes the likeliest token each time unless --temperature says otherwise.
    """
    # These bring numpy and the interpreter, for which no other command should wait.
    from cli import text_run
    from pipeline.inference import archive, generation, prompt_run

    terminal = open_terminal(as_json)
    wanted_mode = None if mode is None else OneOf(Mode, "mode", UnknownMode)(mode)
    template = None if prompt_template is None else read_template(prompt_template)
    prompt = read_prompt(prompt)
    sampling = read_sampling(temperature, top_k, top_p, min_p, repetition_penalty, seed)
    threads = threads or archive.default_threads()
    with model_files(ctx, target, NEEDED) as path, stdout_suppressed(), archive.find_files(path) as files:
        info, prompting = files.info, files.info.prompting.changed(wanted_mode, template)
        if info.io_mode == IoMode.STRINGS:
            if not sampling.greedy or stop:
                raise UsageError(
                    "A model of the I/O mode strings writes its answer whole, the likeliest token each time; leave the"
                    " sampling options and --stop out."
                )
            written = text_run.write_text(files, prompting.fill(prompt), max_tokens, DEFAULT_TOKENS, threads)
        else:
            model = archive.open_language_model(path, threads)
            given = prompt_run.prompt_tokens(model, prompting, prompt)
    if info.io_mode == IoMode.STRINGS:
        text_run.show(written, info, prompt, prompting.mode, terminal)
        return
    wanted = max_tokens or max(1, min(DEFAULT_TOKENS, model.info.context - len(given)))
    clock = Timer()
    chosen = generation.generate(model.tokens, given, wanted, model.info.stop_tokens, sampling.sampler(given))
    ids: list[int] = []
    pieces: list[str] = []
    if not as_json and prompting.mode is Mode.COMPLETE:
        _write(prompt)
    shown_parts = prompt_run.answer_parts(model, prompting, stop or ())
    for part in shown_parts.write(_kept(clock.count(chosen), ids)) if shown_parts else ():
        if part.thought:
            continue
        shown = part.text
        pieces.append(shown)
        if not as_json:
            _write(shown)
    if as_json:
        terminal.write_json(
            {
                "prompt": prompt,
                "mode": prompting.mode.value,
                "completion": "".join(pieces),
                "prompt_tokens": len(given),
                "new_tokens": clock.tokens,
                "prompt_token_ids": given,
                "new_token_ids": ids,
                "first_token_seconds": clock.first,
                "tokens_per_second": clock.rate,
            }
        )
        return
    _write("\n")
    speed = f", {clock.rate:.0f} tokens/s" if clock.rate else ""
    terminal.remark(
        f"{model.info.name}, {model.info.recipe}: {units.count(len(given), 'prompt token')},"
        f" first token after {units.duration(clock.first)}, {clock.tokens} in all{speed}"
    )


def read_prompt(text: str) -> str:
    """The prompt itself, or what stdin holds for `-`; UsageError when it is not UTF-8."""
    try:
        if text == "-":
            text = sys.stdin.buffer.read(LONGEST_PROMPT).decode("utf-8").removesuffix("\n")
        text.encode("utf-8")
    except UnicodeError as error:
        raise UsageError("The prompt is not UTF-8 text; convert it, as in: iconv -f latin1 -t utf-8.") from error
    return text


def _kept(tokens: Iterable[int], ids: list[int]) -> Iterator[int]:
    """Pass the tokens on and keep them in `ids`."""
    for token in tokens:
        ids.append(token)
        yield token


def _write(text: str) -> None:
    sys.stdout.write(printable(text))
    sys.stdout.flush()
