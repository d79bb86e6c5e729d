"""Broken files of models, many of them: each is read or refused in the farm's own words, soon, and none crashes."""

from __future__ import annotations

import copy
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from safetensors.numpy import save_file

from farm.errors import FarmError
from farm.plain_text import clean
from pipeline.chat.extraction import Unfit, extract
from pipeline.chat.rendering import TemplateRefused, TemplateText
from pipeline.models import checking
from pipeline.tokenizers.proto import read_proto
from tests.fixtures import chat_templates, sentencepiece_models
from tests.security.hostile_checkpoints import INDEX
from tests.security.model_files import gpt2_tensors, write_checkpoint
from tests.security.test_message_fuzz import LONGEST_SECONDS, broken

T = TypeVar("T")
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 10**9, 10**30, 1.5, float("nan"), "", "x" * 100_000, "../../etc/passwd", "/etc/passwd", "\ud800",
    "\x00", [], [[]] * 3, {}, {"x": None}, [1] * 1000,
)  # fmt: skip
PLACES = ("config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json", INDEX)
TEMPLATE_PIECES = (
    b"{% for m in messages %}", b"{% endfor %}", b"{{ messages }}", b"{{ ''.__class__ }}", b"{{ m.content }}",
    b"{%- if",
    b"{{ raise_exception('x') }}", b"{{ x | tojson }}", b"{# ", b"{{ messages[0]['role'] * 9 }}", b"{% set x = 1 %}",
    b"{% include '/etc/passwd' %}", b"{{ range(99999) | list }}", b"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
)  # fmt: skip
FOREIGN = ("Traceback", "pydantic", "Error(", "validation error", "Expecting", "codec can't")


def require_own_words(sentence: str) -> None:
    assert clean(sentence) == sentence, sentence
    assert len(sentence) < 900, sentence
    assert not [word for word in FOREIGN if word in sentence], sentence


def wrong(chance: random.Random, value: Any) -> Any:
    """A JSON value with one part of it replaced, removed, or put elsewhere."""
    changed = copy.deepcopy(value)
    at = changed
    while isinstance(at, dict | list) and at:
        key: Any = chance.choice(list(at)) if isinstance(at, dict) else chance.randrange(len(at))
        below = at[key]
        if not isinstance(below, dict | list) or not below or chance.random() < 0.3:
            if chance.random() < 0.2:
                del at[key]
            else:
                at[key] = chance.choice((*VALUES, changed if below is not changed and chance.random() < 0.1 else 7))
            break
        at = below
    try:
        json.dumps(changed)
    except (ValueError, RecursionError):  # it holds itself
        return value
    return changed


def damaged(chance: random.Random, data: bytes) -> bytes:
    """Broken as text, as data, or as both."""
    if chance.random() < 0.7:
        data = json.dumps(wrong(chance, json.loads(data))).encode()
    return broken(chance, data) if chance.random() < 0.5 else data


@pytest.mark.goal(id="A10")
def test_broken_files_of_a_checkpoint(trial, tmp_path: Path) -> None:
    source, scratch = tmp_path / "source", tmp_path / "scratch"
    scratch.mkdir()
    write_checkpoint(source)
    # In two parts, so that there is an index.
    (source / "model.safetensors").unlink()
    tensors = gpt2_tensors()
    names = sorted(tensors)
    parts = {f"model-0000{n}-of-00002.safetensors": names[n - 1 :: 2] for n in (1, 2)}
    for part, chosen in parts.items():
        save_file({name: tensors[name] for name in chosen}, str(source / part))
    weight_map = {name: part for part, chosen in parts.items() for name in chosen}
    (source / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    for name, content in (("tokenizer_config.json", {"bos_token": "<|endoftext|>", "chat_template": "{{ messages }}"}),
                          ("generation_config.json", {"eos_token_id": [1, 2]})):  # fmt: skip
        if not (source / name).exists():
            (source / name).write_text(json.dumps(content))
    assert checking.check(source, scratch).backbone == "GPT2Backbone"
    chance, cases = trial.chance, trial.size(300, 10_000)
    for place in PLACES:
        whole = (source / place).read_bytes()

        def check(data: bytes, place: str = place) -> None:
            (source / place).write_bytes(data)
            checking.check(source, scratch)

        tell(trial, place, run(cases, lambda whole=whole: damaged(chance, whole), check))
        (source / place).write_bytes(whole)


@pytest.mark.goal(id="A10")
def test_broken_sentencepiece_models(trial) -> None:
    chance, whole = trial.chance, sentencepiece_models.make(symbols=("<|user|>",))
    found = run(
        trial.size(300, 10_000), lambda: broken(chance, whole), lambda data: read_proto(data, "tokenizer.model")
    )
    tell(trial, "SentencePiece models", found)


@pytest.mark.goal(id="A10")
def test_broken_chat_templates(trial) -> None:
    chance = trial.chance
    whole = [text.encode() for text in (chat_templates.SIMPLE, chat_templates.THINKS, chat_templates.DEFAULT)]

    def make() -> bytes:
        data = broken(chance, chance.choice(whole))
        for _ in range(chance.randrange(3)):
            place = chance.randrange(len(data) + 1)
            data = data[:place] + chance.choice(TEMPLATE_PIECES) + data[place:]
        return data

    def read(data: bytes) -> None:
        try:
            extract(TemplateText(data.decode(errors="replace")), "tests")
        except (TemplateRefused, Unfit) as error:
            raise FarmError(clean(str(error))[:800]) from error

    tell(trial, "chat templates", run(trial.size(300, 10_000), make, read))


def run(cases: int, make: Callable[[], T], read: Callable[[T], object]) -> tuple[int, int, float]:
    """How many were read, how many refused, and the longest time; anything but a sentence of the farm's own fails."""
    refused, slowest = 0, 0.0
    for _ in range(cases):
        data, started = make(), time.process_time()
        try:
            read(data)
        except FarmError as error:
            refused += 1
            require_own_words(error.sentence)
        slowest = max(slowest, time.process_time() - started)
    return cases - refused, refused, slowest


def tell(trial, what: str, found: tuple[int, int, float]) -> None:
    accepted, refused, slowest = found
    trial.measured(f"{what}: {accepted} read, {refused} refused, 0 crashes, the slowest in {slowest:.1f} s")
    assert refused
    assert slowest < LONGEST_SECONDS
