from __future__ import annotations

import pytest

from farm.errors import BindingFailed
from farm.recipes import WeightFormat
from pipeline.conversion.binding.biases import fold_biases
from pipeline.conversion.binding.derived import DerivedWeights
from pipeline.conversion.binding.flatbuffer import (
    Builtin,
    Model,
    code_of,
    drop_operator,
    inputs_of,
    load_model,
    opcode_index,
    readers,
    schema,
)
from pipeline.conversion.binding.storage import ConstantTensor, assign_storage, state_min_runtime
from pipeline.conversion.binding.weight_inputs import GraphWeights, take_weight_inputs
from tests.fixtures.bound_models import ArrayWeights
from tests.fixtures.weightless_graphs import GPT2_LIKE, random_weights

SOURCE = DerivedWeights(ArrayWeights(random_weights(GPT2_LIKE)))


def shaped() -> tuple[Model, list[GraphWeights]]:
    model = load_model(GPT2_LIKE.path)
    taken = take_weight_inputs(model)
    for graph, weights in zip(model.subgraphs, taken, strict=True):
        fold_biases(model, graph, weights)
    return model, taken


def assigned(weight_format: WeightFormat) -> tuple[Model, dict[str, ConstantTensor]]:
    model, taken = shaped()
    stored = assign_storage(model, taken, SOURCE, weight_format)
    return model, {weight.weight.name: weight for weight in stored}


def test_matrices_take_the_form_and_vectors_stay() -> None:
    _, stored = assigned(WeightFormat.INT8_PER_ROW)
    assert stored["0.qkv"].weight_format is WeightFormat.INT8_PER_ROW
    assert stored["embedding"].weight_format is WeightFormat.INT8_PER_ROW
    assert stored["0.qkv.bias"].weight_format is WeightFormat.FLOAT32
    # GATHER has no kernel for per-row integers.
    assert stored["positions"].weight_format is WeightFormat.FLOAT32


def test_float16_takes_every_matrix() -> None:
    model, stored = assigned(WeightFormat.FLOAT16)
    assert stored["positions"].weight_format is WeightFormat.FLOAT16
    first = model.subgraphs[0].operators[0]
    assert code_of(model, first) == Builtin.DEQUANTIZE
    constant, result = (model.subgraphs[0].tensors[index] for index in (inputs_of(first)[0], int(first.outputs[0])))
    assert (constant.type, result.type) == (schema.TensorType.FLOAT16, schema.TensorType.FLOAT32)
    assert constant.buffer in {each.buffer for each in stored.values()}
    assert result.buffer not in {each.buffer for each in stored.values()}, "the result is computed, not stored"


def test_one_buffer_a_weight_over_all_subgraphs() -> None:
    model, stored = assigned(WeightFormat.INT8_PER_ROW)
    users = [
        (number, tensor.name)
        for number, graph in enumerate(model.subgraphs)
        for tensor in graph.tensors
        if tensor.buffer == stored["embedding"].buffer
    ]
    assert [number for number, _ in users] == [0, 1, 2, 3] == list(range(len(model.subgraphs)))
    assert users[0][1] == b"decode/embedding"
    assert len(stored["embedding"].row_scales) == len(model.subgraphs)


@pytest.mark.parametrize(
    ("weight_format", "dense", "lookup"), [(WeightFormat.FLOAT32, 1, 1), (WeightFormat.INT8_PER_ROW, 12, 4)]
)
def test_operators_get_the_versions_of_the_form(weight_format: WeightFormat, dense: int, lookup: int) -> None:
    model, _ = assigned(weight_format)
    versions = {
        (code_of(model, operator), model.operatorCodes[operator.opcodeIndex].version)
        for graph in model.subgraphs
        for operator in graph.operators
    }
    assert {version for code, version in versions if code == Builtin.FULLY_CONNECTED} == {dense}
    assert {version for code, version in versions if code == Builtin.EMBEDDING_LOOKUP} == {lookup}


def test_a_matrix_in_an_unknown_place_is_refused_with_the_operator() -> None:
    model, taken = shaped()
    matrix = next(tensor for tensor, weight in taken[0].items() if weight.name == "1.up")
    readers(model.subgraphs[0])[matrix][0].opcodeIndex = opcode_index(model, Builtin.TRANSPOSE, 1)
    with pytest.raises(BindingFailed, match=r"TRANSPOSE in decode reads the weight 1\.up in a way"):
        assign_storage(model, taken, SOURCE, WeightFormat.FLOAT32)


def test_a_weight_that_nothing_reads_is_refused() -> None:
    model, taken = shaped()
    for graph, weights in zip(model.subgraphs, taken, strict=True):
        for tensor, weight in weights.items():
            if weight.name == "final.bias":
                for operator in readers(graph)[tensor]:
                    drop_operator(graph, operator)
    with pytest.raises(BindingFailed, match=r"No operator reads the weight final\.bias"):
        assign_storage(model, taken, SOURCE, WeightFormat.FLOAT32)


def test_a_weight_read_in_two_forms_is_refused() -> None:
    model, taken = shaped()
    for tensor, weight in list(taken[1].items()):
        if weight.name == "0.up":
            taken[1][tensor] = type(weight)("0.up", norm_scale="0.norm2.scale")
    with pytest.raises(BindingFailed, match=r"0\.up would be stored twice, as 0\.up and 0\.up\*0\.norm2\.scale"):
        assign_storage(model, taken, SOURCE, WeightFormat.FLOAT32)


def test_the_file_says_which_runtime_it_needs() -> None:
    model, _ = shaped()
    note = next(item for item in model.metadata if item.name == b"min_runtime_version")
    state_min_runtime(model, WeightFormat.FLOAT32)
    before = bytes(model.buffers[note.buffer].data)
    assert not before.startswith(b"2.17")
    state_min_runtime(model, WeightFormat.INT8_PER_ROW)
    assert bytes(model.buffers[note.buffer].data).rstrip(b"\0") == b"2.17.0"
