from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from farm.errors import FileUnreadable
from pipeline.inference import inspection
from pipeline.ops import nodes, reading
from pipeline.ops.reading import OpKind, OpUse, read_operators
from tests.fixtures.op_models import Op, flex, node_options, write_model
from tests.fixtures.weightless_graphs import GPT2_LIKE


def read(tmp_path: Path, *ops: Op) -> list[OpUse]:
    return list(read_operators(write_model(tmp_path / "x.tflite", ops)))


def test_every_kind_is_told(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        Op("FULLY_CONNECTED", 9),
        flex("StringLength"),
        flex("RegexSplitWithOffsets"),
        Op("TFText>WhitespaceTokenizeWithOffsetsV2"),
        Op("MyOwnOp"),
    )
    assert [(use.kind, use.name, use.version, use.runs) for use in found] == [
        (OpKind.BUILTIN, "FULLY_CONNECTED", 9, None),
        (OpKind.FLEX, "FlexStringLength", 1, "StringLength"),
        (OpKind.TFTEXT, "FlexRegexSplitWithOffsets", 1, "RegexSplitWithOffsets"),
        (OpKind.TFTEXT, "TFText>WhitespaceTokenizeWithOffsetsV2", 1, None),
        (OpKind.CUSTOM, "MyOwnOp", 1, None),
    ]
    assert {use.graph for use in found} == {"serving_default"}
    assert {use.fault for use in found} == {None}


def test_what_a_flex_operator_runs_is_read_from_its_node(tmp_path: Path) -> None:
    [use] = read(tmp_path, Op("FlexIdentity", node="ReadFile"))
    assert (use.name, use.runs) == ("FlexIdentity", "ReadFile")
    assert use.fault == "it runs ReadFile, which its name does not say"


def test_the_last_op_field_of_a_node_counts_as_for_protobuf() -> None:
    twice = b"\x12\x08Identity" + b"\x18\x01" + b"\x12\x08ReadFile"
    assert nodes.node_op(node_options("Identity", twice)) == "ReadFile"


@pytest.mark.parametrize(
    "options",
    [b"\x01\x02", b"xyz" * 9, node_options("Identity", b""), node_options("Identity", b"\x12\x7fshort"),
     node_options("Identity", b"\x0b"), node_options("Identity")[:-3]],
)  # fmt: skip
def test_a_node_that_cannot_be_read_is_a_fault(tmp_path: Path, options: bytes) -> None:
    [use] = read(tmp_path, Op("FlexIdentity", options=options))
    assert use.fault is not None
    assert use.runs == "Identity"


def test_damaged_nodes_never_end_in_another_error() -> None:
    good = node_options("StringLength")
    rng = np.random.default_rng(1)
    for _ in range(300):
        content = bytearray(good[: int(rng.integers(2, len(good) + 1))])
        for place in rng.integers(0, len(content), 3):
            content[place] = int(rng.integers(0, 256))
        with suppress(ValueError):
            nodes.node_op(bytes(content))


def test_the_farms_own_graph_tells_its_layers() -> None:
    uses = list(read_operators(GPT2_LIKE.path))
    counted = Counter((use.name, use.version, use.graph) for use in uses)
    names = {one.subgraph: one.name for one in inspection.inspect(GPT2_LIKE.path).signatures}
    assert counted == {
        (op.name, op.version, names[op.subgraph]): op.count for op in inspection.inspect(GPT2_LIKE.path).operators
    }


def test_layers_follow_the_weights_that_are_read(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        Op("GATHER", reads="decode/token_embedding"),
        Op("FULLY_CONNECTED", reads="decode/layer_11_up_weight*layer_11_feed_forward_norm_scale"),
        Op("ADD", makes="a/transformer_layer_3/self_attention/add;b"),
        Op("ADD", makes="StatefulPartitionedCall:0"),
    )
    assert [use.part for use in found] == [
        "token embedding",
        "layer 11 up",
        "a/transformer_layer_3/self_attention",
        "",
    ]


def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_model(tmp_path / "x.tflite", [flex("StringLength")] * 5)
    monkeypatch.setattr(reading, "MOST_OPERATORS", 4)
    with pytest.raises(FileUnreadable, match="claims more than 4 operators"):
        list(read_operators(path))


def test_long_names_are_cut(tmp_path: Path) -> None:
    [use] = read(tmp_path, Op("X" * 100_000))
    assert use.name == "X" * reading.LONGEST_TEXT


def test_damage_never_ends_in_another_error(tmp_path: Path) -> None:
    good = write_model(tmp_path / "x.tflite", [flex("StringLength"), Op("ADD")]).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(200):
        content = bytearray(good[: int(rng.integers(9, len(good) + 1))])
        for place in rng.integers(8, len(content), 5):
            content[place] = int(rng.integers(0, 256))
        (tmp_path / "x.tflite").write_bytes(content)
        with suppress(FileUnreadable):
            list(read_operators(tmp_path / "x.tflite"))
