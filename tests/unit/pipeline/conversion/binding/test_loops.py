from __future__ import annotations

from typing import Any

import pytest

from farm.errors import BindingFailed
from pipeline.conversion.binding.derived import Weight
from pipeline.conversion.binding.flatbuffer import Builtin, Graph, Model, new_tensor, opcode_index, schema
from pipeline.conversion.binding.loops import carry_into_loops
from pipeline.conversion.binding.weight_inputs import GraphWeights

FLOAT = schema.TensorType.FLOAT32
MATRIX = Weight("matrix")


def graph(name: str, tensors: int, inputs: list[int], outputs: list[int]) -> Graph:
    made = schema.SubGraphT()
    made.name, made.tensors, made.operators, made.inputs, made.outputs = name.encode(), [], [], inputs, outputs
    for number in range(tensors):
        new_tensor(made, f"{name}{number}".encode(), (2, 2), FLOAT)
    return made


def add(model: Model, into: Graph, builtin: int, inputs: list[int], outputs: list[int], options: Any = None) -> None:
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = opcode_index(model, builtin, 1), inputs, outputs
    operator.builtinOptions = options
    into.operators.append(operator)


def loop_options(condition: int, body: int) -> Any:
    options = schema.WhileOptionsT()
    options.condSubgraphIndex, options.bodySubgraphIndex = condition, body
    return options


def model_with_loops() -> tuple[Model, list[GraphWeights]]:
    """main: WHILE(x, matrix); its body has a loop of its own that is handed the matrix in another place."""
    model = schema.ModelT()
    model.operatorCodes = []
    main = graph("main", 4, [0, 1], [2])
    outer_condition, outer_body = graph("outer_condition", 3, [0, 1], [2]), graph("outer_body", 4, [0, 1], [2, 1])
    inner_condition, inner_body = graph("inner_condition", 3, [0, 1], [2]), graph("inner_body", 3, [0, 1], [0, 2])
    model.subgraphs = [main, outer_condition, outer_body, inner_condition, inner_body]
    add(model, main, Builtin.WHILE, [0, 1], [2, 3], loop_options(1, 2))
    add(model, outer_body, Builtin.WHILE, [1, 0], [3, 2], loop_options(3, 4))
    add(model, inner_body, Builtin.FULLY_CONNECTED, [1, 0], [2])
    return model, [{1: MATRIX}, {}, {}, {}, {}]


def test_weights_reach_loops_within_loops() -> None:
    model, weights = model_with_loops()
    carry_into_loops(model, weights)
    main, outer_condition, outer_body, inner_condition, inner_body = model.subgraphs
    assert weights == [{1: MATRIX}, {1: MATRIX}, {1: MATRIX}, {0: MATRIX}, {0: MATRIX}]
    assert (main.operators[0].inputs, main.operators[0].outputs) == ([0], [2])
    assert (outer_condition.inputs, outer_condition.outputs) == ([0], [2])
    assert (outer_body.inputs, outer_body.outputs) == ([0], [2])
    assert (outer_body.operators[0].inputs, outer_body.operators[0].outputs) == ([0], [2])
    assert (inner_condition.inputs, inner_condition.outputs) == ([1], [2])
    assert (inner_body.inputs, inner_body.outputs) == ([1], [2])


def test_a_loop_that_changes_a_weight_is_refused() -> None:
    model, weights = model_with_loops()
    model.subgraphs[2].outputs = [2, 0]
    with pytest.raises(BindingFailed, match="loop outer_body changes the weight matrix"):
        carry_into_loops(model, weights)


def test_a_weight_read_from_behind_a_loop_is_refused() -> None:
    model, weights = model_with_loops()
    model.subgraphs[0].outputs = [2, 3]
    with pytest.raises(BindingFailed, match="main reads a weight from behind a loop"):
        carry_into_loops(model, weights)


def test_a_loop_without_weights_stays_as_it_is() -> None:
    model, _ = model_with_loops()
    carry_into_loops(model, [{}, {}, {}, {}, {}])
    assert model.subgraphs[0].operators[0].inputs == [0, 1]
