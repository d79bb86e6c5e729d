from __future__ import annotations

import json
from pathlib import Path

import pytest

from farm import errors
from farm.appspec import Abi, AppSpec
from farm.job_request import FIELDS
from farm.jobspec import JobSpec
from farm.oplist import OpSet
from farm.prompting import Mode
from farm.stages import StageName
from farm.states import JobState


def test_without_wait_it_says_the_id_and_what_to_do_next(farm, memory_farm) -> None:
    ran = farm("submit", "model", "--quant", "int8")
    assert ran.code == 0
    job = memory_farm.latest()
    assert job.state is JobState.QUEUED
    assert job.spec.recipe == "dynamic_wi8_afp32_rotated"
    assert f"Job {job.id} queued" in ran.stdout
    assert f"farm watch {job.id}" in ran.stderr
    assert memory_farm.workers_asked == 1


def test_it_says_what_the_longest_text_takes_before_anything_is_converted(farm) -> None:
    config = {
        "model_type": "llama", "hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9,
        "num_key_value_heads": 3, "max_position_embeddings": 8192,
    }  # fmt: skip
    Path("model", "config.json").write_text(json.dumps(config))
    ran = farm("submit", "model", "--context", "1000")
    assert "A text of 1,000 tokens, the longest, takes up to 46.1 MB of memory beside the weights." in ran.stderr
    assert "2,048 or 4,096 tokens, the longest, the second where the model chats" in farm("submit", "model").stderr
    assert farm("submit", "model", "--json").stderr == ""


def test_json_without_wait(farm, memory_farm) -> None:
    ran = farm("submit", "model", "--json")
    assert ran.code == 0
    assert ran.json["id"] == memory_farm.latest().id
    assert ran.json["state"] == "queued"
    assert ran.json["reused"] is False
    assert ran.stderr == ""


@pytest.mark.parametrize("words", [[], ["--quant", "int8"]])
def test_without_a_model_it_says_how_to_name_one(farm, memory_farm, words) -> None:
    ran = farm("submit", *words)
    assert ran.code == errors.UsageError.exit_code
    assert "farm submit ./my_model" in ran.error
    assert not memory_farm.views


def test_wait_shows_progress_on_stderr_and_the_result_on_stdout(farm, memory_farm) -> None:
    ran = farm("submit", "model", "--quant", "int8", "--wait")
    job_id = memory_farm.latest().id
    assert ran.code == 0
    lines = ran.stderr.splitlines()
    assert any("converting" in line and "%" in line for line in lines)
    assert len(lines) == len(set(lines)), "a line is written only when something changed"
    assert f"farm download {job_id}" in ran.stderr
    assert f"Job {job_id} succeeded in 21 s" in ran.stdout
    assert "app.apk" in ran.stdout
    assert "9.00 kB" in ran.stdout
    assert "32 prompt tokens in 12 ms, then 140 tokens/s" in ran.stdout
    assert "same next token as Keras in 197 of 200 decisive steps (at least 90 %)" in ran.stdout
    assert "reference.npz" not in ran.stdout, "only what can be downloaded is shown"


def test_wait_with_json_prints_one_object_with_the_artifacts(farm) -> None:
    ran = farm("submit", "model", "--wait", "--json")
    assert ran.code == 0
    assert ran.json["state"] == "succeeded"
    apk = ran.json["artifacts"][0]
    assert apk["name"] == "app.apk"
    assert apk["size"] == 9000
    assert len(apk["sha256"]) == 64


def test_a_failed_job_is_exit_code_11_with_its_reason(farm, memory_farm) -> None:
    memory_farm.fails_at = StageName.VERIFY
    ran = farm("submit", "model", "--wait")
    assert ran.code == 11
    assert "40 %" in ran.error
    assert f"farm logs {memory_farm.latest().id}" in ran.stderr


def test_a_failed_job_in_json_holds_its_error(farm, memory_farm) -> None:
    memory_farm.fails_at = StageName.CONVERT
    ran = farm("submit", "model", "--wait", "--json")
    assert ran.code == 11
    assert ran.json["state"] == "failed"
    assert ran.json["error"]["code"] == "quality-missed"
    assert ran.json["error"]["exit_code"] == errors.QualityMissed.exit_code
    assert "40 %" in ran.json["error"]["message"]


