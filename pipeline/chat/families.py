"""The chat templates of published instruct models, for presets of KerasHub, which come without one.

Each row says what the model was trained on, in the fewest words of Jinja; docs/chat.md says which rows are compared
with the published template itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

TOKEN_NAMES = ("bos_token", "eos_token", "pad_token", "unk_token")

_NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('there is no place for a system text') }}{% endif %}"
)
_CHAT_ML = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_QWEN_SYSTEM = (
    "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a"
    " helpful assistant.<|im_end|>\n' }}{% endif %}"
)
_QWEN3_THOUGHT = "{% if add_generation_prompt and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
_GEMMA_TURNS = (
    "{% for message in turns %}{{ '<start_of_turn>' + ('model' if message.role == 'assistant' else 'user') + '\n' }}"
    "{{ (system if loop.first else '') + message.content | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
_LLAMA3 = (
    "{{ '<|begin_of_text|>' }}{% for message in messages %}{{ '<|start_header_id|>' + message.role +"
    " '<|end_header_id|>\n\n' + message.content | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
_LLAMA2 = (
    "{% set own = messages[0].role == 'system' %}{% for message in (messages[1:] if own else messages) %}"
    "{% if message.role == 'user' %}{% set said = '<<SYS>>\n' + messages[0].content | trim +"
    " '\n<</SYS>>\n\n' + message.content if own and loop.first else message.content %}{{ '<s>[INST] ' + said | trim"
    " + ' [/INST]' }}"
    "{% else %}{{ ' ' + message.content | trim + ' </s>' }}{% endif %}{% endfor %}"
)
_PHI3 = (
    "{% for message in messages %}{{ '<|' + message.role + '|>\n' + message.content + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)


def _mistral(before_end: str, before_answer: str, answer: str, after_answer: str) -> str:
    return (
        _NO_SYSTEM + "{{ '<s>' }}{% for message in messages %}{% if message.role == 'user' %}{{ '[INST] ' +"
        f" message.content + '{before_end}[/INST]' }}}}{{% else %}}{{{{ '{before_answer}' + {answer} +"
        f" '{after_answer}' }}}}{{% endif %}}{{% endfor %}}"
    )


@dataclass(frozen=True)
class TemplateRow:
    """A family's template; names: what the names of its instruct models look like."""

    family: str
    names: str
    template: str


ROWS = (
    TemplateRow(
        "Gemma",
        r"gemma(2|_1\.1)?_instruct",
        _NO_SYSTEM + "{{ '<bos>' }}{% set system = '' %}{% set turns = messages %}" + _GEMMA_TURNS,
    ),
    TemplateRow(
        "Gemma3",
        r"gemma3_instruct|medgemma.*_instruct",
        "{{ '<bos>' }}{% set own = messages[0].role == 'system' %}{% set system = messages[0].content + '\n\n' if own"
        " else '' %}{% set turns = messages[1:] if own else messages %}" + _GEMMA_TURNS,
    ),
    TemplateRow("Llama3", r"llama3.*_instruct", _LLAMA3),
    TemplateRow("Llama", r"llama2.*_instruct", _LLAMA2),
    TemplateRow("Qwen", r"qwen2.*_instruct", _QWEN_SYSTEM + _CHAT_ML),
    TemplateRow("Qwen3", r"qwen3_[0-9.]+b", _CHAT_ML + _QWEN3_THOUGHT),
    TemplateRow("Phi3", r"phi3.*_instruct", _PHI3),
    TemplateRow("Mistral", r"mistral_0\.3_instruct", _mistral("", " ", "message.content | trim", "</s>")),
    TemplateRow("Mistral", r"mistral_0\.2_instruct", _mistral(" ", "", "message.content", "</s>")),
    TemplateRow("Mistral", r"mistral_instruct", _mistral(" ", "", "message.content", "</s> ")),
)


def find_row(family: str, name: str, *, asked: bool) -> TemplateRow | None:
    """The row of a model of that name; asked: a chat was asked for, so that a name that says nothing will do."""
    rows = [row for row in ROWS if row.family == family]
    named = [row for row in rows if re.search(row.names, name)]
    return named[0] if named else rows[0] if rows and asked else None
