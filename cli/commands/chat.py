"""`farm chat`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
from cli.terminal import open_terminal
from farm.artifacts import ArtifactName
from farm.errors import UsageError
from farm.jobspec import IoMode
from farm.native_output import stdout_suppressed

NEEDED = (ArtifactName.MODEL, ArtifactName.TOKENIZER, ArtifactName.MODEL_INFO)
DEFAULT_TOKENS = 512
HISTORY = "chat-history"


def command(
    ctx: typer.Context,
    target: RunnableTarget,
    system: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="What the model is told before all (default: the template's own)."),
    ] = None,
    thinking: Annotated[
        bool | None,
        typer.Option(
            "--thinking/--no-thinking",
            help="Let the model think first (default: as it was converted).",
            show_default=False,
        ),
    ] = None,
    load: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Go on with a conversation that /save or the app wrote.", show_default=False),
    ] = None,
    max_tokens: Annotated[
        int, typer.Option(min=1, metavar="N", help="At most so many tokens in an answer.")
    ] = DEFAULT_TOKENS,
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
    """Hold a conversation with a model on this machine.

    Enter sends a question, Alt-Enter begins another line, Ctrl-C stops an answer and Ctrl-D ends the chat; /help lists
    the commands. Answers go to stdout, all else to stderr; without a terminal each line of stdin is a question. With
    --json the whole conversation is printed at its end, as /save keeps it.
    """
    # These bring numpy and the interpreter, for which no other command should wait.
    from cli import chat_prompt
    from cli.chat_session import ChatSession
    from farm.settings import load as load_settings
    from pipeline.inference import archive
    from pipeline.inference.conversation import AnswerOptions, Conversation

    terminal = open_terminal(as_json)
    sampling = read_sampling(temperature, top_k, top_p, min_p, repetition_penalty, seed)
    with model_files(ctx, target, NEEDED) as path, stdout_suppressed():
        with archive.find_files(path) as files:
            if files.info.io_mode == IoMode.STRINGS:
                raise UsageError("This model takes whole texts (I/O mode strings); ask it one prompt with farm run.")
        model = archive.open_language_model(path, threads or archive.default_threads())
        conversation = Conversation(model, system=system)
    own = conversation.chat.thinking
    conversation.thinking = own is not None and (own.wanted if thinking is None else thinking)
    if thinking and own is None:
        raise UsageError("This model's template has no thoughts to turn on; leave --thinking out.")
    if system is not None and conversation.chat.system is None:
        raise UsageError("This model's template takes no system text; leave --system out.")
    session = ChatSession(conversation, AnswerOptions(max_tokens, sampling, tuple(stop or ())), terminal)
    if load is not None:
        session.open(load)
    terminal.remark(
        f"{model.info.name}, {model.info.recipe}, a context of {conversation.context} tokens; /help lists commands."
    )
    session.run(chat_prompt.open_prompt(load_settings().home / HISTORY, session.commands))
    if as_json:
        terminal.write_json(session.saved().to_value())
