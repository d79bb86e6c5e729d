"""Weights that reach a loop: taken off its operands and made weights of the loop's own subgraphs.

The converter hands everything that a loop reads from outside to WHILE as an operand that condition and body pass on
unchanged. A constant inside the body is what the ordinary converter would have made.
"""

from __future__ import annotations

from farm.errors import BindingFailed
from pipeline.conversion.binding.flatbuffer import Builtin, Graph, Model, Operator, code_of, graph_name, inputs_of
from pipeline.conversion.binding.weight_inputs import GraphWeights


def carry_into_loops(model: Model, weights: list[GraphWeights]) -> None:
    """Let the subgraphs of every WHILE know the weights that they are handed, in loops within loops as well.

    BindingFailed when a loop changes a weight or gives it out.
    """
    for graph, taken in zip(model.subgraphs, weights, strict=True):
        if taken:
            _carry_from(model, graph, taken, weights)


def _carry_from(model: Model, graph: Graph, taken: GraphWeights, weights: list[GraphWeights]) -> None:
    for operator in graph.operators:
        if code_of(model, operator) != Builtin.WHILE:
            continue
        operands = inputs_of(operator)
        places = [place for place, tensor in enumerate(operands) if tensor in taken]
        if not places:
            continue
        _require_unread(graph, operator, places)
        handed = {place: taken[operands[place]] for place in places}
        body, condition = operator.builtinOptions.bodySubgraphIndex, operator.builtinOptions.condSubgraphIndex
        loop = model.subgraphs[body]
        for place in places:
            if int(loop.inputs[place]) != int(loop.outputs[place]):
                raise BindingFailed(
                    f"The loop {graph_name(loop)} changes the weight {handed[place].name}; the graph must only read it."
                )
        for index in (body, condition):
            inner = model.subgraphs[index]
            weights[index].update({int(inner.inputs[place]): weight for place, weight in handed.items()})
            inner.inputs = _without(inner.inputs, places)
        loop.outputs = _without(loop.outputs, places)
        operator.inputs, operator.outputs = _without(operator.inputs, places), _without(operator.outputs, places)
        _carry_from(model, loop, weights[body], weights)


def _require_unread(graph: Graph, loop: Operator, places: list[int]) -> None:
    """BindingFailed when anything reads a weight as a loop gives it out again."""
    given = {int(loop.outputs[place]) for place in places}
    read = {int(tensor) for tensor in graph.outputs}
    read |= {tensor for operator in graph.operators for tensor in inputs_of(operator)}
    if given & read:
        raise BindingFailed(
            f"{graph_name(graph)} reads a weight from behind a loop; the graph must read it from its input."
        )


def _without(tensors: list[int], places: list[int]) -> list[int]:
    return [int(tensor) for place, tensor in enumerate(tensors) if place not in places]
