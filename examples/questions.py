"""Questions about Python and their answers, derived from the docstrings of the interpreter that runs this."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass

# Modules whose functions and classes people ask about; `builtins` is named by what is in it alone.
MODULES = (
    "builtins", "math", "os", "os.path", "sys", "time", "json", "random", "re", "shutil", "itertools", "functools",
    "collections", "copy", "datetime", "statistics", "textwrap", "pathlib",
)  # fmt: skip
# Every question is asked in each of these words.
WORDINGS = (
    "What does {name} do?",
    "What is {name}?",
    "What is {name} for?",
    "Explain {name}.",
    "Tell me about {name}.",
    "When do I use {name}?",
)
TEMPLATE = "Question: {prompt}\nAnswer:"
SHORTEST, LONGEST = 20, 120
LEAST_LETTERS = 0.8


@dataclass(frozen=True)
class Subject:
    """Something of Python that has a `name`, and the first sentence of what its docstring says."""

    name: str
    answer: str


@dataclass(frozen=True)
class Question:
    """A question in one of the wordings and its answer."""

    text: str
    answer: str

    @property
    def prompt(self) -> str:
        """The question as the model reads it."""
        return TEMPLATE.format(prompt=self.text)


def subjects() -> list[Subject]:
    """Every name once, in an order that depends on nothing but Python's version; of equal answers the first."""
    by_answer: dict[str, Subject] = {}
    for name, member in _members():
        answer = _first_sentence(inspect.getdoc(member) or "")
        if answer is not None:
            by_answer.setdefault(answer, Subject(name, answer))
    return list({subject.name: subject for subject in by_answer.values()}.values())


def questions(of: list[Subject], *, held_out: bool) -> list[Question]:
    """The questions to learn from, or those that are kept apart: a name and a wording that were never seen together."""
    return [
        Question(wording.format(name=subject.name), subject.answer)
        for number, subject in enumerate(of)
        for place, wording in enumerate(WORDINGS)
        if (number % len(WORDINGS) == place) == held_out
    ]


def _members() -> Iterator[tuple[str, object]]:
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        prefix = "" if module_name == "builtins" else f"{module_name}."
        if prefix:
            yield module_name, module
        for name, member in sorted(vars(module).items()):
            if name.startswith("_") or inspect.ismodule(member) or not callable(member):
                continue
            if prefix and getattr(member, "__module__", module_name) not in _homes(module_name):
                continue
            yield prefix + name, member
            if inspect.isclass(member) and not issubclass(member, BaseException):
                for method_name, method in sorted(vars(member).items()):
                    if not method_name.startswith("_") and callable(getattr(member, method_name)):
                        yield f"{prefix}{name}.{method_name}", method


def _homes(module_name: str) -> tuple[str | None, ...]:
    """Where members of a module say that they live: also in its C half and in what it stands for on this system."""
    return module_name, f"_{module_name}", "posix", "posixpath", "genericpath", "builtins", None


def _first_sentence(docstring: str) -> str | None:
    """The first sentence in plain words; None when it is no sentence of a fit length."""
    paragraph = re.sub(r"\s+", " ", docstring.strip().split("\n\n")[0])
    paragraph = re.sub(r"^[\w.]+\([^)]*\)( ->? [\w\[\], ]+)?( --|:)? *", "", paragraph)
    paragraph = re.sub(r":\w+:`~?([^`]*)`", r"\1", paragraph)
    paragraph = re.sub(r"`+|(?<!\w)\*+(?=\w)|(?<=\w)\*+", "", paragraph)
    match = re.match(r"(.+?[a-z)\"'])\.( |$)", paragraph)
    sentence = match[1] + "." if match else ""
    letters = sum(letter.isalpha() or letter == " " for letter in sentence)
    fit = SHORTEST <= len(sentence) <= LONGEST and sentence[0].isupper() and sentence.isascii()
    return sentence if fit and letters >= LEAST_LETTERS * len(sentence) else None
