from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from farm.chat import Chat, Turn
from farm.errors import DescriptionMismatch
from farm.prompting import Mode, Prompting
from pipeline.inference.model_info import ModelInfo
from pipeline.inference.prompt_check import require_same_prompts
from pipeline.inference.reference import ConversationTurn, PromptReference, Reference, TextReference
from pipeline.tokenizers.codec import TextCodec
from tests.fixtures import bound_models

TEMPLATE = "Q: {prompt}\nA:"
QUESTION = "the rain"
START, END = bound_models.START_TOKEN, bound_models.END_TOKEN


@pytest.fixture(scope="module")
def codec() -> TextCodec:
    return TextCodec(bound_models.byte_tokenizer().to_str().encode(), "the fixture")


def info(**change: Any) -> ModelInfo:
    sizes = {"context": 48, "prefill": (8,), "vocabulary_size": 300, "layers": 1, "kv_heads": 1, "head_dim": 4}
    named = {"name": "n", "family": "f", "io_mode": "tokens", "recipe": "none", "source": "s", "source_digest": None}
    read = {"tokenizer": "byte-level-bpe", "tokenizer_sha256": "0", "model_sha256": "0", "special_tokens": "read"}
    asked = {
        "start_token": START, "end_token": END, "stop_tokens": (END,),
        "prompting": Prompting(mode=Mode.INSTRUCT, prompt_template=TEMPLATE),
    }  # fmt: skip
    return ModelInfo.model_validate({**sizes, **named, **read, **asked, **change})


def reference(codec: TextCodec, ends_with: int = END, share: float = 0.9) -> Reference:
    text = TEMPLATE.replace("{prompt}", QUESTION)
    tokens = (START, *codec.encode(text))
    answer = TextReference(
        np.array([1, 2], np.int32), np.array([[2, 0], [ends_with, 0]], np.int32),
        np.log(np.array([[0.5, 0.1], [share, 0.05]], np.float32)), np.array([0.7], np.float32),
    )  # fmt: skip
    prompts = (PromptReference(text, tokens, (5,), (1.0,), QUESTION), PromptReference(None, (3, 4), (5,), (1.0,)))
    logits = np.zeros((2, 300), np.float32)
    return Reference(prompts, np.array([1, 2], np.int32), logits, (answer,), START, (END,), 1)


def test_files_that_ask_as_the_reference_was_asked_pass(codec: TextCodec) -> None:
    require_same_prompts(info(), codec, reference(codec))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"start_token": None}, f"has the start token None, the reference {START}"),
        ({"stop_tokens": (END - 1,)}, rf"has the stop tokens \[{END - 1}\], the reference \[{END}\]"),
        (
            {"prompting": Prompting(mode=Mode.INSTRUCT, prompt_template=TEMPLATE.replace("\n", ""))},
            r"makes 'Q: the rainA:' of the question 'the rain', where the reference has 'Q: the rain\\nA:'",
        ),
        ({"prompting": Prompting()}, "makes 'the rain' of the question"),
    ],
)
def test_what_asks_otherwise_is_refused(codec: TextCodec, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DescriptionMismatch, match=sentence):
        require_same_prompts(info(**change), codec, reference(codec))


def test_a_tokenizer_that_reads_otherwise_is_refused(codec: TextCodec) -> None:
    sound = reference(codec)
    prompt = sound.prompts[0]
    changed = PromptReference(prompt.text, (*prompt.tokens[:-1], 7), prompt.greedy, prompt.margins, QUESTION)
    other = Reference((changed,), sound.probe_tokens, sound.probe_logits, sound.texts, START, (END,), 1)
    with pytest.raises(DescriptionMismatch, match=f"from token {len(prompt.tokens) - 1} on, the reference has"):
        require_same_prompts(info(), codec, other)


def test_a_special_token_that_surely_ends_an_answer_must_be_a_stop_token(codec: TextCodec) -> None:
    with pytest.raises(DescriptionMismatch, match=rf"ends an answer with the special token '.*' \({START}\)"):
        require_same_prompts(info(), codec, reference(codec, ends_with=START))
    require_same_prompts(info(), codec, reference(codec, ends_with=START, share=0.3))
    require_same_prompts(info(), codec, reference(codec, ends_with=7))


CHAT = Chat(
    begin=(START,), user=Turn(before=("Q: ",), after=(END,)), assistant=Turn(before=("A: ",), after=(END,)),
    generation=("A: ",), source="tests",
)  # fmt: skip
RENDERED = ("<|start|>Q: one<|end|>A: ", "<|start|>Q: one<|end|>A: two<|end|>Q: six<|end|>A: ")


def talking(codec: TextCodec, *, spoil: bool = False) -> Reference:
    """A reference with a conversation of two turns."""
    sound = reference(codec)
    turns = (ConversationTurn("one", "two", RENDERED[0]), ConversationTurn("six", "x", RENDERED[1]))
    prompts = [PromptReference(None, tuple(codec.encode(text)), (5,), (1.0,)) for text in RENDERED]
    if spoil:
        turns = (turns[0], dataclasses.replace(turns[1], rendered=RENDERED[1].replace("six", " six")))
    return dataclasses.replace(sound, prompts=(*sound.prompts, *prompts), conversation=turns)


def test_a_conversation_is_read_as_its_template_writes_it(codec: TextCodec) -> None:
    require_same_prompts(info(chat=CHAT), codec, talking(codec))
    with pytest.raises(DescriptionMismatch, match="The chat's template give turn 2 of the golden conversation"):
        require_same_prompts(info(chat=CHAT), codec, talking(codec, spoil=True))
    other = CHAT.model_copy(update={"user": Turn(before=("Q:",), after=(END,))})
    with pytest.raises(DescriptionMismatch, match="The chat's pieces give turn 1 of the golden conversation"):
        require_same_prompts(info(chat=other), codec, talking(codec))
    with pytest.raises(DescriptionMismatch, match="has no chat"):
        require_same_prompts(info(), codec, talking(codec))
