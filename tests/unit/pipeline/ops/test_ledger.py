from __future__ import annotations

from pathlib import Path

import pytest

from farm.errors import FileUnreadable
from pipeline.ops import known_aars, ledger, versions
from pipeline.ops.aar import Answer
from pipeline.ops.reading import OpKind
from tests.fixtures.op_models import Op, flex, write_model


def test_ops_are_counted_by_version_and_place(tmp_path: Path) -> None:
    path = write_model(
        tmp_path / "x.tflite",
        [
            Op("FULLY_CONNECTED", 12, reads="decode/layer_0_up_weight"),
            Op("FULLY_CONNECTED", 12, reads="decode/layer_1_up_weight"),
            Op("FULLY_CONNECTED", 9),
            flex("StringLength", makes="tokenizer/StringLength"),
            flex("RegexSplitWithOffsets"),
            flex("ReadFile"),
        ],
    )
    made = ledger.make(path, known_aars.all_known())
    assert [(entry.name, entry.version, entry.count, entry.since) for entry in made.ops] == [
        ("FULLY_CONNECTED", 9, 1, "2.3"),
        ("FULLY_CONNECTED", 12, 2, "2.17"),
        ("FlexReadFile", 1, 1, None),
        ("FlexStringLength", 1, 1, None),
        ("FlexRegexSplitWithOffsets", 1, 1, None),
    ]
    assert made.ops[1].parts == {"layer 0 up": 1, "layer 1 up": 1}
    assert made.ops[1].graphs == {"serving_default": 2}
    assert made.ops[3].parts == {"tokenizer": 1}
    assert (made.operators, made.runtime) == (6, "2.17")
    assert made.summary == "6 operators of 5 kinds: 2 built-in, 2 Flex, 1 TF Text; TFLite 2.17 or later."
    assert [entry.danger for entry in made.ops] == [None, None, "it reads or writes files", None, None]
    app, stock = (known_aars.load(name).name for name in (known_aars.APP, known_aars.STOCK))

    def arm(entry: int, name: str) -> Answer:
        return made.ops[entry].aars[name]["arm64-v8a"]

    assert [arm(entry, app) for entry in range(5)] == ["yes", "yes", "no", "no", "no"]
    assert [arm(entry, stock) for entry in range(5)] == ["yes", "no", "yes", "yes", "no"]
    assert made.ops[0].aars[stock]["x86"] is Answer.UNKNOWN
    assert [entry.name for entry in made.of_kind(OpKind.TFTEXT)] == ["FlexRegexSplitWithOffsets"]


def test_it_reads_back_as_it_was_written(tmp_path: Path) -> None:
    made = ledger.make(write_model(tmp_path / "x.tflite", [flex("ReduceJoin")]), known_aars.all_known())
    (tmp_path / "ops.json").write_text(made.model_dump_json())
    assert ledger.read(tmp_path / "ops.json") == made
    (tmp_path / "ops.json").write_text("{}")
    with pytest.raises(FileUnreadable, match=r"ops\.json is no list of ops"):
        ledger.read(tmp_path / "ops.json")


def test_parts_of_a_made_up_model_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MOST_PARTS", 3)
    path = write_model(tmp_path / "x.tflite", [flex("Identity", makes=f"scope_{number}/x") for number in range(9)])
    [entry] = ledger.make(path, ()).ops
    assert (len(entry.parts), entry.count) == (3, 9)


def test_a_version_in_no_table_leaves_the_runtime_open(tmp_path: Path) -> None:
    made = ledger.make(write_model(tmp_path / "x.tflite", [Op("ADD", 1), Op("ADD", 99)]), ())
    assert made.runtime is None
    assert "or later" not in made.summary


@pytest.mark.parametrize(
    ("name", "version", "since"),
    [
        ("FULLY_CONNECTED", 9, "2.3"),
        ("FULLY_CONNECTED", 12, "2.17"),
        ("EMBEDDING_LOOKUP", 3, "1.14"),
        ("BROADCAST_TO", 1, None),
        ("ADD", 0, None),
        ("ADD", 77, None),
        ("STABLEHLO_SORT", 1, None),
    ],
)
def test_first_runtimes(name: str, version: int, since: str | None) -> None:
    assert versions.first_runtime(name, version) == since


def test_versions_compare_as_numbers() -> None:
    assert versions.as_numbers("2.14.0") == versions.as_numbers("2.14") == (2, 14)
    assert versions.as_numbers("2.9") < versions.as_numbers("2.10.1")
