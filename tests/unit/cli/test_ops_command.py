from __future__ import annotations

from pathlib import Path

from cli.ops_page import places
from farm import errors
from farm.artifacts import ArtifactName
from farm.errors import UsageError
from farm.states import JobState
from pipeline.ops import known_aars, ledger
from tests.fixtures.native_code import Code, library, write_aar
from tests.fixtures.op_models import Op, flex, write_model


def test_a_models_ops_as_a_table(farm) -> None:
    write_model(
        Path("x.tflite"), [Op("FULLY_CONNECTED", 12), flex("StringLength"), Op("FlexIdentity", node="ReadFile")]
    )
    ran = farm("ops", "x.tflite")
    assert ran.code == 0
    assert "2.17" in ran.stdout
    assert "FlexIdentity=ReadFile" in ran.stdout
    assert "3 operators of 3 kinds" in ran.stdout
    assert "FlexIdentity is refused in jobs: it runs ReadFile, which its name does not say." in ran.stdout


def test_a_models_ops_as_json(farm) -> None:
    path = write_model(Path("x.tflite"), [flex("StringLength")])
    assert farm("ops", "x.tflite", "--json").json == ledger.make(path, known_aars.all_known()).model_dump(mode="json")


def test_a_job_hands_out_the_ledger_that_it_made(farm, memory_farm) -> None:
    made = ledger.make(write_model(Path("x.tflite"), [flex("ReduceJoin")]), ())
    memory_farm.contents[ArtifactName.OPS] = made.model_dump_json().encode()
    job = memory_farm.add(JobState.SUCCEEDED)
    assert farm("ops", job.id[:5], "--json").json["ops"][0]["name"] == "FlexReduceJoin"


def test_a_job_without_a_ledger_is_read_by_its_model(farm, memory_farm) -> None:
    memory_farm.contents[ArtifactName.MODEL] = write_model(Path("x.tflite"), [flex("Where")]).read_bytes()
    del memory_farm.contents[ArtifactName.OPS]
    job = memory_farm.add(JobState.SUCCEEDED)
    assert farm("ops", job.id, "--json").json["ops"][0]["runs"] == "Where"


def test_what_an_aar_registers(farm) -> None:
    code = Code(builtins=[(number, 1, 2) for number in range(30)])
    write_aar(Path("x.aar"), {"jni/arm64-v8a/libtensorflowlite_jni.so": library(code)})
    ran = farm("ops", "--aar", "x.aar")
    assert ran.code == 0
    for word in ("arm64-v8a", "16 KB", "2.14.0", "30", "no Flex"):
        assert word in ran.stdout
    assert farm("ops", "--aar", "x.aar", "--json").json["abis"]["arm64-v8a"]["builtins"]["ADD"] == [1, 2]
    write_model(Path("x.tflite"), [Op("ADD", 2), Op("ADD", 3)])
    answers = [
        entry["aars"]["x.aar"]["arm64-v8a"] for entry in farm("ops", "x.tflite", "--aar", "x.aar", "--json").json["ops"]
    ]
    assert answers == ["yes", "no"]


def test_what_can_go_wrong_is_one_sentence(farm, tmp_path) -> None:
    assert farm("ops").code == errors.UsageError.exit_code
    (tmp_path / "x.aar").write_bytes(b"no zip")
    ran = farm("ops", "--aar", str(tmp_path / "x.aar"))
    assert ran.code == errors.AarUnusable.exit_code
    assert "Traceback" not in ran.stderr
    assert farm("ops", str(tmp_path / "x.aar")).code == errors.FileUnreadable.exit_code


def test_layers_that_follow_each_other_are_one_place(tmp_path) -> None:
    made = ledger.make(
        write_model(tmp_path / "x.tflite", [Op("ADD", reads=f"decode/layer_{layer}_up_bias") for layer in range(12)]),
        (),
    )
    assert places(made.ops[0]) == "layers 0-11 up"


def test_a_model_with_built_in_ops_needs_no_aar(farm) -> None:
    model = Path(__file__).parents[2] / "fixtures" / "gpt2_like.tflite"
    ran = farm("aar", str(model))
    assert ran.code == UsageError.exit_code
    assert ran.error.endswith("needs no Flex AAR: all its ops are built into TFLite.")
