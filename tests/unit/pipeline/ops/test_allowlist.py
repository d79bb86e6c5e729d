"""What a job allows, what it does not, and what no job may bring in."""

from __future__ import annotations

from pathlib import Path

import pytest

from farm.errors import OpForbidden, OpNotAllowed
from farm.oplist import OpSet
from pipeline.ops import allowlist, dangers
from pipeline.ops.allowlist import Allowlist
from tests.fixtures.op_models import Op, flex, write_model

FORBIDDEN = {
    "files": ["ReadFile", "WriteFile", "MatchingFiles", "SaveV2", "RestoreV2", "InitializeTableFromTextFileV2",
              "WholeFileReaderV2", "LMDBReader", "ImmutableConst", "MergeV2Checkpoints"],
    "network": ["RpcClient", "RpcCall", "RemoteCall", "Send", "Recv", "CollectiveReduceV2", "DataServiceDatasetV4"],
    "python": ["PyFunc", "PyFuncStateless", "EagerPyFunc"],
    "functions": ["StatefulPartitionedCall", "PartitionedCall", "BatchFunction", "SymbolicGradient"],
    "queues": ["FIFOQueueV2", "RandomShuffleQueueV2", "QueueEnqueueV2", "Barrier", "Stage", "MapStage", "MutexLock"],
    "output": ["Print", "PrintV2", "WriteScalarSummary", "CreateSummaryFileWriter", "DebugIdentityV2", "AudioSummary"],
    "process": ["Abort", "GetSessionHandleV2", "SleepOp"],
    "pipelines": ["TextLineDataset", "TFRecordDataset", "IteratorV2", "IteratorGetNext", "GlobalShuffleDataset"],
    "accelerators": ["TPUExecute", "XlaLaunch", "CudnnRNNV3"],
}  # fmt: skip
MODELS = [(category, op) for category, ops in FORBIDDEN.items() for op in ops]


def test_there_are_enough_of_them() -> None:
    assert len(MODELS) >= 30
    assert set(FORBIDDEN) == {category.name for category in dangers.categories()}


@pytest.mark.parametrize(("category", "op"), MODELS)
def test_a_forbidden_op_is_refused_even_when_listed(tmp_path: Path, category: str, op: str) -> None:
    path = write_model(tmp_path / "x.tflite", [Op("ADD"), flex(op, makes="tokenizer/split/x")])
    listed = frozenset({op, f"Flex{op}"})
    for allowing in (Allowlist(OpSet.LISTED, listed | {"ADD"}), Allowlist(OpSet.TFTEXT, listed)):
        with pytest.raises(OpForbidden, match=rf"Flex{op} \(tokenizer/split, serving_default\).*FARM_PERMITTED_OPS"):
            allowlist.require(path, allowing)
        with pytest.raises(OpForbidden):
            allowlist.require(path, allowing, only_custom=True)
    found = dangers.category(op)
    assert found is not None
    assert found.name == category


@pytest.mark.goal(id="S3")
def test_every_forbidden_op_is_named(tmp_path: Path, trial) -> None:
    unnamed = []
    for _, op in MODELS:
        path = write_model(tmp_path / "x.tflite", [Op("ADD"), flex(op)])
        try:
            allowlist.require(path, Allowlist(OpSet.LISTED, frozenset({op, f"Flex{op}", "ADD"})))
            unnamed.append(op)
        except OpForbidden as error:
            unnamed += [op] if f"Flex{op}" not in error.sentence else []
    trial.measured(f"{len(MODELS)} models with forbidden ops: {len(unnamed)} accepted or not named")
    assert unnamed == []


def test_the_operators_permission_is_for_that_op_alone(tmp_path: Path) -> None:
    path = write_model(tmp_path / "x.tflite", [flex("ReadFile")])
    permitted = Allowlist(OpSet.BUILTIN, frozenset({"ReadFile"}), frozenset({"ReadFile"}))
    allowlist.require(path, permitted)
    with pytest.raises(OpNotAllowed):  # the job must still ask for it
        allowlist.require(path, Allowlist(OpSet.BUILTIN, permitted=frozenset({"ReadFile"})))
    with pytest.raises(OpForbidden):
        allowlist.require(write_model(path, [flex("WriteFile")]), permitted)


@pytest.mark.parametrize("hidden", [Op("FlexIdentity", node="ReadFile"), Op("FlexIdentity", options=b"\x00\x01\x02")])
def test_no_permission_lets_an_op_in_that_hides_what_it_is(tmp_path: Path, hidden: Op) -> None:
    path = write_model(tmp_path / "x.tflite", [hidden])
    names = frozenset({"Identity", "FlexIdentity", "ReadFile"})
    with pytest.raises(OpForbidden, match="take the model from a source that you know"):
        allowlist.require(path, Allowlist(OpSet.FLEX, names, names))


