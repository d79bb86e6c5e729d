from __future__ import annotations

import base64
import io
import json
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cli.commands.run import read_prompt
from cli.package_parts import kind_of, package_parts
from farm import errors, locations
from farm.artifacts import ArtifactName
from farm.states import JobState
from pipeline.flex.runner import FlexModel
from tests.fixtures import dynamic_graphs, litert_lm_files
from tests.fixtures.bound_models import write_model_folder

MODEL = locations.ROOT / "tests" / "fixtures" / "gpt2_like.tflite"


def make_package(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as package:
        package.write(MODEL, "assets/autocomplete.tflite")
        package.writestr("assets/tokenizer.json", "{}" * 100, zipfile.ZIP_DEFLATED)
        package.writestr("lib/x86_64/libone.so", b"1" * 10)
        package.writestr("lib/x86_64/libtwo.so", b"2" * 20)
        package.writestr("classes.dex", b"dex")
        package.writestr("AndroidManifest.xml", b"xml")


def test_inspect_a_model(farm) -> None:
    ran = farm("inspect", str(MODEL))
    assert ran.code == 0
    for expected in ("Model, 68.8 kB", "kv_cache_k_*: float32[1,4,48,8] x 2", "FULLY_CONNECTED", "prefill_16"):
        assert expected in ran.stdout, expected
    assert "--tensors lists them" in ran.stderr
    assert ran.stdout.index("prefill_4") < ran.stdout.index("prefill_16")
    assert "w__positions" in farm("inspect", str(MODEL), "--tensors").stdout


@pytest.mark.parametrize("packed", [False, True])
def test_inspect_says_what_the_longest_text_takes(farm, packed: bool) -> None:
    path = dynamic_graphs.bind_graph("llama", Path("model.tflite"))
    info = write_model_folder(Path("other")).model_copy(update={"context": 600})
    info.write(Path("model-info.json"))
    if packed:
        with zipfile.ZipFile("app.apk", "w") as package:
            package.write(path, "assets/autocomplete.tflite")
            package.write("model-info.json", "assets/model-info.json")
        path = Path("app.apk")
    found = farm("inspect", str(path), "--json").json["memory"]
    assert found["context"] == 600
    assert "Memory for a text of 600 tokens, the longest: about " in farm("inspect", str(path)).stdout
    if not packed:
        Path("model-info.json").write_text("{}")
        assert farm("inspect", str(path), "--json").json["memory"] is None


def test_inspect_as_json(farm) -> None:
    found = farm("inspect", str(MODEL), "--json").json
    assert found["file_bytes"] == MODEL.stat().st_size
    assert {signature["name"] for signature in found["signatures"]} == {"decode", "prefill_4", "prefill_16", "score_6"}
    assert found["custom_operators"] == []
    assert found["package"] == []


def test_inspect_a_package(farm) -> None:
    make_package(Path("app.apk"))
    ran = farm("inspect", "app.apk")
    assert ran.code == 0
    assert "native libraries for x86_64" in ran.stdout
    assert "Model, 68.8 kB" in ran.stdout


def test_inspect_a_job_takes_its_model(farm, memory_farm) -> None:
    memory_farm.contents[ArtifactName.MODEL] = MODEL.read_bytes()
    job = memory_farm.add(JobState.SUCCEEDED)
    ran = farm("inspect", job.id[:5], "--json")
    assert ran.code == 0
    assert ran.json["file_bytes"] == MODEL.stat().st_size


@pytest.mark.parametrize("command", [["inspect"], ["run"]])
def test_what_is_no_model_is_refused(farm, memory_farm, command: list[str]) -> None:
    prompt = ["The list"] if command == ["run"] else []
    Path("text.tflite").write_text("not a model")
    Path("text.litertlm").write_text("not a model")
    Path("cut.litertlm").write_bytes(b"LITERTLM" + bytes(40))
    Path("empty.apk").touch()
    queued = memory_farm.add(JobState.QUEUED)
    for target, code in (
        ("text.tflite", errors.FileUnreadable),
        ("text.litertlm", errors.FileUnreadable),
        ("cut.litertlm", errors.FileUnreadable),
        ("empty.apk", errors.FileUnreadable),
        ("model", errors.FileUnreadable),
        ("no/such.file", errors.FileUnreadable),
        ("other.tflite", errors.FileUnreadable),
        ("zzz", errors.JobNotFound),
        (queued.id, errors.JobNotFinished),
    ):
        ran = farm(*command, target, *prompt)
        assert ran.code == code.exit_code, (target, ran.stderr)
        assert ran.error
        assert ran.stdout == ""


def test_parts_of_a_package(tmp_path: Path) -> None:
    make_package(tmp_path / "app.apk")
    parts = {part.kind: part for part in package_parts(tmp_path / "app.apk")}
    libraries = parts["native libraries for x86_64"]
    assert (libraries.entries, libraries.packed, libraries.unpacked, libraries.stored) == (2, 30, 30, True)
    assert not parts["other assets"].stored
    assert parts["model"].packed == MODEL.stat().st_size
    assert package_parts(MODEL) == ()


def test_a_damaged_package(tmp_path: Path) -> None:
    make_package(tmp_path / "app.apk")
    content = bytearray((tmp_path / "app.apk").read_bytes())
    start = content.rindex(b"PK\x01\x02")
    content[start : start + 4] = b"XXXX"
    (tmp_path / "app.apk").write_bytes(content)
    with pytest.raises(errors.FileUnreadable, match="damaged"):
        package_parts(tmp_path / "app.apk")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("assets/autocomplete.tflite", "model"),
        ("classes2.dex", "code"),
        ("META-INF/MANIFEST.MF", "signature and metadata"),
        ("resources.arsc", "manifest and resources"),
        ("assets/unicode-classes.bin", "other assets"),
    ],
)
def test_kinds_of_entries(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def strings_model(folder: Path, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], **changes: Any) -> None:
    """A model of the I/O mode `strings` whose program gives that answer."""
    write_model_folder(folder)
    info = json.loads((folder / "model-info.json").read_text())
    changes = {"io_mode": "strings", "tokenizer_graph": "portable", "prompt_bytes": 64} | changes
    (folder / "model-info.json").write_text(json.dumps(info | changes))
    opened = {"signatures": {}, "runtime": "2.19.1", "seconds": 1}
    (folder / "answers").write_text(json.dumps(opened) + "\n" + json.dumps(answer) + "\n")
    program = folder.absolute() / "python"
    program.write_text(f"#!/bin/sh\ncat > {program}.asked\ncat {folder.absolute()}/answers\n")
    program.chmod(0o755)
    monkeypatch.setattr("cli.text_run.FlexModel", partial(FlexModel, python=program))