def test_a_cancelled_job_is_exit_code_12(farm, memory_farm) -> None:
    job = memory_farm.add(JobState.RUNNING)
    memory_farm.cancel(job.id)
    ran = farm("watch", job.id)
    assert ran.code == 12
    assert "cancelled" in ran.error


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_ctrl_c_while_waiting_is_exit_code_13_and_the_job_goes_on(farm, memory_farm, more: list[str]) -> None:
    memory_farm.interrupts = 3
    ran = farm("submit", "model", "--wait", *more)
    job = memory_farm.latest()
    assert ran.code == 13
    assert f"farm watch {job.id}" in ran.error
    assert job.state is JobState.RUNNING
    if more:
        assert ran.json["id"] == job.id
        assert ran.json["error"]["code"] == "wait-interrupted"


def test_an_equal_job_is_said_to_be_there(farm, memory_farm) -> None:
    assert farm("submit", "model", "--wait").code == 0
    ran = farm("submit", "model")
    assert ran.code == 0
    assert "already" in ran.stderr
    assert len(memory_farm.views) == 1
    assert farm("submit", "model", "--json").json["reused"] is True


def test_every_option_reaches_the_spec(farm, memory_farm) -> None:
    Path("key.p12").write_bytes(b"key")
    Path("password").write_text("secret")
    ran = farm(
        "submit", "model", "--quant", "fp16", "--context", "512", "--prefill", "32,8", "--static-shapes",
        "--io", "tokens",
        "--name", "Story", "--app-id", "org.example.story", "--app-version", "1.2", "--version-code", "7",
        "--abi", "x86_64", "--no-filter", "--mode", "instruct",
        "--prompt-template", "Q: {prompt}\\nA:", "--keystore", "key.p12", "--key-alias", "me",
        "--keystore-password-source", "file:password",
    )  # fmt: skip
    assert ran.code == 0, ran.stderr
    spec = memory_farm.latest().spec
    assert (spec.recipe, spec.context, spec.prefill) == ("weight_only_wf16_afp32", 512, (8, 32))
    assert spec.static_shapes
    app = spec.app
    assert (app.label, app.application_id, app.version_name, app.version_code) == (
        "Story", "org.example.story", "1.2", 7,
    )  # fmt: skip
    assert app.abis == (Abi.X86_64,)
    assert app.filter is False
    assert (app.mode, app.prompt_template) == (Mode.INSTRUCT, "Q: {prompt}\nA:")
    assert app.keystore == str(Path("key.p12").absolute())
    assert app.key_alias == "me"
    assert app.password_source == f"file:{Path('password').absolute()}", "a worker runs in another folder"
    assert "secret" not in ran.stdout + ran.stderr


def test_an_evaluation_text_is_read_as_utf8_and_shown(farm, memory_farm) -> None:
    Path("text.txt").write_bytes(b"\xef\xbb\xbf" + "Grüße aus dem Süden. ".encode() * 30)
    assert farm("submit", "model", "--eval-text", "text.txt").code == 0
    assert memory_farm.latest().spec.evaluation == "Grüße aus dem Süden. " * 30
    for content, said in ((b"", "is empty"), (b"short", "has 5 characters"), (b"caf\xe9 " * 100, "not UTF-8 (byte 3)")):
        Path("text.txt").write_bytes(content)
        ran = farm("submit", "model", "--eval-text", "text.txt")
        assert ran.code == errors.EvaluationUnusable.exit_code
        assert said in ran.error
    assert "can't be read" in farm("submit", "model", "--eval-text", "no.txt").error


def test_a_prompt_template_may_lie_in_a_file(farm, memory_farm) -> None:
    Path("template.txt").write_text("<user>\n{prompt}\n<model>\n")
    assert farm("submit", "model", "--prompt-template", "template.txt").code == 0
    job = memory_farm.latest()
    assert job.spec.app.prompt_template == "<user>\n{prompt}\n<model>\n"
    assert "instruct" in farm("status", job.id).stdout


