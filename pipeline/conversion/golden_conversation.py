"""A conversation of three turns that Keras answers: the measure for what the file and the app read and write in one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from farm.chat import Chat, Exchange
from farm.errors import ChatTemplateUnusable
from pipeline.chat.reading import render_apart
from pipeline.chat.rendering import TemplateRefused
from pipeline.chat.sources import FoundTemplate
from pipeline.conversion.full_forward import Continuation, Drafter, Forward, continue_greedily
from pipeline.conversion.reference_plan import Plan, Prompt
from pipeline.inference.answer_parts import AnswerParts
from pipeline.inference.reference import ConversationTurn
from pipeline.tokenizers.codec import TextCodec

QUESTIONS = ("What is the capital of France?", "And of Italy?", "And of Japan?")


@dataclass(frozen=True)
class GoldenConversation:
    """The plan with a prompt for each turn behind the others, what Keras wrote after these, and the turns."""

    plan: Plan
    continuations: tuple[Continuation, ...]
    turns: tuple[ConversationTurn, ...]


def converse(
    forward: Forward, plan: Plan, chat: Chat, template: FoundTemplate, codec: TextCodec, stops: Collection[int],
    context: int, drafter: Drafter | None,
) -> GoldenConversation:  # fmt: skip
    """Ask Keras one question after the other, as many as the context has room for. ChatTemplateUnusable where the
    template's own rendering has other tokens."""
    prompts: list[Prompt] = []
    continuations: list[Continuation] = []
    exchanges: list[Exchange] = []
    for question in QUESTIONS:
        asked = [*exchanges, Exchange(question)]
        tokens = codec.encode_pieces(chat.pieces(None, asked))
        if len(tokens) + plan.greedy_tokens > context:
            break
        prompt = Prompt("", tuple(tokens), question)
        (written,) = continue_greedily(forward, replace(plan, prompts=(prompt,)), stops, drafter)
        answer = [token for token in written.tokens if token not in stops]
        shown = AnswerParts.of_chat(chat, codec, thinking=False).write(answer)
        exchanges.append(Exchange(question, "".join(part.text for part in shown if not part.thought)))
        prompts.append(prompt)
        continuations.append(written)
    rendered = _rendered(template, [exchanges[:count] for count in range(1, len(exchanges) + 1)])
    for prompt, text in zip(prompts, rendered, strict=True):
        if codec.encode(text) != list(prompt.tokens):
            raise ChatTemplateUnusable(
                f"The chat template gives a conversation other tokens than its parts ({text[-80:]!r}); choose another"
                " --mode."
            )
    turns = tuple(
        ConversationTurn(each.question, each.answer or "", text) for each, text in zip(exchanges, rendered, strict=True)
    )
    return GoldenConversation(replace(plan, prompts=(*plan.prompts, *prompts)), tuple(continuations), turns)


def _rendered(template: FoundTemplate, conversations: list[list[Exchange]]) -> tuple[str, ...]:
    """Each conversation by the template itself, its last question unanswered."""
    open_ended = [[*asked[:-1], Exchange(asked[-1].question)] for asked in conversations]
    try:
        return render_apart(template, open_ended) if open_ended else ()
    except TemplateRefused as error:
        raise ChatTemplateUnusable(f"The chat template can't be used: {error}; choose another --mode.") from error