@contextmanager
def thrown_away() -> Iterator[None]:
    """What becomes of the process's own stderr while native libraries write there."""
    with redirect_stderr(io.StringIO()):
        yield


@pytest.mark.programs
def test_run_a_model_that_takes_strings(farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.commands.run.stdout_suppressed", thrown_away)
    text = base64.b64encode(b"the rain in spain").decode()
    answer = {"text": text, "prompt_tokens": 3, "tokens": [1, 2, 3, 4, 5], "seconds": 0.5}
    strings_model(Path("job"), monkeypatch, answer)
    ran = farm("run", "job", "the rain", "--max-tokens", "7")
    assert ran.code == 0
    assert ran.stdout == "the rain in spain\n"
    assert "3 prompt tokens" in ran.stderr
    assert "4 tokens/s" in ran.stderr
    asked = json.loads(Path("job/python.asked").read_text().splitlines()[1])
    assert (asked["do"], asked["max_new_tokens"]) == ("complete", 7)
    found = farm("run", "job", "the rain", "--json").json
    assert (found["completion"], found["new_tokens"], found["tokens_per_second"]) == (" in spain", 2, 4)
    assert (found["prompt_token_ids"], found["new_token_ids"]) == ([1, 2, 3], [4, 5])


@pytest.mark.programs
def test_run_a_model_with_keras_hubs_graph(farm, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"text": base64.b64encode(b"the rain in spain").decode(), "seconds": 0.5}
    strings_model(Path("job"), monkeypatch, answer, tokenizer_graph="tftext", prompt_bytes=None)
    ran = farm("run", "job", "the rain")
    assert (ran.code, ran.stdout) == (0, "the rain in spain\n")
    asked = [json.loads(line) for line in Path("job/python.asked").read_text().splitlines()]
    assert (asked[0]["text_operators"], asked[1]["do"]) == (True, "run")
    assert farm("run", "job", "the rain", "--json").json["new_tokens"] is None
    assert farm("run", "job", "the rain", "--json").json["new_token_ids"] is None
    assert farm("run", "job", "the rain", "--max-tokens", "7").code == errors.UsageError.exit_code


def test_a_prompt_from_stdin(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("Schöne Grüße\n".encode())))
    assert read_prompt("-") == "Schöne Grüße"
    assert read_prompt("as it is\n") == "as it is\n"


@pytest.mark.parametrize("given", ["caf\udce9 \udcff", "-"])
def test_a_prompt_that_is_not_utf8_is_one_sentence(monkeypatch, given: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9")))
    with pytest.raises(errors.UsageError, match="not UTF-8 text"):
        read_prompt(given)


def test_a_file_for_litert_lm_runs_as_its_folder_does(farm) -> None:
    write_model_folder(Path("job"))
    litert_lm_files.pack(Path("job"), Path("model.litertlm"))
    words = ["the rain", "--max-tokens", "5", "--json"]
    found, own = farm("run", "model.litertlm", *words), farm("run", "job", *words)
    assert found.code == 0, found.stderr
    assert found.json["new_token_ids"] == own.json["new_token_ids"]
    assert len(own.json["new_token_ids"]) == 5


def test_a_model_is_no_package(farm) -> None:
    ran = farm("check", str(MODEL))
    assert ran.code == errors.UsageError.exit_code
    assert f"farm inspect {MODEL}" in ran.error


@pytest.mark.parametrize("module", ["base", "model"])
def test_inspect_a_bundle(farm, module: str) -> None:
    with zipfile.ZipFile("app.aab", "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.write(MODEL, f"{module}/assets/autocomplete.tflite")
        bundle.writestr("base/lib/x86_64/libone.so", b"1" * 10)
        bundle.writestr("base/dex/classes.dex", b"dex")
    ran = farm("inspect", "app.aab")
    assert ran.code == 0, ran.stderr
    assert "native libraries for x86_64" in ran.stdout
    assert "Model, 68.8 kB" in ran.stdout
    with zipfile.ZipFile("other.aab", "w") as bundle:
        bundle.writestr("base/dex/classes.dex", b"dex")
    assert "holds no assets/autocomplete.tflite" in farm("inspect", "other.aab").error
