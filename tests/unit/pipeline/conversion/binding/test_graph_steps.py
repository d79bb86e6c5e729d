"""The steps that reshape the graph, one by one, on the kept weightless graphs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from farm.errors import BindingFailed, OpNotAllowed
from pipeline.conversion.binding.biases import fold_biases
from pipeline.conversion.binding.dead_tensors import compact, name_tensors_uniquely
from pipeline.conversion.binding.derived import Weight
from pipeline.conversion.binding.flatbuffer import (
    Builtin,
    Model,
    code_of,
    inputs_of,
    load_model,
    name_of,
    opcode_index,
    readers,
    schema,
)
from pipeline.conversion.binding.norm_scales import settle_moved_norm_scales
from pipeline.conversion.binding.norms import fold_norms, looked_up_tables
from pipeline.conversion.binding.operators import require_allowed
from pipeline.conversion.binding.weight_inputs import GraphWeights, require_matching, take_weight_inputs
from tests.fixtures.bound_models import ArrayWeights
from tests.fixtures.weightless_graphs import GPT2_LIKE, LLAMA_LIKE, Sizes, random_weights, weight_shapes


def loaded(sizes: Sizes) -> tuple[Model, list[GraphWeights]]:
    model = load_model(sizes.path)
    return model, take_weight_inputs(model)


def operators(model: Model, graph: int = 0) -> Counter[str]:
    return Counter(name_of(model, operator) for operator in model.subgraphs[graph].operators)


def dense_weights(model: Model, taken: list[GraphWeights], graph: int = 0) -> list[tuple[str, str | None]]:
    """Matrix and bias of each FULLY_CONNECTED, by label."""
    found = []
    for operator in model.subgraphs[graph].operators:
        if code_of(model, operator) == Builtin.FULLY_CONNECTED:
            _, matrix, *bias = inputs_of(operator)
            label = taken[graph][bias[0]].label if bias and bias[0] >= 0 else None
            found.append((taken[graph][matrix].label, label))
    return found


def test_weight_inputs_leave_the_signatures() -> None:
    model, taken = loaded(GPT2_LIKE)
    for signature in model.signatureDefs:
        assert {item.name.decode() for item in signature.inputs} == {"tokens", "input_pos", *GPT2_LIKE.caches}
        assert len(model.subgraphs[signature.subgraphIndex].inputs) == 6
    for weights in taken:
        assert {weight.name for weight in weights.values()} == set(weight_shapes(GPT2_LIKE))


def test_a_graph_without_weight_inputs_is_refused() -> None:
    model, _ = loaded(GPT2_LIKE)
    with pytest.raises(BindingFailed, match=r"subgraph decode takes no weights"):
        take_weight_inputs(model)


def test_a_weight_input_of_another_type_is_refused() -> None:
    model = load_model(GPT2_LIKE.path)
    item = next(item for item in model.signatureDefs[0].inputs if item.name == b"w__0.up")
    model.subgraphs[0].tensors[item.tensorIndex].type = schema.TensorType.FLOAT16
    with pytest.raises(BindingFailed, match=r"weight input 0\.up of decode is not float32"):
        take_weight_inputs(model)


def test_matching_weights_are_accepted_and_others_named() -> None:
    model, taken = loaded(GPT2_LIKE)
    weights = random_weights(GPT2_LIKE)
    require_matching(model, taken, ArrayWeights(weights))
    weights["final.scale"] = np.ones(31, np.float32)
    with pytest.raises(BindingFailed, match=r"wants final\.scale as \(32,\)"):
        require_matching(model, taken, ArrayWeights(weights))


def test_a_moved_gain_becomes_a_derived_weight() -> None:
    model, taken = loaded(LLAMA_LIKE)
    before = operators(model)
    assert ("0.qkv", None) not in dense_weights_or_products(model, taken)
    settle_moved_norm_scales(model, taken, folded=True)
    assert before["MUL"] - operators(model)["MUL"] == 7
    assert ("0.qkv*0.norm1.scale", None) in dense_weights(model, taken)
    assert ("head*final.scale", None) in dense_weights(model, taken)
    assert ("0.down", None) in dense_weights(model, taken)


def test_a_moved_norm_scale_goes_back_where_the_recipe_does_not_fold() -> None:
    model, taken = loaded(LLAMA_LIKE)
    graph, before = model.subgraphs[0], operators(model)
    by_name = {weight.name: tensor for tensor, weight in taken[0].items()}
    settle_moved_norm_scales(model, taken, folded=False)
    # Gate and up share one product with the norm scale in each layer.
    assert before["MUL"] - operators(model)["MUL"] == LLAMA_LIKE.layers
    assert ("0.qkv", None) in dense_weights(model, taken)
    dense = {inputs_of(one)[1]: one for one in graph.operators if code_of(model, one) == Builtin.FULLY_CONNECTED}
    gate, up = dense[by_name["0.gate"]], dense[by_name["0.up"]]
    assert inputs_of(gate)[0] == inputs_of(up)[0]
    scaling = next(one for one in graph.operators if inputs_of(gate)[0] in [int(t) for t in one.outputs])
    assert by_name["0.norm2.scale"] in inputs_of(scaling)
    assert graph.operators.index(scaling) < min(graph.operators.index(gate), graph.operators.index(up))


def dense_weights_or_products(model: Model, taken: list[GraphWeights]) -> list[tuple[str, None]]:
    return [
        (taken[0][inputs_of(operator)[1]].label, None)
        for operator in model.subgraphs[0].operators
        if code_of(model, operator) == Builtin.FULLY_CONNECTED and inputs_of(operator)[1] in taken[0]
    ]


def test_the_gain_goes_back_where_the_matrix_is_also_looked_up() -> None:
    """Let the logits read the looked-up table through the norm_scale, as a tied model does."""
    model, taken = loaded(LLAMA_LIKE)
    graph, weights = model.subgraphs[0], taken[0]
    by_name = {weight.name: tensor for tensor, weight in weights.items()}
    product = next(operator for operator in graph.operators if by_name["head"] in inputs_of(operator))
    product.inputs = [by_name["embedding"], by_name["final.scale"]]
    logits = next(operator for operator in graph.operators if int(product.outputs[0]) in inputs_of(operator))
    activation = inputs_of(logits)[0]
    settle_moved_norm_scales(model, taken, folded=True)
    scaled, matrix = inputs_of(logits)[:2]
    assert matrix == by_name["embedding"]
    assert inputs_of(product) == [activation, by_name["final.scale"]]
    assert [int(tensor) for tensor in product.outputs] == [scaled]
    assert graph.operators.index(product) < graph.operators.index(logits)
    assert list(graph.tensors[scaled].shape) == list(graph.tensors[activation].shape)


def test_a_scaled_table_in_an_unknown_place_is_refused() -> None:
    model, taken = loaded(LLAMA_LIKE)
    graph = model.subgraphs[0]
    by_name = {weight.name: tensor for tensor, weight in taken[0].items()}
    product = next(operator for operator in graph.operators if by_name["head"] in inputs_of(operator))
    product.inputs = [by_name["embedding"], by_name["final.scale"]]
    reader = next(operator for operator in graph.operators if int(product.outputs[0]) in inputs_of(operator))
    reader.opcodeIndex = opcode_index(model, Builtin.BATCH_MATMUL, 1)
    with pytest.raises(BindingFailed, match="table that is read by BATCH_MATMUL"):
        settle_moved_norm_scales(model, taken, folded=True)


def test_biases_become_inputs_of_their_matrix() -> None:
    model, taken = loaded(GPT2_LIKE)
    before = operators(model)["ADD"]
    fold_biases(model, model.subgraphs[0], taken[0])
    assert before - operators(model)["ADD"] == 8
    assert ("0.qkv", "0.qkv.bias") in dense_weights(model, taken)
    assert ("1.down", "1.down.bias") in dense_weights(model, taken)
    assert ("embedding", None) in dense_weights(model, taken)


def test_a_fused_activation_moves_along() -> None:
    model, taken = loaded(GPT2_LIKE)
    graph = model.subgraphs[0]
    by_name = {weight.name: tensor for tensor, weight in taken[0].items()}
    addition = next(operator for operator in graph.operators if by_name["0.up.bias"] in inputs_of(operator))
    addition.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.RELU
    fold_biases(model, graph, taken[0])
    dense = next(operator for operator in graph.operators if by_name["0.up"] in inputs_of(operator))
    assert dense.builtinOptions.fusedActivationFunction == schema.ActivationFunctionType.RELU
    assert [int(tensor) for tensor in dense.outputs] == [int(tensor) for tensor in addition.outputs]


def test_a_product_that_something_else_reads_keeps_its_addition() -> None:
    model, taken = loaded(GPT2_LIKE)
    graph = model.subgraphs[0]
    by_name = {weight.name: tensor for tensor, weight in taken[0].items()}
    dense = next(operator for operator in graph.operators if by_name["0.up"] in inputs_of(operator))
    graph.outputs = [*graph.outputs, int(dense.outputs[0])]
    fold_biases(model, graph, taken[0])
    assert ("0.up", None) in dense_weights(model, taken)


def test_norms_are_absorbed_by_the_matrices_behind_them() -> None:
    model, taken = loaded(GPT2_LIKE)
    graph = model.subgraphs[0]
    fold_biases(model, graph, taken[0])
    before = operators(model)
    fold_norms(model, graph, taken[0], looked_up_tables(model, taken))
    after = operators(model)
    assert (before["MUL"] - after["MUL"], before["ADD"] - after["ADD"]) == (4, 4)
    assert ("0.qkv*0.norm1.scale", "0.qkv.bias+0.qkv@0.norm1.bias") in dense_weights(model, taken)
    assert ("1.up*1.norm2.scale", "1.up.bias+1.up@1.norm2.bias") in dense_weights(model, taken)
    assert ("0.out", "0.out.bias") in dense_weights(model, taken)


def test_a_norm_before_a_looked_up_table_stays() -> None:
    model, taken = loaded(GPT2_LIKE)
    graph = model.subgraphs[0]
    fold_biases(model, graph, taken[0])
    tables = looked_up_tables(model, taken)
    assert tables == {"embedding"}
    fold_norms(model, graph, taken[0], tables)
    by_name = {weight.name: tensor for tensor, weight in taken[0].items()}
    assert [name_of(model, operator) for operator in readers(graph)[by_name["final.scale"]]] == ["MUL"]


def test_a_norm_that_something_else_reads_stays() -> None:
    model, taken = loaded(GPT2_LIKE)
    graph = model.subgraphs[0]
    fold_biases(model, graph, taken[0])
    by_name = {weight.name: tensor for tensor, weight in taken[0].items()}
    addition = readers(graph)[by_name["0.norm1.bias"]][0]
    graph.outputs = [*graph.outputs, int(addition.outputs[0])]
    fold_norms(model, graph, taken[0], looked_up_tables(model, taken))
    assert ("0.qkv", "0.qkv.bias") in dense_weights(model, taken)


def test_compaction_keeps_what_signatures_name() -> None:
    model, taken = loaded(GPT2_LIKE)
    for graph, weights in zip(model.subgraphs, taken, strict=True):
        fold_biases(model, graph, weights)
    names = {
        id(item): model.subgraphs[signature.subgraphIndex].tensors[item.tensorIndex].name
        for signature in model.signatureDefs
        for item in [*signature.inputs, *signature.outputs]
    }
    tensors = sum(len(graph.tensors) for graph in model.subgraphs)
    moved = compact(model)
    assert sum(len(graph.tensors) for graph in model.subgraphs) < tensors
    assert moved[0] == 0
    assert sorted(moved.values()) == list(range(len(model.buffers)))
    for signature in model.signatureDefs:
        graph = model.subgraphs[signature.subgraphIndex]
        for item in [*signature.inputs, *signature.outputs]:
            assert graph.tensors[item.tensorIndex].name == names[id(item)]
    for graph in model.subgraphs:
        used = {tensor for operator in graph.operators for tensor in [*operator.inputs, *operator.outputs]}
        assert (used | {*graph.inputs, *graph.outputs}) - {-1} == set(range(len(graph.tensors)))
        assert all(tensor.buffer < len(model.buffers) for tensor in graph.tensors)


def test_names_become_unique_and_first_ones_stay() -> None:
    model, _ = loaded(GPT2_LIKE)
    for graph in model.subgraphs:
        for tensor in graph.tensors[:3]:
            tensor.name = b"same"
    name_tensors_uniquely(model)
    names = [tensor.name for graph in model.subgraphs for tensor in graph.tensors]
    assert len(set(names)) == len(names)
    assert names[:3] == [b"same", b"decode/same", b"decode/same.2"]


def test_builtins_pass_and_a_custom_operator_is_named() -> None:
    model, _ = loaded(GPT2_LIKE)
    require_allowed(model, ())
    code: Any = model.operatorCodes[model.subgraphs[2].operators[-1].opcodeIndex]
    code.builtinCode, code.deprecatedBuiltinCode, code.customCode = Builtin.CUSTOM, Builtin.CUSTOM, b"FlexWriteFile"
    with pytest.raises(OpNotAllowed, match="operator FlexWriteFile in"):
        require_allowed(model, {"FlexReduceJoin"})
    require_allowed(model, {"FlexWriteFile"})


def test_labels_tell_how_a_weight_is_made() -> None:
    assert Weight("w").label == "w"
    assert Weight("w", norm_scale="g").label == "w*g"
    assert Weight("b", shift=("w", "s")).label == "b+w@s"


def test_damaged_graphs_are_refused(tmp_path: Any) -> None:
    path = tmp_path / "g.tflite"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(BindingFailed, match=r"g\.tflite is no \.tflite graph"):
        load_model(path)
    path.write_bytes(GPT2_LIKE.path.read_bytes()[:3000])
    with pytest.raises(BindingFailed, match=r"graph g\.tflite is damaged"):
        load_model(path)