def test_clone_takes_an_earlier_job_and_options_change_it(farm, memory_farm) -> None:
    farm("submit", "model", "--quant", "int8", "--name", "Story", "--abi", "x86_64")
    first = memory_farm.latest()
    assert farm("submit", "--clone", first.id[:4], "--quant", "fp16").code == 0
    second = memory_farm.latest()
    assert second.id != first.id
    assert second.spec == first.spec.model_copy(update={"recipe": "weight_only_wf16_afp32"})


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (["nowhere/model"], errors.ModelNotFound, "nowhere/model"),
        (["model", "--quant", "int88"], errors.UnknownRecipe, "'int8'"),
        (["model", "--io", "speech"], errors.UnknownIoMode, "tokens"),
        (["model", "--io", "strings", "--tokenizer-graph", "other"], errors.UnknownIoMode, "tftext"),
        (["model", "--quant", "full-int8", "--io", "bytes"], errors.RecipeNotRunnable, "tokens"),
        (["model", "--quant", "full-int8", "--calibration", "no.txt"], errors.CalibrationUnusable, "no.txt"),
        (["model", "--lora", "no.lora.h5"], errors.AdapterUnusable, "no.lora.h5"),
        (["model", "--lora", "model"], errors.AdapterUnusable, "holds 0 adapters"),
        (["model", "--conversion-route", "other"], errors.UnknownIoMode, "keras-model"),
        (["model", "--tokenizer-graph", "tftext"], errors.SettingNotForIoMode, "--io strings"),
        (["model", "--io", "bytes", "--special-tokens", "other"], errors.UnknownIoMode, "text, read"),
        (
            ["model", "--io", "strings", "--tokenizer-graph", "tftext", "--special-tokens", "read"],
            errors.SettingNotForIoMode,
            "portable",
        ),
        (["model", "--io", "strings", "--aar", "maven"], errors.UsageError, "file:PATH"),
        (["model", "--io", "strings", "--aar", "file:no.aar"], errors.AarUnusable, "no.aar"),
        (["model", "--aar", "bazel"], errors.SettingNotForIoMode, "--io strings"),
        (["model", "--abi", "mips"], errors.UnknownAbi, "arm64-v8a"),
        (["model", "--app-id", "story"], errors.BadApplicationId, "org.example.story"),
        (["model", "--version-code", "0"], errors.BadAppSetting, "version code"),
        (["model", "--mode", "talk"], errors.UnknownMode, "complete, instruct, chat"),
        (["model", "--prompt-template", "Answer:"], errors.BadPromptTemplate, "{prompt}"),
        (["model", "--prompt-template", "/"], errors.BadPromptTemplate, "text file"),
        (["model", "--mode", "complete", "--prompt-template", "Q {prompt}"], errors.BadPromptTemplate, "instruct"),
        (["model", "--name", ""], errors.BadAppSetting, "name"),
        (["model", "--prefill", "8,x"], errors.UsageError, "8,32"),
        (["model", "--prefill", "1"], errors.UsageError, "8,32"),
        (["model", "--prefill", "512", "--static-shapes"], errors.SequenceTooLong, "--context"),
        (["model", "--prefill", "8"], errors.SettingNotForIoMode, "--static-shapes"),
        (["model", "--static-shapes", "--io", "bytes"], errors.SettingNotForIoMode, "--static-shapes"),
        (["model", "--context", "4"], errors.ContextTooLong, "context of 4"),
        (["model", "--keystore", "no.p12"], errors.KeystoreUnusable, "no.p12"),
        (["model", "--key-alias", "me"], errors.UsageError, "--keystore"),
        (["model", "--keystore-password-source", "hunter2"], errors.KeystorePasswordMissing, "env:NAME"),
        (["model", "--keystore-password-source", "file:no"], errors.KeystorePasswordMissing, "no"),
        (["--clone", "zzz"], errors.JobNotFound, "zzz"),
        (["model", "other"], errors.UsageError, "other"),
    ],
)
def test_bad_input_is_one_sentence_with_its_exit_code(farm, memory_farm, words, error, said) -> None:
    ran = farm("submit", *words)
    assert ran.code == error.exit_code, ran.stderr
    assert said in ran.error
    assert "hunter2" not in ran.stderr
    assert not memory_farm.views
    same = farm("submit", *words, "--json")
    assert same.code == error.exit_code
    assert same.json["error"] == {"code": error.code(), "exit_code": error.exit_code, "message": ran.error}


