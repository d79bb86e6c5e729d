"""The allowlist of operators in a bound file: TFLite's built-ins, and those that the I/O mode names."""

from __future__ import annotations

from collections.abc import Collection

from farm.errors import OpNotAllowed
from pipeline.conversion.binding.flatbuffer import Model, graph_name, is_builtin, name_of


def require_allowed(model: Model, foreign: Collection[str]) -> None:
    """OpNotAllowed names the first custom or Flex operator that is not in `foreign`: the app has no code for it."""
    allowed = f"built-ins and {', '.join(sorted(foreign))}" if foreign else "built-ins only"
    for graph in model.subgraphs:
        for operator in graph.operators:
            if not is_builtin(model, operator) and name_of(model, operator) not in foreign:
                raise OpNotAllowed(
                    f"The operator {name_of(model, operator)} in {graph_name(graph)} is no TFLite"
                    f" built-in; the I/O mode"
                    f" allows {allowed}."
                )