@pytest.mark.parametrize(
    ("op", "ops", "names", "allowed"),
    [
        (Op("ADD", 5), OpSet.BUILTIN, set(), True),
        (Op("ADD", 5), OpSet.LISTED, set(), False),
        (Op("ADD", 5), OpSet.LISTED, {"ADD"}, True),
        (flex("StringLength"), OpSet.BUILTIN, set(), False),
        (flex("StringLength"), OpSet.BUILTIN, {"StringLength"}, True),
        (flex("StringLength"), OpSet.BUILTIN, {"FlexStringLength"}, True),
        (flex("StringLength"), OpSet.FLEX, set(), True),
        (flex("StringLength"), OpSet.TFTEXT, set(), True),
        (flex("NoSuchOp"), OpSet.FLEX, set(), False),
        (flex("RegexSplitWithOffsets"), OpSet.FLEX, set(), False),
        (flex("RegexSplitWithOffsets"), OpSet.FLEX, {"RegexSplitWithOffsets"}, True),
        (flex("RegexSplitWithOffsets"), OpSet.TFTEXT, set(), True),
        (Op("TFText>Ngrams"), OpSet.TFTEXT, set(), True),
        (Op("TFText>Ngrams"), OpSet.FLEX, {"TFText>Ngrams"}, True),
        (Op("Mine"), OpSet.TFTEXT, set(), False),
        (Op("Mine"), OpSet.LISTED, {"Mine"}, True),
    ],
)
def test_sets_and_names(tmp_path: Path, op: Op, ops: OpSet, names: set[str], allowed: bool) -> None:
    path = write_model(tmp_path / "x.tflite", [op])
    if allowed:
        allowlist.require(path, Allowlist(ops, frozenset(names)))
    else:
        with pytest.raises(OpNotAllowed):
            allowlist.require(path, Allowlist(ops, frozenset(names)))


@pytest.mark.parametrize(
    ("op", "fix"),
    [
        (
            flex("StringLength", makes="layer/x"),
            r"FlexStringLength \(layer, serving_default\); .*--allow-op StringLength",
        ),
        (flex("RegexSplitWithOffsets"), r"stock Flex AAR does not register it.*--aar"),
        (Op("Mine"), r"--allow-op Mine if your program"),
    ],
)
def test_the_sentence_names_the_op_its_place_and_the_mend(tmp_path: Path, op: Op, fix: str) -> None:
    path = write_model(tmp_path / "x.tflite", [op])
    with pytest.raises(OpNotAllowed, match=fix):
        allowlist.require(path, Allowlist(OpSet.BUILTIN))


def test_builtin_ops_wait_for_the_finished_file(tmp_path: Path) -> None:
    path = write_model(tmp_path / "x.tflite", [Op("ADD", 5)])
    allowlist.require(path, Allowlist(OpSet.LISTED), only_custom=True)
    with pytest.raises(OpNotAllowed, match=r"ADD version 5 .*add ADD to the list"):
        allowlist.require(path, Allowlist(OpSet.LISTED))


def test_many_are_counted(tmp_path: Path) -> None:
    names = ["StringLength", "ReduceJoin", "DecodePaddedRaw", "UnicodeDecode", "UnicodeEncode", "Where"]
    path = write_model(tmp_path / "x.tflite", [flex(name) for name in names])
    with pytest.raises(
        OpNotAllowed, match="It also holds FlexReduceJoin, FlexDecodePaddedRaw, FlexUnicodeDecode and 2 more"
    ):
        allowlist.require(path, Allowlist(OpSet.BUILTIN))


def test_a_traced_function_is_judged_before_it_is_converted() -> None:
    usual = [
        "Placeholder",
        "StatefulPartitionedCall",
        "While",
        "XlaDynamicUpdateSlice",
        "MatMul",
        "ReadVariableOp",
        "HashTableV2",
        "StringSplitV2",
    ]
    allowlist.require_traced(usual, Allowlist(OpSet.BUILTIN))
    allowlist.require_traced([*usual, "RegexSplitWithOffsets"], Allowlist(OpSet.TFTEXT))
    with pytest.raises(OpNotAllowed, match=r"FlexRegexSplitWithOffsets \(the traced function\)"):
        allowlist.require_traced([*usual, "RegexSplitWithOffsets"], Allowlist(OpSet.FLEX))
    for op in ("ReadFile", "PyFunc", "PrintV2"):
        with pytest.raises(OpForbidden, match=op):
            allowlist.require_traced([*usual, op], Allowlist(OpSet.TFTEXT, frozenset({op})))
    allowlist.require_traced(["PrintV2"], Allowlist(OpSet.FLEX, frozenset({"PrintV2"}), frozenset({"PrintV2"})))
