"""`reference.npz`: what Keras's full forward pass says, the measure for the written artifact."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farm.errors import FileUnreadable

Int32 = NDArray[np.int32]
Float32 = NDArray[np.float32]

# Stands in the file for a number that is not there.
NONE = -1


@dataclass(frozen=True)
class PromptReference:
    """A golden prompt. text: None for one that is only tokens. tokens: with the start token; greedy: Keras's own
    continuation; margins: by how much its best logit led at each step; question: what the template was filled with."""

    text: str | None
    tokens: tuple[int, ...]
    greedy: tuple[int, ...]
    margins: tuple[float, ...]
    question: str = ""


@dataclass(frozen=True)
class ConversationTurn:
    """A question, Keras's answer as it is shown, and the conversation up to the question as the chat template itself
    writes it."""

    question: str
    answer: str
    rendered: str


@dataclass(frozen=True)
class TextReference:
    """A window of text behind the start token. tokens [N]; likeliest [N,K] and log_probabilities [N,K]: what Keras
    holds to come next after each, the likeliest first, in nats; nll [N-1] of each token but the first."""

    tokens: Int32
    likeliest: Int32
    log_probabilities: Float32
    nll: Float32


@dataclass(frozen=True)
class Reference:
    """The whole file. probe_tokens [N] with Keras's logits [N,V] after each; texts: where quality is measured.

    start_token: behind which Keras read, None for none; stop_tokens: at which it stopped. answer_end: the position of
    an answer's last token in the first text, None where no text is an answer. free_prompt: the beginning of a text, and
    free: what Keras wrote after it at length; both empty for a model that reads no text. conversation: turns whose
    prompts are the last of all, empty for a model without a chat template.
    """

    prompts: tuple[PromptReference, ...]
    probe_tokens: Int32
    probe_logits: Float32
    texts: tuple[TextReference, ...]
    start_token: int | None = None
    stop_tokens: tuple[int, ...] = ()
    answer_end: int | None = None
    free_prompt: tuple[int, ...] = ()
    free: tuple[int, ...] = ()
    conversation: tuple[ConversationTurn, ...] = ()

    @cached_property
    def centred_logits(self) -> Float32:
        """The forced logits, each step's mean taken off: what softmax sees of them."""
        return centre(self.probe_logits)

    @cached_property
    def logit_scale(self) -> float:
        """The largest absolute centred logit, in which differences and margins are expressed."""
        return float(np.abs(self.centred_logits).max())


def centre(logits: Float32) -> Float32:
    """Logits [..., V] without their mean over V."""
    centred: Float32 = logits - logits.mean(-1, keepdims=True)
    return centred


def negative_log_likelihood(logits: Float32, token: int) -> float:
    """Of a token, in nats, by the logits [V] before it. Summed in float64, for the sake of large vocabularies."""
    top = logits.max()
    total = np.exp(logits - top).sum(dtype=np.float64)
    return float(np.log(total) + top - logits[token])


def read_reference(path: Path) -> Reference:
    """Read the file; FileUnreadable when it is missing, damaged or incomplete."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            prompts = tuple(_prompt(arrays, index) for index in range(len(arrays["prompt_texts"])))
            reference = Reference(
                prompts,
                arrays["probe_tokens"],
                arrays["probe_logits"],
                tuple(_text(arrays, index) for index in range(int(arrays["texts"]))),
                _number(arrays["start_token"]),
                tuple(int(token) for token in arrays["stop_tokens"]),
                _number(arrays["answer_end"]),
                tuple(int(token) for token in arrays["free_prompt"]),
                tuple(int(token) for token in arrays["free"]),
                tuple(ConversationTurn(*map(str, turn)) for turn in arrays["conversation"].reshape(-1, 3)),
            )
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise FileUnreadable(f"{path.name} is no reference of the conversion ({error}); run the job again.") from error
    _require_complete(reference, path)
    return reference


def _prompt(arrays: Any, index: int) -> PromptReference:
    return PromptReference(
        text=str(arrays["prompt_texts"][index]) or None,
        tokens=tuple(int(token) for token in arrays[f"prompt_{index}"]),
        greedy=tuple(int(token) for token in arrays[f"greedy_{index}"]),
        margins=tuple(float(margin) for margin in arrays[f"margin_{index}"]),
        question=str(arrays["questions"][index]),
    )


def _number(value: Any) -> int | None:
    return None if int(value) == NONE else int(value)


def _text(arrays: Any, index: int) -> TextReference:
    return TextReference(
        tokens=arrays[f"text_{index}"],
        likeliest=arrays[f"likeliest_{index}"],
        log_probabilities=arrays[f"log_probabilities_{index}"],
        nll=arrays[f"nll_{index}"],
    )


def _complete(text: TextReference) -> bool:
    count = len(text.tokens)
    return (
        count >= 2
        and text.likeliest.ndim == 2
        and text.likeliest.shape == text.log_probabilities.shape
        and len(text.likeliest) == count
        and len(text.nll) == count - 1
    )


def _require_complete(reference: Reference, path: Path) -> None:
    """Nothing may pass because there was nothing to compare."""
    rows = len(reference.probe_tokens)
    sound = (
        any(prompt.greedy for prompt in reference.prompts)
        and all(len(prompt.greedy) == len(prompt.margins) and prompt.tokens for prompt in reference.prompts)
        and rows >= 2
        and reference.probe_logits.ndim == 2
        and len(reference.probe_logits) == rows
        and len(reference.texts) > 0
        and all(_complete(text) for text in reference.texts)
        and len(reference.stop_tokens) > 0
        and len(reference.conversation) <= len(reference.prompts)
        and (reference.answer_end is None or reference.answer_end < len(reference.texts[0].tokens))
    )
    if not sound:
        raise FileUnreadable(
            f"{path.name} lacks golden prompts, probe tokens or texts, or their lengths differ; run the job again."
        )
