"""Norm gains that the converter moved from the activation onto a matrix.

The converter rewrites FULLY_CONNECTED(x * g, W) as FULLY_CONNECTED(x, W * g) even when both are inputs: a product of
the whole matrix at every step.
"""

from __future__ import annotations

from farm.errors import BindingFailed
from pipeline.conversion.binding.derived import Weight
from pipeline.conversion.binding.flatbuffer import (
    Builtin,
    Graph,
    Model,
    Operator,
    code_of,
    drop_operator,
    inputs_of,
    name_of,
    new_tensor,
    readers,
    schema,
    shape_of,
)
from pipeline.conversion.binding.weight_inputs import GraphWeights


def settle_moved_norm_scales(model: Model, weights: list[GraphWeights]) -> None:
    """Let W * g become a derived weight; where W is also read as it is, put the norm scale back onto the activation.

    So a table that is looked up and used for the logits is stored once.
    """
    read_plainly = {
        taken[tensor].name
        for graph, taken in zip(model.subgraphs, weights, strict=True)
        for operator in graph.operators
        if not _is_moved_norm_scale(model, graph, taken, operator)
        for tensor in inputs_of(operator)
        if tensor in taken
    }
    for graph, taken in zip(model.subgraphs, weights, strict=True):
        for operator in [o for o in graph.operators if _is_moved_norm_scale(model, graph, taken, o)]:
            matrix, norm_scale = sorted(inputs_of(operator), key=lambda tensor: -len(shape_of(graph, tensor)))
            if taken[matrix].name in read_plainly:
                _put_back(model, graph, operator, matrix, norm_scale)
            else:
                taken[int(operator.outputs[0])] = Weight(taken[matrix].name, norm_scale=taken[norm_scale].name)
                drop_operator(graph, operator)


def _is_moved_norm_scale(model: Model, graph: Graph, taken: GraphWeights, operator: Operator) -> bool:
    if code_of(model, operator) != Builtin.MUL:
        return False
    tensors = inputs_of(operator)
    ranks = sorted(len(shape_of(graph, tensor)) for tensor in tensors)
    return all(tensor in taken for tensor in tensors) and ranks == [1, 2]


def _put_back(model: Model, graph: Graph, product: Operator, matrix: int, norm_scale: int) -> None:
    """Turn FULLY_CONNECTED(x, W * g) into FULLY_CONNECTED(x * g, W); the product's operator now works on x."""
    scaled = int(product.outputs[0])
    users = readers(graph)[scaled]
    activations = {inputs_of(user)[0] for user in users}
    wrong = [user for user in users if code_of(model, user) != Builtin.FULLY_CONNECTED]
    if wrong or len(activations) != 1:
        reader = name_of(model, wrong[0]) if wrong else "FULLY_CONNECTED of several activations"
        raise BindingFailed(f"The binder can't take a norm scale off a table that is read by {reader}.")
    activation = activations.pop()
    template = graph.tensors[activation]
    restored = new_tensor(graph, template.name + b"*norm_scale", shape_of(graph, activation), schema.TensorType.FLOAT32)
    drop_operator(graph, product)
    product.inputs, product.outputs = [activation, norm_scale], [restored]
    first = next(index for index, operator in enumerate(graph.operators) if any(operator is user for user in users))
    graph.operators.insert(first, product)
    for user in users:
        user.inputs = [restored, matrix, *inputs_of(user)[2:]]
