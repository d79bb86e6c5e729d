"""Tokenizer files: vocabularies and merges, bounded and of the form that their name promises."""

from __future__ import annotations

from farm.errors import ModelDamaged, ModelUnsafe
from pipeline.models import jsonfile
from pipeline.tokenizers.proto import read_proto

LINES = 4_000_000
TOKEN_BYTES = 4096


def check(data: bytes, name: str) -> None:
    """Check one file by the end of its name; ModelDamaged, ModelUnsafe."""
    if len(data) > jsonfile.VOCABULARY_BYTES:
        raise jsonfile.too_large(name, len(data), jsonfile.VOCABULARY_BYTES)
    # A member of an archive is named with it, as in `vocabulary.spm in model.keras`.
    file = name.partition(" ")[0]
    if file.endswith(".json"):
        _check_vocabulary(jsonfile.parse(data, name, limit=jsonfile.VOCABULARY_BYTES), name)
    elif file.endswith(".txt"):
        _check_lines(data, name)
    elif not data:
        raise ModelDamaged(f"{name} is empty; save or copy the model again.")
    elif file.endswith((".spm", ".model")):
        # Before any program opens it that is written in C++.
        read_proto(data, name)


def _check_vocabulary(value: object, name: str) -> None:
    whole = isinstance(value, dict) and value and all(type(number) is int for number in value.values())
    if not whole:
        raise ModelDamaged(f"{name} is no table of tokens and numbers; save or copy the model again.")


def _check_lines(data: bytes, name: str) -> None:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ModelDamaged(f"{name} is no UTF-8 text ({error.reason}); save or copy the model again.") from error
    lines = text.split("\n")
    if len(lines) > LINES or any(len(line) > TOKEN_BYTES for line in lines):
        raise ModelUnsafe(f"{name} has more or longer lines than any vocabulary; it is refused.")
    if "\x00" in text:
        raise ModelDamaged(f"{name} holds zero bytes, so it is no list of tokens; save or copy the model again.")
