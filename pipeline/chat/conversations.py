"""Random conversations by which a template and its pieces are compared."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from farm.chat import Exchange
from pipeline.chat.rendering import Message

# What templates, tokenizers and Jinja itself could take for something else, in any order.
WORDS = (
    "hello", " world", "\n", "\n\n", "  x ", "\t", "Ünï", "日本", "```py\n1\n```", "<b>", "{{ x }}", "{% if %}", "?",
    "'s", " 12", "3.5", "\u00a0", "🙂", "# a", "\\n",
)  # fmt: skip
MOST_EARLIER = 3


def random_conversations(count: int, *, system: bool, seed: int = 1) -> Iterator[tuple[str | None, list[Exchange]]]:
    """System texts and exchanges, the last of which lacks its answer; the same ones for the same seed."""
    numbers = random.Random(seed)  # noqa: S311  no secret
    for _ in range(count):
        first = _text(numbers, 4) if system and numbers.random() < 0.5 else None
        earlier = [Exchange(_text(numbers, 6), _text(numbers, 6)) for _ in range(numbers.randint(0, MOST_EARLIER))]
        yield first, [*earlier, Exchange(_text(numbers, 5))]


def messages(system: str | None, exchanges: Sequence[Exchange]) -> list[Message]:
    """The same as Transformers spells it."""
    said = [] if system is None else [{"role": "system", "content": system}]
    for exchange in exchanges:
        said.append({"role": "user", "content": exchange.question})
        if exchange.answer is not None:
            said.append({"role": "assistant", "content": exchange.answer})
    return said


def _text(numbers: random.Random, most: int) -> str:
    """Some words, one of them no white space."""
    words = numbers.choices(WORDS, k=numbers.randint(0, most - 1))
    words.insert(numbers.randint(0, len(words)), numbers.choice([word for word in WORDS if word.strip()]))
    return "".join(words)
