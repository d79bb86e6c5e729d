from __future__ import annotations

from collections import Counter
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, seed, settings
from pydantic import ValidationError

from farm import option_texts
from farm.appspec import AppSpec
from farm.errors import (
    BadApplicationId,
    BadAppSetting,
    CalibrationUnusable,
    ChatTemplateUnusable,
    ContextTooLong,
    EvaluationUnusable,
    FarmError,
    RecipeNotRunnable,
    SequenceTooLong,
    SettingNotForIoMode,
    UnknownRecipe,
)
from farm.jobspec import ConversionRoute, IoMode, JobSpec, SpecialTokens, TokenizerGraph
from farm.modelref import ModelKind
from farm.oplist import OpSet
from farm.prompting import Mode


def spec(**changes: object) -> JobSpec:
    return JobSpec.model_validate({"model_kind": ModelKind.FOLDER, "model": "/models/a"} | changes)


def test_an_alias_becomes_the_full_name() -> None:
    assert spec(recipe="int8").recipe == "dynamic_wi8_afp32_rotated"


def test_an_unknown_recipe_is_refused() -> None:
    with pytest.raises(UnknownRecipe):
        spec(recipe="int9")


@pytest.mark.parametrize(
    "value", ["story", "a.1b", "a..b", "a.b-c", "org.example.class", "a." + "b" * 200, "a.b\n", ""]
)
def test_application_ids_that_android_refuses(value: str) -> None:
    with pytest.raises(BadApplicationId):
        AppSpec(application_id=value)


@pytest.mark.parametrize("value", ["org.example.story", "a.b", "Org.Example_1.x2"])
def test_application_ids_that_android_takes(value: str) -> None:
    assert AppSpec(application_id=value).application_id == value


@pytest.mark.parametrize("value", [0, -1, 2_100_000_001])
def test_version_codes_that_android_refuses(value: int) -> None:
    with pytest.raises(BadAppSetting):
        AppSpec(version_code=value)


@pytest.mark.parametrize("value", ["", "   ", "two\nlines", "x" * 101])
def test_labels_that_android_refuses(value: str) -> None:
    with pytest.raises(BadAppSetting):
        AppSpec(label=value)


@pytest.mark.parametrize(
    "given",
    [
        {"tokenizer_graph": TokenizerGraph.TFTEXT},
        {"tokenizer_graph": TokenizerGraph.TFTEXT, "io_mode": IoMode.BYTES},
        {"conversion_route": ConversionRoute.KERAS_MODEL, "io_mode": IoMode.STRINGS},
    ],
)
def test_settings_of_another_io_mode_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(SettingNotForIoMode, match="--io strings"):
        spec(**given)


def test_keras_hubs_graph_reads_special_tokens_in_its_own_way() -> None:
    with pytest.raises(SettingNotForIoMode, match="leave --special-tokens out"):
        spec(special_tokens=SpecialTokens.READ, io_mode=IoMode.STRINGS, tokenizer_graph=TokenizerGraph.TFTEXT)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"recipe": "full-int8", "io_mode": IoMode.BYTES}, RecipeNotRunnable),
        ({"recipe": "int4", "io_mode": IoMode.STRINGS}, RecipeNotRunnable),
        (
            {"recipe": "full-int8", "io_mode": IoMode.STRINGS, "tokenizer_graph": TokenizerGraph.TFTEXT},
            RecipeNotRunnable,
        ),
        ({"recipe": "int8-plain", "calibration": "text " * 100}, CalibrationUnusable),
        ({"recipe": "full-int8", "calibration": "short"}, CalibrationUnusable),
        ({"evaluation": "  \n" * 500}, EvaluationUnusable),
        ({"evaluation": "x" * 399}, EvaluationUnusable),
        ({"evaluation": "x" * 65537}, EvaluationUnusable),
        ({"recipe": "full-int8", "calibration": "x" * 65537}, CalibrationUnusable),
    ],
)
def test_calibrated_recipes_have_their_io_mode_and_their_text(given: dict[str, object], error: type[FarmError]) -> None:
    with pytest.raises(error, match=r"full-int8|tokens|characters"):
        spec(**given)
    assert spec(recipe="full-int8", calibration="text " * 100).recipe == "static_wi8_ai8"


def test_keras_hubs_graph_counts_the_prompt_among_the_output() -> None:
    given = {"io_mode": IoMode.STRINGS, "output_tokens": 100}
    assert spec(**given).longest_text == 256
    keras = spec(**given, tokenizer_graph=TokenizerGraph.TFTEXT)
    assert (keras.longest_text, keras.allowed_ops) == (100, OpSet.TFTEXT)


def test_a_context_too_short_to_use() -> None:
    with pytest.raises(ContextTooLong):
        spec(context=4)


def test_the_default_context_fits_the_model_and_a_stated_one_stays() -> None:
    assert spec().fitted(None).context == spec().fitted(8192).context == 2048
    assert spec().fitted(8192, chats=True).context == 4096
    assert spec().fitted(1024).context == spec().fitted(1024, chats=True).context == 1024
    fixed = (spec(static_shapes=True), spec(io_mode=IoMode.BYTES))
    assert {each.fitted(8192, chats=True).context for each in fixed} == {256}
    short = spec().fitted(64)
    assert (short.context, short.prefill_lengths, short.longest_text) == (64, (8, 32), 64)
    assert spec(context=256).fitted(64).context == 256
    with pytest.raises(ContextTooLong):
        spec().fitted(8)
    with pytest.raises(SequenceTooLong):
        spec(output_tokens=100).fitted(64)


