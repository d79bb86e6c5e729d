"""From a template to the texts around each turn, by rendering marked conversations and looking at what is between."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from farm.chat import Chat, Exchange, SystemPlace, SystemTurn, Trim, Turn
from pipeline.chat.conversations import messages, random_conversations
from pipeline.chat.rendering import Renderer, TemplateRaised, TemplateRefused, TemplateText, TooMuch

CONVERSATIONS = 200
# Renderings that go back with the pieces, for the comparison of their tokens.
SAMPLES = 60
MARKERS = (("<think>", "</think>"),)
# Letters that no template looks for.
SYSTEM, FIRST, ANSWER, SECOND = "Sq0zx", "Uq1zx", "Aq2zx", "Uq3zx"
TAG = re.compile(r"<[^<>\s]+>")
SPACED = " \n{} \n "
NO_SYSTEM = "The template takes no system text: {}."
NO_THINKING = "The template changes more than the last prompt where a model thinks, so that thinking is off."


class Unfit(TemplateRefused):
    """A template that the pieces can't express."""


@dataclass(frozen=True)
class FoundThinking:
    """As farm.chat.Thinking, with texts."""

    generation: str
    markers: tuple[str, str]
    opened: bool
    always: bool


@dataclass(frozen=True)
class Sample:
    """A conversation with its rendering."""

    system: str | None
    exchanges: tuple[Exchange, ...]
    thinking: bool
    rendered: str


@dataclass(frozen=True)
class Extraction:
    """chat: every piece a text, special tokens spelled out, without its thinking."""

    chat: Chat
    thinking: FoundThinking | None
    samples: tuple[Sample, ...]
    notes: tuple[str, ...]


def extract(template: TemplateText, source: str) -> Extraction:
    """The pieces, proven on random conversations; TemplateRefused where it can't be rendered, Unfit where pieces can't
    express what it does."""
    renderer = Renderer(template)
    chat = _turns(renderer, source)
    notes: list[str] = []
    try:
        chat = _with_system(renderer, chat, template.tokens.get("bos_token", ""))
        _prove(renderer, chat, thinking=False)
    except (TemplateRaised, Unfit) as error:
        # A chat without a system text may do.
        reason = error
        chat = chat.model_copy(update={"system": None, "default_system": None})
        _prove(renderer, chat, thinking=False)
        notes.append(NO_SYSTEM.format(reason))
    thinking = _thinking(renderer, template, chat)
    if thinking is not None and not thinking.always:
        try:
            _prove(renderer, chat.model_copy(update={"generation": (thinking.generation,)}), thinking=True)
        except Unfit:
            thinking = None
            notes.append(NO_THINKING)
    samples = list(_samples(renderer, chat, thinking))
    return Extraction(chat, thinking, tuple(samples), tuple(notes))


def _turns(renderer: Renderer, source: str) -> Chat:
    """What is around questions and answers, and what asks for one."""
    asked = renderer.render(_said(FIRST))
    prefix, tail = _split(asked, FIRST)
    _, closed = _split(renderer.render(_said(FIRST), generate=False), FIRST)
    whole = renderer.render(_said(FIRST, ANSWER, SECOND))
    first, between, behind, last = _split(whole, FIRST, ANSWER, SECOND)
    if (first, last) != (prefix, tail):
        raise Unfit("it writes the first question, or what follows the last one, otherwise in a longer conversation")
    after_answer = _ending(renderer, behind, prefix)
    before_user = behind[len(after_answer) :]
    if not prefix.endswith(before_user):
        raise Unfit("it writes the first question otherwise than a later one")
    # Some templates end a text that asks for nothing in another way.
    shared = len(_shared(tail, between))
    ends = (closed, after_answer, tail[: next((start for start, end in _tags(tail) if start < shared < end), shared)])
    closed = next(end for end in ends if tail.startswith(end) and between.startswith(end))
    chat = Chat(
        begin=_piece(prefix.removesuffix(before_user)),
        user=Turn(before=_piece(before_user), after=_piece(closed)),
        assistant=Turn(before=_piece(between[len(closed) :]), after=_piece(after_answer)),
        generation=_piece(tail[len(closed) :]),
        source=source,
    )
    user = replace_trim(chat.user, _trim(renderer, chat, "user"))
    chat = chat.model_copy(update={"user": user})
    return chat.model_copy(update={"assistant": replace_trim(chat.assistant, _trim(renderer, chat, "assistant"))})


def _ending(renderer: Renderer, behind: str, prefix: str) -> str:
    """What ends an answer, of what is between it and the next question; prefix: what is before the first."""
    try:
        closing = _split(renderer.render(_said(FIRST, ANSWER), generate=False), FIRST, ANSWER)[2]
    except TooMuch:
        raise
    except TemplateRefused:
        closing = ""
    if closing and behind.startswith(closing) and prefix.endswith(behind[len(closing) :]):
        return closing
    cut = len(behind) - len(_shared(behind[::-1], prefix[::-1]))
    return behind[: next((end for start, end in _tags(behind) if start < cut < end), cut)]


