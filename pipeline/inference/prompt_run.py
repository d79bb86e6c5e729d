"""One prompt for a model, as its mode puts it: continued, in a template, or as the first question of a chat."""

from __future__ import annotations

from collections.abc import Sequence

from farm.chat import Chat, Exchange
from farm.errors import ChatTemplateUnusable
from farm.prompting import Mode, Prompting
from pipeline.inference.answer_parts import AnswerParts
from pipeline.inference.archive import LanguageModel


def prompt_tokens(model: LanguageModel, prompting: Prompting, prompt: str) -> list[int]:
    """What the model reads; ChatTemplateUnusable for a chat with a model that has no template, FileUnreadable without a
    tokenizer."""
    chat = _chat(model, prompting)
    if chat is None or model.text is None:
        return model.prompt_tokens(prompting.fill(prompt))
    return model.text.encode_pieces(chat.pieces(None, [Exchange(prompt)], thinking=_thinks(chat)))


def answer_parts(model: LanguageModel, prompting: Prompting, stops: Sequence[str]) -> AnswerParts | None:
    """What shows the answer's tokens; None without a tokenizer."""
    if model.text is None:
        return None
    chat = _chat(model, prompting)
    if chat is None:
        # An answer begins with the space that the template leaves to it.
        return AnswerParts(model.text, strips=prompting.mode is not Mode.COMPLETE, stops=stops)
    return AnswerParts.of_chat(chat, model.text, thinking=_thinks(chat), stops=stops)


def _chat(model: LanguageModel, prompting: Prompting) -> Chat | None:
    if prompting.mode is not Mode.CHAT:
        return None
    if model.info.chat is None:
        raise ChatTemplateUnusable(
            f"The model {model.info.name} has no chat template; choose another --mode, or convert it with"
            " --chat-template FILE."
        )
    return model.info.chat


def _thinks(chat: Chat) -> bool:
    return chat.thinking is not None and chat.thinking.wanted
