"""`farm run` of a model that takes strings: the answer comes whole, from a process with TensorFlow."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from cli import units
from cli.terminal import Terminal, printable
from farm.errors import UsageError
from farm.jobspec import TokenizerGraph
from farm.prompting import Mode
from pipeline.flex.runner import FlexModel
from pipeline.inference.archive import ModelFiles
from pipeline.inference.model_info import ModelInfo
from pipeline.inference.text_model import Completion


@dataclass(frozen=True)
class Written:
    """What came of a prompt: text behind it, tokens where the file tells them, seconds from text to text."""

    text: str
    prompt_ids: tuple[int, ...] | None
    new_ids: tuple[int, ...] | None
    seconds: float

    @property
    def prompt_tokens(self) -> int | None:
        """How many tokens the prompt has."""
        return None if self.prompt_ids is None else len(self.prompt_ids)

    @property
    def new_tokens(self) -> int | None:
        """How many tokens were written."""
        return None if self.new_ids is None else len(self.new_ids)

    @property
    def rate(self) -> float | None:
        """Tokens a second, the reading of the prompt included."""
        return self.new_tokens / self.seconds if self.new_tokens else None


def write_text(files: ModelFiles, prompt: str, max_tokens: int | None, default: int, threads: int) -> Written:
    """Write on from what the model reads; SequenceTooLong, FlexRunFailed, or UsageError when it takes no limit.

    default: how many tokens where `max_tokens` is None and the model takes a limit.
    """
    info, content = files.info, prompt.encode()
    text_operators = info.tokenizer_graph == TokenizerGraph.TFTEXT
    if text_operators and max_tokens is not None:
        raise UsageError("This model's length is part of its graph; leave --max-tokens out.")
    model = FlexModel(files.path, threads, info.prompt_bytes or len(content), info.context, text_operators)
    answer = model.answer([], [Completion(content, None if text_operators else max_tokens or default)]).answers[0]
    written = answer.text[len(content) :] if answer.text.startswith(content) else answer.text
    return Written(
        text=written.decode(errors="replace"),
        prompt_ids=answer.prompt_tokens or None,
        new_ids=answer.tokens if answer.prompt_tokens else None,
        seconds=answer.seconds,
    )


def show(written: Written, info: ModelInfo, prompt: str, mode: Mode, terminal: Terminal) -> None:
    """The answer to stdout, in the mode complete behind the prompt, and the figures to stderr."""
    text = written.text if mode is Mode.COMPLETE else written.text.lstrip()
    if terminal.as_json:
        terminal.write_json(
            {
                "prompt": prompt,
                "mode": mode.value,
                "completion": text,
                "prompt_tokens": written.prompt_tokens,
                "new_tokens": written.new_tokens,
                "prompt_token_ids": written.prompt_ids,
                "new_token_ids": written.new_ids,
                # The answer comes whole.
                "first_token_seconds": written.seconds,
                "tokens_per_second": written.rate,
            }
        )
        return
    sys.stdout.write(printable((prompt if mode is Mode.COMPLETE else "") + text) + "\n")
    read = "" if written.prompt_tokens is None else f"{units.count(written.prompt_tokens, 'prompt token')}, "
    wrote = "the text" if written.new_tokens is None else units.count(written.new_tokens, "new token")
    speed = f", {written.rate:.0f} tokens/s" if written.rate else ""
    terminal.remark(f"{info.name}, {info.recipe}: {read}{wrote} after {units.duration(written.seconds)}{speed}")