def _with_system(renderer: Renderer, chat: Chat, start: str) -> Chat:
    """The same with the place of a system text."""
    prefix, between, tail = _split(renderer.render(_said(FIRST, system=SYSTEM)), SYSTEM, FIRST)
    head, before_user = "".join(map(str, chat.begin)), "".join(map(str, chat.user.before))
    if tail != "".join(map(str, (*chat.user.after, *chat.generation))):
        raise Unfit("it writes what follows a question otherwise behind a system text")
    if between.endswith(before_user) and (before_user or not prefix.startswith(head)):
        # A start token that begins every turn as well is part of each.
        both = head.startswith(start) and prefix.startswith(start) and not before_user.startswith(start)
        place, begin = SystemPlace.TURN, head if prefix.startswith(head) else start if both else ""
        before, after = prefix[len(begin) :], between.removesuffix(before_user)
    elif prefix.startswith(head + before_user):
        place, begin = SystemPlace.QUESTION, head
        before, after = prefix[len(head + before_user) :], between
    else:
        raise Unfit("it puts a system text neither into a turn of its own nor before the first question")
    system = SystemTurn(before=_piece(before), after=_piece(after), place=place)
    no_system = head[len(begin) :]
    shown = no_system.startswith(before) and no_system.endswith(after) and len(no_system) > len(before) + len(after)
    chat = chat.model_copy(
        update={
            "begin": _piece(begin),
            "no_system": _piece(no_system),
            "default_system": no_system[len(before) : len(no_system) - len(after)] if shown else None,
            "system": system,
        }
    )
    system = system.model_copy(update={"trim": _trim(renderer, chat, "system")})
    chat = chat.model_copy(update={"system": system})
    question = _trim(renderer, chat, "question") if place is SystemPlace.QUESTION else chat.user.trim
    return chat.model_copy(update={"system": system.model_copy(update={"question_trim": question})})


def _trim(renderer: Renderer, chat: Chat, role: str) -> Trim:
    """How the template trims that role's text."""
    texts = {"system": SYSTEM, "user": FIRST, "assistant": ANSWER}
    if role == "question":
        texts["user"] = SPACED.format(FIRST)
    else:
        texts[role] = SPACED.format(texts[role])
    system = texts["system"] if role in ("system", "question") else None
    exchanges = [Exchange(texts["user"], texts["assistant"]), Exchange(SECOND)]
    rendered = renderer.render(messages(system, exchanges))
    for trim in Trim:
        changed = _trimmed(chat, role, trim)
        if "".join(map(str, changed.pieces(system, exchanges))) == rendered:
            return trim
    raise Unfit(f"it changes the text of a {role} by more than white space at its ends")


def _trimmed(chat: Chat, role: str, trim: Trim) -> Chat:
    if role in ("user", "assistant"):
        return chat.model_copy(update={role: replace_trim(getattr(chat, role), trim)})
    if chat.system is None:
        return chat
    name = "trim" if role == "system" else "question_trim"
    return chat.model_copy(update={"system": chat.system.model_copy(update={name: trim})})


def replace_trim(turn: Turn, trim: Trim) -> Turn:
    """The turn with another trim."""
    return turn.model_copy(update={"trim": trim})


def _thinking(renderer: Renderer, template: TemplateText, chat: Chat) -> FoundThinking | None:
    """How the template lets a model think; None where it has no markers of thoughts."""
    markers = next((pair for pair in MARKERS if pair[1] in template.text), None)
    if markers is None:
        return None
    tail = _split(renderer.render(_said(FIRST), thinking=True), FIRST)[1]
    after = "".join(map(str, chat.user.after))
    if not tail.startswith(after):
        return None
    generation = tail[len(after) :]
    off = "".join(map(str, chat.generation))
    opened = generation.rfind(markers[0]) > generation.rfind(markers[1])
    return FoundThinking(generation, markers, opened, always=generation == off)


def _prove(renderer: Renderer, chat: Chat, *, thinking: bool) -> None:
    """Unfit unless the pieces give what the template gives, of random conversations."""
    for system, exchanges in random_conversations(CONVERSATIONS, system=chat.system is not None):
        rendered = renderer.render(messages(system, exchanges), thinking=thinking)
        composed = "".join(map(str, chat.pieces(system, exchanges)))
        if rendered != composed:
            at = len(_shared(rendered, composed))
            raise Unfit(
                f"a conversation of {len(exchanges)} questions reads {rendered[max(0, at - 20) : at + 30]!r} in it, and"
                f" {composed[max(0, at - 20) : at + 30]!r} by its parts"
            )


def _samples(renderer: Renderer, chat: Chat, thinking: FoundThinking | None) -> list[Sample]:
    thinks = (False, True) if thinking is not None and not thinking.always else (False,)
    found = []
    for number, (system, exchanges) in enumerate(random_conversations(SAMPLES, system=chat.system is not None, seed=2)):
        on = thinks[number % len(thinks)]
        rendered = renderer.render(messages(system, exchanges), thinking=on)
        found.append(Sample(system, tuple(exchanges), on, rendered))
    return found


def _said(
    question: str, answer: str | None = None, second: str | None = None, *, system: str | None = None
) -> list[dict[str, str]]:
    last = [] if second is None else [Exchange(second)]
    return messages(system, [Exchange(question, answer), *last])


def _split(rendered: str, *markers: str) -> tuple[str, ...]:
    """What is before, between and behind the marked texts; Unfit unless each is there once, in order."""
    parts = []
    for marker in markers:
        before, found, rendered = rendered.partition(marker)
        if not found or marker in rendered or any(other in before for other in markers):
            raise Unfit("it leaves out a turn's text, repeats it, or puts turns into another order")
        parts.append(before)
    return (*parts, rendered)


def _tags(text: str) -> Iterator[tuple[int, int]]:
    """Where in a template's text something like a special token begins and ends."""
    return (match.span() for match in TAG.finditer(text))


def _shared(one: str, other: str) -> str:
    """What both begin with."""
    count = 0
    while count < min(len(one), len(other)) and one[count] == other[count]:
        count += 1
    return one[:count]


def _piece(text: str) -> tuple[str, ...]:
    return (text,) if text else ()
