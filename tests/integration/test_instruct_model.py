"""The example that answers questions: it says so in its metadata, and answers what it was not asked in these words."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from examples import questions, train_tiny_instruct
from farm import locations, modelref, sources
from farm.prompting import Mode
from pipeline.models import checking, metadata

# Keras says so of every CausalLM that is loaded from a preset; its variables are there all the same.
pytestmark = pytest.mark.filterwarnings("ignore:`build\\(\\)` was called on layer:UserWarning")
FOLDER = locations.EXAMPLES / "tiny_instruct"
LARGEST = 12_000_000
ASKED = 48


def test_the_folder_is_a_small_preset_that_says_how_it_wants_to_be_asked(tmp_path: Path) -> None:
    files = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()}
    assert files == set(sources.files(modelref.parse(str(FOLDER))))
    checked = checking.check(FOLDER, tmp_path)
    assert (checked.form, checked.backbone) == ("preset", "GPT2Backbone")
    assert checked.bytes <= LARGEST
    said = metadata.read(FOLDER)
    assert said.mode is Mode.INSTRUCT
    assert said.fill("What is a list?") == questions.Question("What is a list?", "").prompt
    assert said.prompts == train_tiny_instruct.PROMPTS
    assert said.licence


def test_questions_are_split_into_parts_that_share_no_wording_of_a_name() -> None:
    subjects = questions.subjects()
    training, held_out = (questions.questions(subjects, held_out=part) for part in (False, True))
    assert len(held_out) == len(subjects) > 500
    assert len(training) == len(subjects) * (len(questions.WORDINGS) - 1)
    assert not {each.text for each in training} & {each.text for each in held_out}
    assert questions.Subject("len", "Return the number of items in a container.") in subjects


def test_it_answers_held_out_questions_as_the_model_before_could_not() -> None:
    held_out = questions.questions(questions.subjects(), held_out=True)
    some = held_out[:: len(held_out) // ASKED]
    model = train_tiny_instruct.load(FOLDER)
    found = train_tiny_instruct.score(model, some)
    assert found.exact > 0.8
    assert found.overlap > 0.85
    before = train_tiny_instruct.load(train_tiny_instruct.BASE)
    baseline = math.exp(train_tiny_instruct.mean_loss(before, train_tiny_instruct.rows(before, some)))
    assert found.perplexity < baseline / 10
