"""Which graph of a file comes first: the one that a program runs which knows nothing of signatures."""

from __future__ import annotations

from pipeline.conversion.binding.flatbuffer import Model, pack_model, schema

# How an operator names another graph.
_REFERENCES = ("condSubgraphIndex", "bodySubgraphIndex", "thenSubgraphIndex", "elseSubgraphIndex", "initSubgraphIndex")


def make_default_subgraph(content: bytes, signature: str) -> bytes:
    """The same `.tflite` with the graph of that signature as the first one; the converter sorts them by name."""
    model: Model = schema.ModelT.InitFromPackedBuf(content, 0)
    chosen = next(item.subgraphIndex for item in model.signatureDefs if item.signatureKey.decode() == signature)
    moved = {0: chosen, chosen: 0}
    model.subgraphs[0], model.subgraphs[chosen] = model.subgraphs[chosen], model.subgraphs[0]
    for item in model.signatureDefs:
        item.subgraphIndex = moved.get(item.subgraphIndex, item.subgraphIndex)
    for graph in model.subgraphs:
        for operator in graph.operators:
            for name in _REFERENCES:
                if hasattr(operator.builtinOptions, name):
                    index = getattr(operator.builtinOptions, name)
                    setattr(operator.builtinOptions, name, moved.get(index, index))
    return bytes(pack_model(model))
