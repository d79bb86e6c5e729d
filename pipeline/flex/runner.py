"""Asking a model of the I/O mode `strings` for text, by the program that runs TensorFlow's interpreter."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farm.errors import FileUnreadable, FlexRunFailed, SequenceTooLong
from pipeline import process
from pipeline.inference.text_model import Completion, TextAnswer, TextAnswers

DATA_FILES = ("pipeline/flex/program.py",)

PROGRAM = Path(__file__).with_name("program.py")
TIMEOUT = 1200.0
HINT = "models of the I/O mode `strings` are run by TensorFlow, which the farm's extra `convert` brings."


@dataclass(frozen=True)
class FlexModel:
    """A model that takes strings. context in tokens; prompt_bytes: the longest prompt it answers.

    python: the interpreter of a virtual environment with TensorFlow. text_operators: whether it needs TensorFlow
    Text's operators as well.
    """

    path: Path
    threads: int
    prompt_bytes: int
    context: int
    text_operators: bool = False
    python: Path = Path(sys.executable)

    def answer(self, tokenize: Sequence[bytes], complete: Sequence[Completion]) -> TextAnswers:
        """One process for everything that is asked; FlexRunFailed, FileUnreadable, SequenceTooLong."""
        requests = [{"do": "tokenize", "prompt": _text(prompt)} for prompt in tokenize]
        requests += [_completion(asked) for asked in complete]
        for asked in complete:
            if len(asked.prompt) > self.prompt_bytes:
                raise SequenceTooLong(
                    f"The prompt of {len(asked.prompt)} bytes is longer than the {self.prompt_bytes} the model takes;"
                    " shorten it or convert the model with --prompt-bytes."
                )
        found = self._ask(requests)
        tokens = tuple(tuple(next(found)["tokens"]) for _ in tokenize)
        return TextAnswers(tokens, tuple(self._answer(next(found)) for _ in complete))

    def _answer(self, found: dict[str, Any]) -> TextAnswer:
        if "tokens" not in found:
            return TextAnswer(base64.b64decode(found["text"]), (), (), found["seconds"])
        read = found["prompt_tokens"]
        if read == 0:
            raise SequenceTooLong("The prompt holds no token; write at least one word.")
        if read >= self.context:
            raise SequenceTooLong(
                f"The prompt of {read} tokens leaves no room in the model's context of {self.context}; shorten it."
            )
        tokens = tuple(found["tokens"])
        return TextAnswer(base64.b64decode(found["text"]), tokens[:read], tokens[read:], found["seconds"])

    def _ask(self, requests: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        opening = {
            "do": "open",
            "model": str(self.path),
            "threads": self.threads,
            "text_operators": self.text_operators,
        }
        lines = "".join(json.dumps(request) + "\n" for request in (opening, *requests))
        completed = process.run(
            (self.python, PROGRAM), timeout=TIMEOUT, error=FlexRunFailed, hint=HINT, stdin=lines.encode()
        )
        try:
            answers = [json.loads(line) for line in completed.stdout.splitlines()]
        except json.JSONDecodeError as error:
            raise FlexRunFailed(f"TensorFlow's interpreter gave no usable answer ({error}); {HINT}") from error
        if answers and "error" in answers[0]:
            raise FileUnreadable(f"{self.path} can't be opened by TensorFlow ({answers[0]['error']}); make it again.")
        if len(answers) != len(requests) + 1:
            raise FlexRunFailed(f"TensorFlow's interpreter gave {len(answers)} of {len(requests) + 1} answers; {HINT}")
        for answer in answers:
            if "error" in answer:
                raise FlexRunFailed(f"{self.path} can't be run by TensorFlow ({answer['error']}); make it again.")
        return iter(answers[1:])


def _completion(asked: Completion) -> dict[str, Any]:
    if asked.max_new_tokens is None:
        return {"do": "run", "prompt": _text(asked.prompt)}
    return {
        "do": "complete",
        "prompt": _text(asked.prompt),
        "max_new_tokens": asked.max_new_tokens,
        "temperature": asked.sampling.temperature,
        "top_k": asked.sampling.top_k,
        "seed": asked.sampling.seed,
    }


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
