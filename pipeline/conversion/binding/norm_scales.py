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


def settle_moved_norm_scales(model: Model, weights: list[GraphWeights], folded: bool) -> None:
    """Let W * g become a derived weight; or put the norm scale back onto the activation.

    The latter where W is also read as it is, so that a table that is looked up and used for the logits is stored once,
    and everywhere unless `folded`.
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
        restored: dict[tuple[int, int], Operator] = {}
        for operator in [o for o in graph.operators if _is_moved_norm_scale(model, graph, taken, o)]:
            matrix, norm_scale = sorted(inputs_of(operator), key=lambda tensor: -len(shape_of(graph, tensor)))
            if folded and taken[matrix].name not in read_plainly:
                taken[int(operator.outputs[0])] = Weight(taken[matrix].name, norm_scale=taken[norm_scale].name)
                drop_operator(graph, operator)
            else:
                _put_back(model, graph, operator, matrix, norm_scale, restored)


def _is_moved_norm_scale(model: Model, graph: Graph, taken: GraphWeights, operator: Operator) -> bool:
    if code_of(model, operator) != Builtin.MUL:
        return False
    tensors = inputs_of(operator)
    ranks = sorted(len(shape_of(graph, tensor)) for tensor in tensors)
    return all(tensor in taken for tensor in tensors) and ranks == [1, 2]


def _put_back(
    model: Model,
    graph: Graph,
    product: Operator,
    matrix: int,
    norm_scale: int,
    restored: dict[tuple[int, int], Operator],
) -> None:
    """Turn FULLY_CONNECTED(x, W * g) into FULLY_CONNECTED(x * g, W); the product's operator now works on x.

    restored: the operators x * g that are already there, by x and g; two matrices behind one norm share theirs.
    """
    users = readers(graph)[int(product.outputs[0])]
    activations = {inputs_of(user)[0] for user in users}
    wrong = [user for user in users if code_of(model, user) != Builtin.FULLY_CONNECTED]
    if wrong or len(activations) != 1:
        reader = name_of(model, wrong[0]) if wrong else "FULLY_CONNECTED of several activations"
        raise BindingFailed(f"The binder can't take a norm scale off a table that is read by {reader}.")
    activation = activations.pop()
    drop_operator(graph, product)
    first = next(index for index, operator in enumerate(graph.operators) if any(operator is user for user in users))
    scaling = restored.get((activation, norm_scale))
    if scaling is None:
        name = graph.tensors[activation].name + b"*norm_scale"
        output = new_tensor(graph, name, shape_of(graph, activation), schema.TensorType.FLOAT32)
        product.inputs, product.outputs = [activation, norm_scale], [output]
        scaling = restored[activation, norm_scale] = product
        graph.operators.insert(first, scaling)
    else:
        at = next(index for index, operator in enumerate(graph.operators) if operator is scaling)
        if at > first:
            graph.operators.insert(first, graph.operators.pop(at))
    for user in users:
        user.inputs = [int(scaling.outputs[0]), matrix, *inputs_of(user)[2:]]
