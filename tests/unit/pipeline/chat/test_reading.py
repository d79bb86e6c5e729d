from __future__ import annotations

import time

import pytest

from pipeline.chat.extraction import Unfit
from pipeline.chat.reading import extract_apart, read_chat
from pipeline.chat.rendering import TemplateRefused, TemplateText
from pipeline.chat.sources import FoundTemplate
from tests.fixtures.chat_templates import SIMPLE, THINKS, codec, extract_here

pytestmark = pytest.mark.programs


def found(template: str) -> FoundTemplate:
    return FoundTemplate(TemplateText(template), "tests")


def test_a_process_of_its_own_finds_the_same() -> None:
    assert extract_apart(found(THINKS)) == extract_here(found(THINKS))
    assert read_chat(found(SIMPLE), codec())[0].user.before == ("[user]",)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ 'x' * 1000000000 }}", "more memory than a template may"),
        ("{{ '%1000000000d' | format(1) }}", "more memory|MemoryError|too large"),
        (
            "{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(64) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
            "memory",
        ),
        ("{{ raise_exception('not today') }}", "not today"),
    ],
)
def test_what_goes_wrong_there_is_said_here(template: str, reason: str) -> None:
    started = time.monotonic()
    with pytest.raises(TemplateRefused, match=reason):
        extract_apart(found(template))
    assert time.monotonic() - started < 60


def test_unfit_stays_unfit() -> None:
    with pytest.raises(Unfit):
        extract_apart(found("always the same"))
