from __future__ import annotations

import pytest

from pipeline.chat import rendering
from pipeline.chat.rendering import Renderer, TemplateRaised, TemplateRefused, TemplateText, TooMuch, cpu_limit

HELLO = [{"role": "user", "content": "Hi"}]


def render(template: str) -> str:
    return Renderer(TemplateText(template, {"bos_token": "<s>"})).render(HELLO)


def test_a_template_is_rendered_as_transformers_does_it() -> None:
    template = "{{ bos_token }}\n  {% for m in messages %}\n{{ m['role'] }}:{{ m.content | tojson }}\n  {% endfor %}\n|"
    assert render(template) == '<s>\nuser:"Hi"\n|'


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("{% if %}", "line 1 is no Jinja"),
        ("{{ messages", "is no Jinja"),
        ("{{ bso_token }}", "what a chat does not have ('bso_token' is undefined)"),
        ("{{ messages[0].nothing.more }}", "what a chat does not have"),
        ("{{ ''.__class__.__mro__ }}", "reaches for what a template may not have"),
        ("{{ messages.append(1) }}", "reaches for what a template may not have"),
        ("{{ lipsum.__globals__.os }}", "reaches for what a template may not have"),
        ("{{ 9 ** 9 ** 9 }}", "reaches for what a template may not have (a power)"),
        ("{{ 1 / 0 }}", "fails on a chat (ZeroDivisionError"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "calls itself too often"),
        ("{% for i in range(99999999) %}x{% endfor %}", "fails on a chat (OverflowError"),
        ("{% include 'x' %}", "fails on a chat"),
    ],
)
def test_a_faulty_template_is_refused_in_a_sentence(template: str, sentence: str) -> None:
    with pytest.raises(TemplateRefused) as refused:
        render(template)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_the_template_says_is_shown() -> None:
    with pytest.raises(TemplateRaised, match='it says "roles must alternate"'):
        render("{{ raise_exception('roles must\x07 alternate') }}")


def test_too_much_output_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "LONGEST_OUTPUT", 1000)
    with pytest.raises(TooMuch, match="more than 1000 characters"):
        render("{% for i in range(2000) %}x{% endfor %}")


def test_an_endless_loop_is_stopped() -> None:
    loop = "{% for a in range(99999) %}{% for b in range(99999) %}{% set c = a %}{% endfor %}{% endfor %}"
    with pytest.raises(TooMuch, match="as an endless loop does"), cpu_limit(0.05):
        render(loop)


@pytest.mark.parametrize("template", ["{% if tools %}x{% endif %}", "{% if never is defined %}x{% endif %}"])
def test_a_variable_may_be_asked_for(template: str) -> None:
    assert render(template) == ""


def test_the_day_is_always_the_same() -> None:
    assert render("{{ strftime_now('%d %b %Y') }}") == "26 Jul 2024"


def test_marks_around_what_a_model_wrote_are_no_text() -> None:
    assert render("{% generation %}{{ messages[0].content }}{% endgeneration %}") == "Hi"
