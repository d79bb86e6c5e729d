"""A chat as the Jinja template that LiteRT-LM renders: its runtime has no other way to hold one of any kind.

LiteRT-LM keeps what a model has written in its cache, the stop token with it, and reads of a conversation with a new
question only what the rendering has more than the one without it. So an answer's turn ends behind its stop token here,
and what the model's own template puts behind that comes before the next question.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection

from farm.chat import Chat, Pieces, SystemPlace, Trim

# What `Trim` takes for white space, which is less than Jinja's own filter takes in some places and more in others.
WHITE_SPACE = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
SPACES = "spaces"


class TemplateUnfit(Exception):
    """Why LiteRT-LM can't be given a chat, as the rest of a sentence."""


def write_template(
    chat: Chat, spell: Callable[[int], str | None], start_token: int | None, stop_tokens: Collection[int]
) -> str:
    """The template. spell: a token's text, None where it has none. start_token: what the runtime puts before everything
    by itself, see `start_of`. TemplateUnfit where no template is read as these pieces."""
    end = next((at for at, piece in enumerate(chat.assistant.after) if piece in stop_tokens), None)
    if end is None:
        raise TemplateUnfit("no stop token ends an answer in the template, so that it would be left out of the history")
    head, tail = chat.assistant.after[: end + 1], chat.assistant.after[end + 1 :]

    def show(pieces: Pieces) -> str:
        text = ""
        for piece in pieces:
            spelled = piece if isinstance(piece, str) else spell(piece)
            if spelled is None:
                raise TemplateUnfit(f"the token {piece} of the template has no text in the tokenizer")
            text += spelled
        return f"{{{{- {_quote(text)} -}}}}" if text else ""

    begin = chat.begin[1:] if start_token is not None else chat.begin
    system = chat.system
    turn = question = own_trim = ""
    if system is not None:
        text = show(system.before) + _trimmed("system", system.trim) + show(system.after)
        if system.place is SystemPlace.TURN:
            turn = text
        else:
            question, own_trim = f"{{%- if first and system -%}}{text}", _trimmed("text", system.question_trim)
    plain = _trimmed("text", chat.user.trim)
    asked = f"{question}{own_trim}{{%- else -%}}{plain}{{%- endif -%}}" if question else plain
    if system is None:
        turn = "{{- raise_exception('the model takes no system text') -}}"
    opening = f"{{%- if system -%}}{turn}{{%- else -%}}{show(chat.no_system)}{{%- endif -%}}"
    return "\n".join(
        part
        for part in (
            f"{{%- set {SPACES} = {_quote(WHITE_SPACE)} -%}}",
            "{%- set found = namespace(system='', turns=0) -%}",
            "{%- for message in messages -%}",
            # LiteRT-LM gives a text as a list of parts.
            "{%- set text -%}{%- if message.content is string -%}{{- message.content -}}{%- else -%}",
            "{%- for part in message.content -%}{%- if part.type == 'text' -%}{{- part.text -}}{%- else -%}",
            "{{- raise_exception('the model reads text alone') -}}{%- endif -%}{%- endfor -%}",
            "{%- endif -%}{%- endset -%}",
            f"{{%- if loop.first -%}}{show(begin)}",
            f"{{%- if message.role == 'system' and text | trim({SPACES}) -%}}{{%- set found.system = text -%}}",
            "{%- endif -%}{%- set system = found.system -%}" + opening + "{%- endif -%}",
            "{%- set system, first = found.system, found.turns == 0 -%}",
            "{%- if message.role == 'user' -%}",
            f"{{%- if not first -%}}{show(tail)}{{%- endif -%}}" if tail else "",
            show(chat.user.before) + asked + show(chat.user.after) + "{%- set found.turns = found.turns + 1 -%}",
            "{%- elif message.role in ['assistant', 'model'] -%}",
            show(chat.assistant.before) + _trimmed("text", chat.assistant.trim) + show(head),
            "{%- elif message.role != 'system' or not loop.first -%}",
            "{{- raise_exception('a conversation has questions, answers and one system text before them') -}}",
            "{%- endif -%}",
            "{%- endfor -%}",
            f"{{%- if add_generation_prompt -%}}{_generation(chat, show)}{{%- endif -%}}",
        )
        if part
    )


def start_of(chat: Chat, start_token: int | None) -> int | None:
    """The model's start token where the template begins with it. LiteRT-LM puts the start token that a file names
    before everything by itself; of another model the file names none."""
    return start_token if chat.begin and chat.begin[0] == start_token else None


def _generation(chat: Chat, show: Callable[[Pieces], str]) -> str:
    plain, thinking = show(chat.generation), chat.thinking
    if thinking is None or thinking.always:
        return plain if thinking is None else show(thinking.generation)
    thinks = "enable_thinking | default(true)" if thinking.wanted else "enable_thinking is defined and enable_thinking"
    return f"{{%- if {thinks} -%}}{show(thinking.generation)}{{%- else -%}}{plain}{{%- endif -%}}"


def _trimmed(name: str, trim: Trim) -> str:
    taken = {
        Trim.NONE: "", Trim.BOTH: f" | trim({SPACES})",
        Trim.START: f".lstrip({SPACES})", Trim.END: f".rstrip({SPACES})",
    }  # fmt: skip
    return f"{{{{- {name}{taken[trim]} -}}}}"


def _quote(text: str) -> str:
    """A literal of Jinja, whose escapes are JSON's."""
    return json.dumps(text, ensure_ascii=False)
