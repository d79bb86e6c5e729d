"""Prose that every machine with Python has: its language reference and the docstrings of its standard library."""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import re
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from pydoc_data import topics
from types import ModuleType

# Folders whose docstrings are about tests or about installed packages, not about Python.
SKIPPED_FOLDERS = frozenset({"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "pydoc_data"})
# Written in C, so they have docstrings but no source to parse.
C_MODULES = (
    "array", "atexit", "binascii", "builtins", "cmath", "errno", "faulthandler", "fcntl", "gc", "grp", "itertools",
    "marshal", "math", "mmap", "posix", "pwd", "resource", "select", "sys", "termios", "time", "unicodedata", "zlib",
    "_bisect", "_bz2", "_codecs", "_collections", "_csv", "_datetime", "_functools", "_hashlib", "_heapq", "_io",
    "_json", "_lzma", "_operator", "_pickle", "_random", "_socket", "_sqlite3", "_ssl", "_string", "_struct",
    "_thread", "_warnings", "_weakref",
)  # fmt: skip
LEAST_WORDS = 5
LEAST_LETTERS = 0.86
# Shorter texts, mostly one sentence about one function, teach a model to stop at once.
LEAST_CHARACTERS = 300


def documents() -> list[str]:
    """All texts, each once, in an order that depends on nothing but Python's version.

    A text is one docstring or one topic of the language reference: paragraphs without line breaks, separated by one
    newline. What is not prose (code, tables, grammar, signatures) is left out.
    """
    seen: dict[str, None] = {}
    for text in _raw_texts():
        prose = "\n".join(paragraph for paragraph in _paragraphs(text) if _is_prose(paragraph))
        if len(prose) >= LEAST_CHARACTERS:
            seen.setdefault(prose)
    return list(seen)


def _raw_texts() -> Iterator[str]:
    for _, text in sorted(topics.topics.items()):
        yield from re.split(r"\n(?=[^\n]+\n(?:={4,}|\*{4,}|-{4,})\n)", text)
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        if SKIPPED_FOLDERS.isdisjoint(path.relative_to(root).parts):
            yield from _docstrings(path)
    for name in C_MODULES:
        yield from _c_docstrings(importlib.import_module(name))


def _docstrings(path: Path) -> Iterator[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return  # a template or a file for another version of Python
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield text


def _c_docstrings(module: ModuleType) -> Iterator[str]:
    for owner in (module, *(value for _, value in sorted(vars(module).items()) if inspect.isclass(value))):
        for _, member in sorted(vars(owner).items()):
            text = inspect.getdoc(member) if callable(member) or owner is not builtins else None
            if isinstance(text, str):
                yield text


def _paragraphs(text: str) -> Iterable[str]:
    for block in re.split(r"\n\s*\n", text):
        lines = block.strip("\n").split("\n")
        if any(mark in block for mark in (">>>", "::=", "|--", "+--", "===", "***", "---")):
            continue
        # A block that is indented as a whole is an example; list items ("* ", "1. ") are indented text.
        if lines[0].startswith("    ") and not re.match(r"\s+(\*|-|\d+\.)\s", lines[0]):
            continue
        yield _plain(" ".join(line.strip() for line in lines))


def _plain(paragraph: str) -> str:
    """Without the marks of reStructuredText and of pydoc: *emphasis*, ``code``, "code", footnotes, bullets."""
    paragraph = re.sub(r"^(\*|-|\d+\.)\s+", "", paragraph)
    paragraph = re.sub(r":(?:\w+:)?\w+:`~?([^`]*)`", r"\1", paragraph)
    paragraph = re.sub(r"`+|\*+(?=\w)|(?<=\w)\*+", "", paragraph)
    paragraph = re.sub(r'"([^" ]+)"', r"\1", paragraph)
    paragraph = re.sub(r"\s*\[\d+\]", "", paragraph)
    return re.sub(r"\s+", " ", paragraph).strip()


def _is_prose(paragraph: str) -> bool:
    letters = sum(letter.isalpha() or letter == " " for letter in paragraph)
    sentence = re.search(r"[a-z)][.:!?]($|\s)", paragraph) is not None
    return sentence and len(paragraph.split()) >= LEAST_WORDS and letters >= LEAST_LETTERS * len(paragraph)