def test_prefill_lengths_fit_the_context() -> None:
    assert spec(context=64, prefill=(8, 32, 128)).prefill_lengths == (8, 32)
    assert spec(context=16, prefill=(32,)).prefill_lengths == (16,)


@pytest.mark.parametrize("change", [{"prompt_bytes": 15}, {"prompt_bytes": 65537}, {"output_tokens": 0}])
def test_lengths_of_text_that_are_refused(change: dict[str, int]) -> None:
    with pytest.raises(SequenceTooLong, match="use a number"):
        spec(**change)


def test_an_answer_fits_into_the_context() -> None:
    assert spec(context=64).longest_answer == 64
    assert spec(context=64, output_tokens=20).longest_answer == 20
    with pytest.raises(SequenceTooLong, match="context of 64"):
        spec(context=64, output_tokens=65)


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError):
        spec(contxt=64)


def test_the_key_follows_the_digest_and_not_the_path() -> None:
    one = spec(model="/models/a", model_digest="d" * 64)
    same = spec(model="/elsewhere/a", model_digest="d" * 64)
    assert one.key("code") == same.key("code")
    assert one.key("code") != spec(model="/models/b", model_digest="d" * 64).key("code")
    assert one.key("code") != spec(model="/models/a", model_digest="e" * 64).key("code")


def test_the_key_changes_with_settings_and_code() -> None:
    assert spec().key("code") != spec(recipe="int8").key("code")
    assert spec().key("code") != spec().key("newer code")
    assert spec(recipe="int8").key("code") == spec(recipe="dynamic_wi8_afp32_rotated").key("code")


def test_json_and_back() -> None:
    one = spec(recipe="int8", context=64, app={"label": "Story", "abis": ["x86_64"]})
    assert JobSpec.model_validate_json(one.model_dump_json()) == one


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.lists(st.integers(), max_size=3),
    st.sampled_from(["int8", "tokens", "bytes", "preset", "folder", "arm64-v8a", 256, [8, 32], "a.b", "file:x"]),
)  # fmt: skip
APP = st.dictionaries(st.sampled_from([*AppSpec.model_fields, "other"]), VALUES, max_size=4)
SPEC = st.dictionaries(st.sampled_from([*JobSpec.model_fields, "other"]), VALUES | APP, max_size=6)


@pytest.mark.goal(id="S4")
def test_whatever_is_asked_for_is_a_job_or_a_sentence(trial) -> None:
    found: Counter[str] = Counter()

    @seed(trial.seed)
    @settings(max_examples=trial.size(300, 10_000), deadline=None, database=None)
    @given(asked=SPEC)
    def every(asked: dict[str, object]) -> None:
        try:
            made = JobSpec.model_validate({"model_kind": "preset", "model": "a"} | asked)
            assert JobSpec.model_validate_json(made.model_dump_json()) == made
            assert len(made.key("code")) == 64
            found["accepted"] += 1
        except FarmError as error:
            assert error.sentence.endswith((".", "?"))
            found["refused in a sentence"] += 1
        except ValidationError:
            found["of the wrong form"] += 1

    every()
    trial.measured(f"{found.total()} job specs: " + ", ".join(f"{count} {how}" for how, count in found.items()))


@pytest.mark.parametrize("app", [AppSpec(mode=Mode.CHAT), AppSpec(chat_template="{{ messages }}")])
def test_a_chat_is_no_setting_of_an_app_that_takes_texts(app: AppSpec) -> None:
    with pytest.raises(SettingNotForIoMode, match="leave --mode chat and --chat-template out"):
        spec(app=app, io_mode=IoMode.STRINGS)


@pytest.mark.parametrize("text", ["  ", "x" * ((1 << 18) + 1)])
def test_a_chat_template_is_neither_empty_nor_a_book(text: str) -> None:
    with pytest.raises(ChatTemplateUnusable, match="characters is refused"):
        AppSpec(chat_template=text)


def test_a_chat_template_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "own.jinja").write_bytes(b"\xef\xbb\xbf{{ messages }}")
    assert option_texts.read_chat_template("own.jinja", tmp_path) == "{{ messages }}"
    with pytest.raises(ChatTemplateUnusable, match="can't be read"):
        option_texts.read_chat_template("none.jinja", tmp_path)
    (tmp_path / "own.jinja").write_bytes(b"\xff")
    with pytest.raises(ChatTemplateUnusable, match="is not UTF-8"):
        option_texts.read_chat_template("own.jinja", tmp_path)


def test_a_calibration_text_is_utf_8_that_can_be_read(tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("words \u00e9 " * 100, encoding="utf-8")
    assert option_texts.read_calibration("own.txt", tmp_path).startswith("words \u00e9")
    with pytest.raises(CalibrationUnusable, match="can't be read"):
        option_texts.read_calibration("none.txt", tmp_path)
    own.write_text("words \u00e9 " * 100, encoding="utf-16")
    with pytest.raises(CalibrationUnusable, match=r"is not UTF-8 \(byte 0\); save it as UTF-8 text"):
        option_texts.read_calibration("own.txt", tmp_path)
    own.write_bytes(b"")
    with pytest.raises(CalibrationUnusable, match="of 0 characters is refused; give"):
        spec(recipe="int8", calibration=option_texts.read_calibration("own.txt", tmp_path))
