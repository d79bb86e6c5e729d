"""Which part of the model an operator belongs to, as far as the names of its tensors tell.

In the farm's own graphs the weights carry their names, and what reads no weight belongs to the layer that it follows.
In other graphs, KerasHub's for one, the converter leaves TensorFlow's scopes in the names of what an operator makes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

FARM_WEIGHT = re.compile(
    r"(?:w__|/)(?:layer_(?P<layer>\d{1,5})_(?P<part>[a-z_]{1,60}?)_(?:weight|gain|bias)"
    r"|(?P<other>(?:token|position|output)_embedding|(?:final|embedding)_norm(?=_)))"
)
# Scopes of the converter and of functions, which say nothing about the model.
MADE_BY_TRACING = re.compile(
    r"(?:Stateful)?PartitionedCall(?:_\d+)?|while(?:_\w+)?|body(?:_\d+)?|cond(?:_\w+)?|__inference_\w+|loop_body|arith|tfl"
)
DEEPEST = 3


class PartFinder:
    """Goes through a subgraph's operators in their order, which is that of the computation."""

    def __init__(self, name: Callable[[int], str]) -> None:
        """name: of a tensor by its index."""
        self._name = name
        self._parts: dict[int, tuple[int, str]] = {}
        self._known: dict[int, str | None] = {}
        self._step = 0

    def part(self, inputs: Sequence[int], outputs: Sequence[int]) -> str:
        """The part of the operator that makes `outputs` of `inputs`; empty when nothing tells."""
        self._step += 1
        found = next((part for tensor in inputs if (part := self._weight(tensor))), None)
        label = found or next((scope for tensor in outputs if (scope := scope_of(self._name(tensor)))), "")
        if found is None:
            _, followed = max((self._parts[tensor] for tensor in inputs if tensor in self._parts), default=(0, ""))
            label = _layer(followed) or label
        for tensor in outputs:
            self._parts[tensor] = (self._step if found else self._step_of(inputs), label)
        return label

    def _step_of(self, inputs: Sequence[int]) -> int:
        return max((self._parts[tensor][0] for tensor in inputs if tensor in self._parts), default=0)

    def _weight(self, tensor: int) -> str | None:
        if tensor not in self._known:
            self._known[tensor] = weight_part(self._name(tensor))
        return self._known[tensor]


def weight_part(name: str) -> str | None:
    """`decode/layer_3_up_weight*...` -> `layer 3 up`; None for a tensor that is no weight of the farm's graphs."""
    match = FARM_WEIGHT.search(name)
    if match is None:
        return None
    if match["other"]:
        return match["other"].replace("_", " ")
    return f"layer {match['layer']} {match['part'].replace('_', ' ')}"


def scope_of(name: str) -> str:
    """The scope in a tensor's name: `a/b/transformer_layer_3/self_attention/MatMul;x` -> its last three steps."""
    steps = name.partition(";")[0].split("/")[:-1]
    return "/".join([step for step in steps if not MADE_BY_TRACING.fullmatch(step)][-DEEPEST:])


def _layer(part: str) -> str:
    """What an operator without weights belongs to: the layer, not the matrix before it."""
    words = part.split()
    return " ".join(words[:2]) if words[:1] == ["layer"] else ""
