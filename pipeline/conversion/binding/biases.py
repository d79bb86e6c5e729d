"""Biases folded into FULLY_CONNECTED, as the converter does with constants."""

from __future__ import annotations

from pipeline.conversion.binding.flatbuffer import (
    Builtin,
    Graph,
    Model,
    code_of,
    drop_operator,
    inputs_of,
    readers,
    shape_of,
)
from pipeline.conversion.binding.weight_inputs import GraphWeights


def fold_biases(model: Model, graph: Graph, taken: GraphWeights) -> None:
    """FULLY_CONNECTED(x, W) followed by ADD of a weight [n] becomes FULLY_CONNECTED(x, W, bias).

    Only where nothing else reads the sum's input. An activation fused into the ADD moves along.
    """
    users = readers(graph)
    results = {int(tensor) for tensor in graph.outputs}
    for dense in list(graph.operators):
        if code_of(model, dense) != Builtin.FULLY_CONNECTED or any(tensor >= 0 for tensor in inputs_of(dense)[2:]):
            continue
        product = int(dense.outputs[0])
        if len(users[product]) != 1 or product in results:
            continue
        addition = users[product][0]
        if code_of(model, addition) != Builtin.ADD:
            continue
        others = [tensor for tensor in inputs_of(addition) if tensor != product]
        if len(others) != 1 or others[0] not in taken:
            continue
        if shape_of(graph, others[0]) != shape_of(graph, product)[-1:]:
            continue
        dense.inputs = [*inputs_of(dense)[:2], others[0]]
        dense.outputs = addition.outputs
        dense.builtinOptions.fusedActivationFunction = addition.builtinOptions.fusedActivationFunction
        drop_operator(graph, addition)
