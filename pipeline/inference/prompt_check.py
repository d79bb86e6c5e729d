"""Whether a model's files ask it as its reference was asked: template, tokens, start token and stop tokens.

An app that loses one newline of the template, or the start token, makes a sound file answer like a broken one, and no
comparison of logits shows it.
"""

from __future__ import annotations

import math

from farm.chat import Exchange
from farm.errors import DescriptionMismatch
from farm.jobspec import SpecialTokens, TokenizerGraph
from pipeline.inference.model_info import ModelInfo
from pipeline.inference.reference import PromptReference, Reference
from pipeline.tokenizers.codec import TextCodec

# A special token that is at least so likely behind an answer is what ends it.
SURE_OF_THE_END = 0.5


def require_same_prompts(info: ModelInfo, codec: TextCodec | None, reference: Reference) -> None:
    """DescriptionMismatch unless the written files read every golden prompt as the reference did, and stop where it
    stopped."""
    _require_equal("start token", info.start_token, reference.start_token)
    _require_equal("stop tokens", sorted(info.stop_tokens), sorted(reference.stop_tokens))
    for prompt in reference.prompts:
        if prompt.text is not None:
            _require_same_prompt(info, codec, prompt)
    if codec is not None:
        _require_same_conversation(info, codec, reference)
        _require_known_end(info, codec, reference)


def _require_same_prompt(info: ModelInfo, codec: TextCodec | None, prompt: PromptReference) -> None:
    text = info.prompting.fill(prompt.question)
    if text != prompt.text:
        raise DescriptionMismatch(
            f"The prompt template of model-info.json makes {text[-80:]!r} of the question {prompt.question[:40]!r},"
            f" where the reference has {(prompt.text or '')[-80:]!r}; run the job again."
        )
    # KerasHub's graph has a tokenizer of its own, whose tokens the reference has.
    if codec is None or info.tokenizer_graph == TokenizerGraph.TFTEXT:
        return
    read = codec.encode_literally if info.special_tokens == SpecialTokens.TEXT else codec.encode
    start = () if info.start_token is None else (info.start_token,)
    tokens = (*start, *read(text))
    if tokens != prompt.tokens:
        raise DescriptionMismatch(
            f"The written tokenizer reads the prompt {prompt.question[:40]!r} as {_around(tokens, prompt.tokens)}, the"
            f" reference has {_around(prompt.tokens, tokens)}; run the job again."
        )


def _require_same_conversation(info: ModelInfo, codec: TextCodec, reference: Reference) -> None:
    """Each turn's tokens by the pieces of model-info.json, and by the tokenizer on what the template itself wrote."""
    turns = reference.conversation
    if turns and info.chat is None:
        raise DescriptionMismatch("model-info.json has no chat, the reference has a conversation; run the job again.")
    prompts = reference.prompts[len(reference.prompts) - len(turns) :]
    for number, (turn, prompt) in enumerate(zip(turns, prompts, strict=True)):
        before = [Exchange(each.question, each.answer) for each in turns[:number]]
        pieces = () if info.chat is None else info.chat.pieces(None, [*before, Exchange(turn.question)])
        for what, read in (("pieces", codec.encode_pieces(pieces)), ("template", codec.encode(turn.rendered))):
            if (tokens := tuple(read)) != prompt.tokens:
                raise DescriptionMismatch(
                    f"The chat's {what} give turn {number + 1} of the golden conversation"
                    f" {_around(tokens, prompt.tokens)}, the reference has {_around(prompt.tokens, tokens)}; run the"
                    " job again."
                )


def _require_known_end(info: ModelInfo, codec: TextCodec, reference: Reference) -> None:
    """A model that surely ends its answer with a special token must stop at it."""
    if reference.answer_end is None:
        return
    text = reference.texts[0]
    token = int(text.likeliest[reference.answer_end][0])
    share = math.exp(float(text.log_probabilities[reference.answer_end][0]))
    spelled = {id: spelling for spelling, id in codec.ids.items()}.get(token)
    if share >= SURE_OF_THE_END and spelled in codec.special_tokens and token not in info.stop_tokens:
        raise DescriptionMismatch(
            f"The model ends an answer with the special token {spelled!r} ({token}), which is none of its stop tokens,"
            f" {', '.join(str(stop) for stop in info.stop_tokens)}; name it as eos_token_id in the model's"
            " generation_config.json."
        )


def _require_equal(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise DescriptionMismatch(f"model-info.json has the {what} {found}, the reference {wanted}; run the job again.")


def _around(tokens: tuple[int, ...], others: tuple[int, ...]) -> str:
    """The first few tokens from where two sequences differ, with their position."""
    shared = (at for at, (one, other) in enumerate(zip(tokens, others, strict=False)) if one != other)
    at = next(shared, min(len(tokens), len(others)))
    return f"{list(tokens[at : at + 6])} from token {at} on"
