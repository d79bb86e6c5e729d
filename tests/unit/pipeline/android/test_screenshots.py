"""What is typed into the app for its pictures."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from farm.prompting import Mode, Prompting
from pipeline.android import screenshots


def golden(*prompts: tuple[str | None, int], conversation: tuple[str, ...] = ()) -> Any:
    held = SimpleNamespace(turns=[SimpleNamespace(question=question) for question in conversation])
    texts = [SimpleNamespace(text=text, tokens=[0] * count) for text, count in prompts]
    return SimpleNamespace(prompts=texts, conversations=[held])


def test_the_users_own_first_prompt_then_the_golden_one_with_most_to_show() -> None:
    prompts = golden(("Q: One? A:", 3), ("Q: Two? A:", 9), (None, 20))
    instruct = Prompting(mode=Mode.INSTRUCT, prompt_template="Q: {prompt} A:")
    assert screenshots.typed(prompts, instruct, ()) == "Two?"
    assert screenshots.typed(prompts, Prompting(), ()) == "Q: Two? A:"
    assert screenshots.typed(prompts, instruct, ("Mine?", "Other?")) == "Mine?"
    assert screenshots.typed(golden((None, 3)), Prompting(), ()) is None


def test_a_question_that_the_model_suggests_comes_before_a_longer_answer() -> None:
    prompts = golden(("Q: Two? A:", 9), ("Q: One? A:", 3))
    suggesting = Prompting(mode=Mode.INSTRUCT, prompt_template="Q: {prompt} A:", prompts=("One?",))
    assert screenshots.typed(prompts, suggesting, ()) == "One?"


def test_a_chat_is_drawn_with_three_turns() -> None:
    prompts = [("Q: One? A:", 3), ("Q: Two? A:", 9), ("Q: Three? A:", 4), ("Q: Four? A:", 5)]
    chat = Prompting(mode=Mode.CHAT, prompt_template="Q: {prompt} A:")
    assert screenshots.questions(golden(*prompts), chat, ()) == ("Two?", "One?", "Three?")
    verified = golden(*prompts, conversation=("What?", "Why?", "And then?"))
    assert screenshots.questions(verified, chat, ()) == ("What?", "Why?", "And then?")
    assert screenshots.questions(verified, chat, ("Mine?",)) == ("Mine?",)
    instruct = Prompting(mode=Mode.INSTRUCT, prompt_template="Q: {prompt} A:")
    assert screenshots.questions(verified, instruct, ()) == ("Two?",)
    assert screenshots.questions(golden((None, 3)), chat, ()) == ()


def test_store_pictures_have_sizes_that_play_takes() -> None:
    drawer, pictures = screenshots.SIZES["play"]
    assert drawer.endswith(".StorePictures")
    assert len(pictures) == 6
    for width, height in pictures.values():
        assert 320 <= width < height <= 3840
        assert height <= 2 * width
