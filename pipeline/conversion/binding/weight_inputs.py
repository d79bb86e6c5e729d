"""The weight inputs of a weightless graph, taken off its signatures."""

from __future__ import annotations

from farm.errors import BindingFailed
from pipeline.conversion.binding.derived import Weight
from pipeline.conversion.binding.flatbuffer import Model, graph_name, schema, shape_of
from pipeline.conversion.weights import WeightSource

WEIGHT_PREFIX = "w__"

# The weights of one subgraph by tensor index.
GraphWeights = dict[int, Weight]


def take_weight_inputs(model: Model) -> list[GraphWeights]:
    """Remove the inputs named `w__<name>` from signatures and subgraphs; what each subgraph's tensors stand for.

    A signature may do without. BindingFailed when none has any, or has one that is not float32.
    """
    weights: list[GraphWeights] = [{} for _ in model.subgraphs]
    for signature in model.signatureDefs or []:
        names = {item.tensorIndex: item.name.decode() for item in signature.inputs}
        taken = {
            tensor: Weight(name.removeprefix(WEIGHT_PREFIX))
            for tensor, name in names.items()
            if name.startswith(WEIGHT_PREFIX)
        }
        graph = model.subgraphs[signature.subgraphIndex]
        for tensor, weight in taken.items():
            if graph.tensors[tensor].type != schema.TensorType.FLOAT32:
                raise BindingFailed(
                    f"The weight input {weight.name} of {graph_name(graph)} is not float32; the graph builder must"
                    " declare it so."
                )
        signature.inputs = [item for item in signature.inputs if item.tensorIndex not in taken]
        graph.inputs = [tensor for tensor in graph.inputs if int(tensor) not in taken]
        weights[signature.subgraphIndex] = taken
    if not any(weights):
        raise BindingFailed(
            f"The subgraph {graph_name(model.subgraphs[0])} takes no weights by the name {WEIGHT_PREFIX}..., and no"
            " other does; only graphs of the farm's own builder can be bound."
        )
    return weights


def require_matching(model: Model, weights: list[GraphWeights], source: WeightSource) -> None:
    """BindingFailed unless graph and source have the same weights in the same shapes."""
    wanted = {weight.name for taken in weights for weight in taken.values()}
    given = set(source.names())
    if wanted != given:
        missing, extra = sorted(wanted - given), sorted(given - wanted)
        first = f"lack {missing[0]}" if missing else f"hold {extra[0]}, which the graph does not read"
        raise BindingFailed(f"The weights {first}; the graph was made for another description, so convert it again.")
    for graph, taken in zip(model.subgraphs, weights, strict=True):
        for tensor, weight in taken.items():
            if shape_of(graph, tensor) != source.shape(weight.name):
                raise BindingFailed(
                    f"The graph wants {weight.name} as {shape_of(graph, tensor)}, but the weights have it as"
                    f" {source.shape(weight.name)}; the graph was made for another description, so convert it again."
                )
