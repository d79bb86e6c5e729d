"""Writing on: tokens one after another from a model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np

from farm.errors import SequenceTooLong
from pipeline.inference.drafting import PromptLookupDrafter
from pipeline.inference.interpreter import Float32, TokenModel
from pipeline.inference.kept_text import KeptText

Sampler = Callable[[Float32], int]


def greedy(logits: Float32) -> int:
    """The likeliest token; of equals the first."""
    return int(np.argmax(logits))


def generate(
    model: TokenModel | KeptText,
    prompt: Sequence[int],
    max_new_tokens: int,
    stop_tokens: Collection[int],
    sampler: Sampler = greedy,
    *,
    drafting: bool = True,
    kept: int = 0,
) -> Iterator[int]:
    """The new tokens one by one, until a stop token (not given out) or `max_new_tokens`.

    drafting: whether tokens are drafted from the text and read together, which changes nothing but the time. kept: how
    many of the prompt's tokens the model has read already.
    SequenceTooLong at once when the prompt is empty or prompt and output together do not fit into the context.
    """
    context = model.contract.context
    if not prompt:
        raise SequenceTooLong("The prompt holds no token; write at least one word.")
    if len(prompt) + max_new_tokens > context:
        raise SequenceTooLong(
            f"The prompt of {len(prompt)} tokens and {max_new_tokens} new ones do not fit into the model's context of"
            f" {context}; shorten the prompt or ask for at most {max(0, context - len(prompt))} tokens."
        )
    return _tokens(model, prompt, max_new_tokens, stop_tokens, sampler, max_new_tokens if drafting else 0, kept)


def _tokens(
    model: TokenModel | KeptText,
    prompt: Sequence[int],
    max_new_tokens: int,
    stop_tokens: Collection[int],
    sampler: Sampler,
    most_drafts: int,
    kept: int,
) -> Iterator[int]:
    if max_new_tokens < 1:
        return
    if kept:
        model.rewind(kept)
    else:
        model.reset()
    drafter = PromptLookupDrafter(prompt)
    logits = [model.read(prompt[kept:])]
    drafts: Sequence[int] = ()
    written = 0
    while True:
        start = model.position - len(drafts)
        for place, row in enumerate(logits):
            token = sampler(row)
            if token in stop_tokens:
                return
            yield token
            written += 1
            if written == max_new_tokens:
                return
            drafter.append(token)
            if place < len(drafts) and drafts[place] != token:
                break
        # Whatever was drafted, every token was chosen from the logits behind the tokens that were chosen before it.
        model.rewind(start + place)
        drafts = drafter.draft(min(model.room_to_score() - 1, max_new_tokens - written - 1, most_drafts))
        logits = list(model.score([token, *drafts]))
