"""The allowlist of operators in a bound file: TFLite's built-ins and nothing else."""

from __future__ import annotations

from farm.errors import OpNotAllowed
from worker.conversion.binding.flatbuffer import Model, graph_name, is_builtin, name_of


def require_builtins(model: Model) -> None:
    """OpNotAllowed names the first custom or Flex operator; these need code that the app does not have."""
    for graph in model.subgraphs:
        for operator in graph.operators:
            if not is_builtin(model, operator):
                raise OpNotAllowed(
                    f"The operator {name_of(model, operator)} in {graph_name(graph)} is no TFLite built-in; the tokens"
                    " lane allows built-ins only."
                )