def test_a_keystore_needs_a_password_source(farm) -> None:
    Path("key.p12").write_bytes(b"key")
    ran = farm("submit", "model", "--keystore", "key.p12")
    assert ran.code == errors.KeystorePasswordMissing.exit_code
    assert "--keystore-password-source" in ran.error


def test_a_password_by_environment_variable(farm, memory_farm) -> None:
    Path("key.p12").write_bytes(b"key")
    assert farm("submit", "model", "--keystore", "key.p12", "--keystore-password-source", "env:SECRET").code == 0
    app = memory_farm.latest().spec.app
    assert app.password_source == "env:SECRET"  # noqa: S105 # the name of a variable


def test_the_ops_of_the_command_line_and_of_the_profile(farm, memory_farm) -> None:
    assert farm("submit", "model").code == 0
    assert (memory_farm.latest().spec.ops, memory_farm.latest().spec.allow_ops) == (None, ())
    Path("farm.toml").write_text('[profiles.local]\nops = "flex"\nallow_ops = ["A"]\n')
    farm("submit", "model", "--allow-op", "B", "--allow-op", "C")
    assert (memory_farm.latest().spec.ops, memory_farm.latest().spec.allow_ops) == (OpSet.FLEX, ("A", "B", "C"))
    farm("submit", "--clone", memory_farm.latest().id, "--ops", "builtin")
    assert (memory_farm.latest().spec.ops, memory_farm.latest().spec.allow_ops) == (OpSet.BUILTIN, ("A", "B", "C"))
    Path("mine.txt").write_text("ADD\n")
    farm("submit", "model", "--ops", "mine.txt")
    assert (memory_farm.latest().spec.ops, memory_farm.latest().spec.allow_ops) == (OpSet.LISTED, ("ADD",))
    assert "ops" in farm("status", memory_farm.latest().id).stdout
    Path("farm.toml").write_text('[profiles.local]\nops = "mine.txt"\nallow_ops = ["A"]\n')
    Path("mine.txt").write_text("MUL\n")
    farm("submit", "model", "--allow-op", "B")
    assert (memory_farm.latest().spec.ops, memory_farm.latest().spec.allow_ops) == (OpSet.LISTED, ("A", "B", "MUL"))
    farm("submit", "model", "--ops", "flex")
    assert (memory_farm.latest().spec.ops, memory_farm.latest().spec.allow_ops) == (OpSet.FLEX, ("A",))
    for words in (["--ops", "flx"], ["--allow-op", "a b"]):
        ran = farm("submit", "model", *words)
        assert ran.code == errors.UsageError.exit_code
        assert "Traceback" not in ran.stderr


def test_the_nearest_place_goes_first(farm, memory_farm) -> None:
    """Command line, then farm.toml, then the model's metadata, then the default; --clone takes the job's alone."""
    said = {"recipe": "fp16", "label": "Model", "context": 64, "mode": "instruct", "licence": "MIT"}
    Path("model/metadata.json").write_text(json.dumps({"farm": said}))
    Path("farm.toml").write_text('[submit]\nlabel = "File"\nversion_code = 7\n[profiles.local]\nversion_name = "2"\n')
    assert farm("submit", "model", "--app-version", "3").code == 0
    spec = memory_farm.latest().spec
    assert (spec.recipe, spec.context) == ("weight_only_wf16_afp32", 64)
    assert (spec.app.label, spec.app.version_code, spec.app.version_name) == ("File", 7, "3")
    assert spec.app.mode is None, "the conversion takes it from the metadata"
    Path("farm.toml").write_text('[submit]\nlabel = "Other"\n')
    farm("submit", "--clone", memory_farm.latest().id, "--version-code", "8")
    assert (memory_farm.latest().spec.app.label, memory_farm.latest().spec.app.version_code) == ("File", 8)


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ('[submit]\nrecipe = "int9"', errors.UnknownRecipe, "farm.toml: There is no recipe 'int9'"),
        ('[profiles.local]\nops = "all"', errors.UsageError, "farm.toml: There is no set of ops"),
        ('[profiles.local]\nallow_ops = ["a b"]', errors.UsageError, "no name of an op"),
        ('[submit]\ncalibration = "no.txt"\nrecipe = "full-int8"', errors.CalibrationUnusable, "no.txt"),
        ("[submit]\ncontxt = 64", errors.SettingsInvalid, "did you mean context"),
    ],
)
def test_a_wrong_default_names_its_file(farm, memory_farm, text, error, said) -> None:
    Path("farm.toml").write_text(text)
    ran = farm("submit", "model")
    assert ran.code == error.exit_code
    assert said in ran.error
    assert not memory_farm.views


