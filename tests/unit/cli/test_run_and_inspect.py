from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from cli.package_parts import kind_of, package_parts
from farm import errors, locations
from farm.artifacts import ArtifactName
from farm.states import JobState

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


def test_inspect_as_json(farm) -> None:
    found = farm("inspect", str(MODEL), "--json").json
    assert found["file_bytes"] == MODEL.stat().st_size
    assert {signature["name"] for signature in found["signatures"]} == {"decode", "prefill_4", "prefill_16", "verify_6"}
    assert found["foreign_operators"] == []
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
    Path("empty.apk").touch()
    queued = memory_farm.add(JobState.QUEUED)
    for target, code in (
        ("text.tflite", errors.FileUnreadable),
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
