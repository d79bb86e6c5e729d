"""A model of the I/O mode `bytes` in ai-edge-litert: a prompt's bytes in, prompt and answer out.

In the interpreter, which runs the graph's loops a fifth faster than LiteRT's compiled model does.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from farm.errors import FileUnreadable, SequenceTooLong
from pipeline.inference.compiled import first_line, tensor_shapes
from pipeline.inference.contract import TensorShape

GENERATE = "serving_default"
TOKENIZE = "tokenize"


@dataclass(frozen=True)
class Sampling:
    """temperature: 0 for the likeliest token each time. top_k: of how many candidates, 0 for as many as the graph
    looks at. The same seed gives the same answer."""

    temperature: float = 0.0
    top_k: int = 0
    seed: int = 0


GREEDY = Sampling()


@dataclass(frozen=True)
class Completion:
    """A prompt to write on from, for so many tokens at most.

    None: by a signature that takes the prompt alone, where there is one, which gives text and no tokens.
    """

    prompt: bytes
    max_new_tokens: int | None
    sampling: Sampling = GREEDY


@dataclass(frozen=True)
class TextAnswer:
    """text: prompt and answer. prompt_tokens: with the start token; tokens: the answer's, without the end token."""

    text: bytes
    prompt_tokens: tuple[int, ...]
    tokens: tuple[int, ...]
    seconds: float


@dataclass(frozen=True)
class TextAnswers:
    """tokens of each prompt, without a start token; what came of each completion."""

    tokens: tuple[tuple[int, ...], ...]
    answers: tuple[TextAnswer, ...]


class TextReader(Protocol):
    """A model that reads and writes text by itself, wherever it runs. context in tokens."""

    @property
    def prompt_bytes(self) -> int:
        """The longest prompt."""

    @property
    def context(self) -> int:
        """Prompt and answer together."""

    def answer(self, tokenize: Sequence[bytes], complete: Sequence[Completion]) -> TextAnswers:
        """Read prompts, and write on from others; SequenceTooLong."""


class TextModel:
    """A model that reads and writes text by itself."""

    def __init__(self, path: Path, threads: int = 1):
        """Open a file; FileUnreadable when it is none, damaged, or not of the I/O mode `bytes`'s contract."""
        if not path.is_file():
            raise FileUnreadable(f"{path} is no file; give a .tflite file.")
        try:
            self._interpreter: Any = Interpreter(str(path), num_threads=threads)
            missing = {GENERATE, TOKENIZE} - set(self._interpreter.get_signature_list())
            if missing:
                raise FileUnreadable(
                    f"{path} has no signature named {min(missing)}; give a model that the farm made for"
                    f" the I/O mode `bytes`."
                )
            self._generate = self._interpreter.get_signature_runner(GENERATE)
            self._tokenize = self._interpreter.get_signature_runner(TOKENIZE)
        except (ValueError, RuntimeError) as error:
            raise FileUnreadable(
                f"{path} can't be opened as a .tflite model ({first_line(error)}); make it again."
            ) from error
        shapes = tensor_shapes(self._generate.get_input_details())
        one = TensorShape("int32", (1,))
        wanted = dict.fromkeys(("prompt_length", "max_new_tokens", "top_k", "seed"), one)
        wanted |= {"temperature": TensorShape("float32", (1,)), "prompt": shapes.get("prompt", one)}
        if shapes != wanted or wanted["prompt"].dtype != "uint8":
            raise FileUnreadable(f"{path} has other inputs than the I/O mode `bytes`'s; give a model made by the farm.")
        self.prompt_bytes: int = shapes["prompt"].sizes[1]
        self.context = int(self._generate.get_output_details()["tokens"]["shape"][1])

    def answer(self, tokenize: Sequence[bytes], complete: Sequence[Completion]) -> TextAnswers:
        """Read prompts, and write on from others; SequenceTooLong."""
        return TextAnswers(
            tuple(tuple(self.tokenize(prompt)) for prompt in tokenize),
            tuple(self.complete(asked.prompt, asked.max_new_tokens or 0, asked.sampling) for asked in complete),
        )

    def tokenize(self, prompt: bytes) -> list[int]:
        """The prompt's tokens without a start token; SequenceTooLong."""
        found = self._tokenize(**self._padded(prompt))
        return [int(token) for token in found["tokens"][0, : int(found["token_count"][0])]]

    def complete(self, prompt: bytes, max_new_tokens: int, sampling: Sampling = GREEDY) -> TextAnswer:
        """Write on from a prompt; SequenceTooLong when it is too long, or leaves no room in the context."""
        started = time.perf_counter()
        found = self._generate(
            **self._padded(prompt),
            max_new_tokens=np.array([max_new_tokens], np.int32),
            temperature=np.array([sampling.temperature], np.float32),
            top_k=np.array([sampling.top_k], np.int32),
            seed=np.array([sampling.seed], np.int32),
        )
        seconds = time.perf_counter() - started
        read, written = int(found["prompt_tokens"][0]), int(found["new_tokens"][0])
        if read == 0:
            raise SequenceTooLong("The prompt holds no token; write at least one word.")
        if read >= self.context:
            raise SequenceTooLong(
                f"The prompt of {read} tokens leaves no room in the model's context of {self.context}; shorten it."
            )
        tokens = [int(token) for token in found["tokens"][0, : read + written]]
        text = found["text"][0, : int(found["text_length"][0])].tobytes()
        return TextAnswer(text, tuple(tokens[:read]), tuple(tokens[read:]), seconds)

    def _padded(self, prompt: bytes) -> dict[str, Any]:
        if len(prompt) > self.prompt_bytes:
            raise SequenceTooLong(
                f"The prompt of {len(prompt)} bytes is longer than the {self.prompt_bytes} the model takes; shorten"
                " it or convert the model with --prompt-bytes."
            )
        padded = np.zeros((1, self.prompt_bytes), np.uint8)
        padded[0, : len(prompt)] = np.frombuffer(prompt, np.uint8)
        return {"prompt": padded, "prompt_length": np.array([len(prompt)], np.int32)}