def test_a_file_of_ops_in_farm_toml_is_read_when_a_job_needs_it(farm, memory_farm) -> None:
    Path("farm.toml").write_text('[profiles.local]\nops = "gone.txt"\n')
    assert farm("list").code == 0
    assert farm("submit", "model").code == errors.FileUnreadable.exit_code
    assert farm("submit", "model", "--ops", "flex").code == 0


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"keystore": "/k.p12"}, "sets keystore"),
        ({"allow_ops": ["ReadFile"]}, "sets allow_ops"),
        ({"recip": "int8"}, "did you mean recipe"),
        ({"context": "x"}, "whole number"),
        ({"context": 4}, "context of 4"),
        ({"recipe": "int9"}, "There is no recipe"),
        ("int8", "no table"),
    ],
)
def test_a_models_metadata_may_ask_for_nothing_else(farm, memory_farm, said, named) -> None:
    Path("model/metadata.json").write_text(json.dumps({"farm": said}))
    ran = farm("submit", "model")
    assert ran.code not in (0, 1)
    assert named in ran.error
    assert not memory_farm.views


def test_a_models_metadata_name_no_file(farm, memory_farm) -> None:
    """A stranger's model must not have a file of this machine read and sent to a farm."""
    Path("secret.txt").write_text("secret " * 100)
    said = {"recipe": "full-int8", "calibration": str(Path("secret.txt").absolute())}
    Path("model/metadata.json").write_text(json.dumps({"farm": said}))
    assert farm("submit", "model").code == errors.CalibrationUnusable.exit_code
    said["calibration"] = "a text of the model's own, " * 20
    Path("model/metadata.json").write_text(json.dumps({"farm": said}))
    assert farm("submit", "model").code == 0
    assert memory_farm.latest().spec.calibration == said["calibration"]


def test_every_option_of_a_job_is_an_option_of_submit(farm) -> None:
    """And is in farm.toml and in a model's metadata, since all of them are made from the fields of the spec."""
    shown = farm("submit", "--help", env={"COLUMNS": "200"}).stdout
    for field in FIELDS.values():
        assert all(flag in shown for flag in field.flags[0].split("/")), field.name
    names = {*JobSpec.model_fields, *AppSpec.model_fields}
    assert names - set(FIELDS) == {"model_kind", "model", "model_digest", "lora_digest", "app"}


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (["gpt2_base"], errors.ModelNotFound, "did you mean gpt2_base_en"),
        (["org/name"], errors.ModelNotFound, "did you mean hf://org/name"),
        (["model", "--output-tokens", "5"], errors.SettingNotForIoMode, "output_tokens is of the I/O modes"),
        (["model", "--prompt-bytes", "64"], errors.SettingNotForIoMode, "--io bytes"),
    ],
)
def test_what_can_be_known_at_submit_is_refused_at_submit(farm, memory_farm, words, error, said) -> None:
    ran = farm("submit", *words)
    assert ran.code == error.exit_code
    assert said in ran.error
    assert not memory_farm.views
    assert farm("submit", "model", "--io", "bytes", "--output-tokens", "5", "--prompt-bytes", "64").code == 0
