"""Gain and bias of a norm, absorbed into the matrices behind it, as the converter does with constants."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipeline.conversion.binding.flatbuffer import (
    Builtin,
    Graph,
    Model,
    Operator,
    code_of,
    drop_operator,
    inputs_of,
    makers,
    readers,
)
from pipeline.conversion.binding.weight_inputs import GraphWeights


def looked_up_tables(model: Model, weights: list[GraphWeights]) -> set[str]:
    """Names of the matrices that some EMBEDDING_LOOKUP reads."""
    return {
        taken[inputs_of(operator)[1]].name
        for graph, taken in zip(model.subgraphs, weights, strict=True)
        for operator in graph.operators
        if code_of(model, operator) == Builtin.EMBEDDING_LOOKUP and inputs_of(operator)[1] in taken
    }


@dataclass(frozen=True)
class _Affine:
    """(activation * norm_scale) + shift, with the tensors' indices and both operators."""

    activation: int
    norm_scale: int
    shift: int
    product: Operator
    addition: Operator


def fold_norms(model: Model, graph: Graph, taken: GraphWeights, tables: set[str]) -> None:
    """FULLY_CONNECTED((x * g) + b, W, c) becomes FULLY_CONNECTED(x, W * g, c + W @ b).

    Only where all readers of the sum are such operators, each the only one to read its matrix and bias, and none of
    the matrices is a table that is looked up.
    """
    results = {int(tensor) for tensor in graph.outputs}
    # Absorbing one norm leaves the readers and makers that matter for the next as they are.
    users, made_by = readers(graph), makers(graph)
    for addition in list(graph.operators):
        affine = _affine(model, taken, made_by, addition)
        if affine is None:
            continue
        total = int(addition.outputs[0])
        denses = users[total]
        if not denses or total in results or len(users[int(affine.product.outputs[0])]) != 1:
            continue
        if not all(_can_fold(model, taken, tables, users, dense, total) for dense in denses):
            continue
        norm_scale, shift = taken[affine.norm_scale].name, taken[affine.shift].name
        for dense in denses:
            _, matrix, bias = inputs_of(dense)
            taken[bias] = replace(taken[bias], shift=(taken[matrix].name, shift))
            taken[matrix] = replace(taken[matrix], norm_scale=norm_scale)
            dense.inputs = [affine.activation, matrix, bias]
        drop_operator(graph, affine.addition)
        drop_operator(graph, affine.product)


def _affine(model: Model, taken: GraphWeights, made_by: dict[int, Operator], addition: Operator) -> _Affine | None:
    added = _activation_and_weight(model, taken, addition, Builtin.ADD)
    product = made_by.get(added[0]) if added else None
    multiplied = _activation_and_weight(model, taken, product, Builtin.MUL) if product is not None else None
    if added is None or multiplied is None:
        return None
    return _Affine(multiplied[0], multiplied[1], added[1], product, addition)


def _activation_and_weight(
    model: Model, taken: GraphWeights, operator: Operator, builtin: int
) -> tuple[int, int] | None:
    """The two inputs of a binary operator of that kind, if just one of them is a weight."""
    if code_of(model, operator) != builtin:
        return None
    tensors = inputs_of(operator)
    given = [tensor for tensor in tensors if tensor in taken]
    rest = [tensor for tensor in tensors if tensor not in taken]
    return (rest[0], given[0]) if len(given) == len(rest) == 1 else None


def _can_fold(
    model: Model,
    taken: GraphWeights,
    tables: set[str],
    users: dict[int, list[Operator]],
    dense: Operator,
    activation: int,
) -> bool:
    tensors = inputs_of(dense)
    if code_of(model, dense) != Builtin.FULLY_CONNECTED or len(tensors) != 3 or tensors[0] != activation:
        return False
    _, matrix, bias = tensors
    if matrix not in taken or bias not in taken or taken[matrix].name in tables or taken[matrix].norm_scale is not None:
        return False
    return len(users[matrix]) == len(users[bias]) == 1
