"""The lists of dangerous and harmless ops, compared with TensorFlow's own registry."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatchcase

import pytest

from pipeline.ops import dangers, tftext

# Arguments that name something outside of the graph.
OUTSIDE = re.compile(r"file|path|address|hostname|directory")


@pytest.fixture(scope="module")
def registry():
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session as session

    found = op_def_pb2.OpList()
    found.ParseFromString(session.TF_GetBuffer(session.TF_GetAllOpList()))
    return [op for op in found.op if op.name not in tftext.TENSORFLOW_OPS and not tftext.is_custom_op(op.name)]


def test_every_stateful_op_is_classified(registry) -> None:
    harmless = tomllib.loads(dangers.TABLE.read_text())["harmless"]["ops"]
    stateful = [op.name for op in registry if op.is_stateful]
    assert len(stateful) > 500
    unknown = [
        name
        for name in stateful
        if dangers.category(name) is None and not any(fnmatchcase(name, pattern) for pattern in harmless)
    ]
    assert unknown == []


def test_every_op_that_names_a_file_or_host_is_refused(registry) -> None:
    names = [
        op.name
        for op in registry
        if any(OUTSIDE.search(each.name) for each in (*op.input_arg, *op.attr)) and dangers.category(op.name) is None
    ]
    assert names == ["CTCBeamSearchDecoder"], "its top_paths are ways through a beam"


def test_every_pattern_is_of_use(registry) -> None:
    names = [op.name for op in registry]
    table = tomllib.loads(dangers.TABLE.read_text())
    patterns = [pattern for one in dangers.categories() for pattern in one.patterns] + table["harmless"]["ops"]
    assert [each for each in patterns if not any(fnmatchcase(name, each) for name in names)] == []


def test_what_a_model_computes_with_is_not_refused() -> None:
    for name in "MatMul StringLength ReduceJoin DecodePaddedRaw UnicodeDecode HashTableV2 LookupTableFindV2".split():
        assert dangers.category(name) is None
