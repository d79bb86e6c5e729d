"""Further signatures from the dynamic graph's one, made in the flatbuffer: converting each would take as long again."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.conversion.binding.flatbuffer import (
    Graph,
    Model,
    Operator,
    code_of,
    drop_operator,
    inputs_of,
    makers,
    new_tensor,
    opcode_index,
    readers,
    schema,
)

_TYPES = {"int32": schema.TensorType.INT32, "float32": schema.TensorType.FLOAT32, "bool": schema.TensorType.BOOL}


class DerivedSignature:
    """A copy of a signature and its graph under another name, to be changed."""

    def __init__(self, model: Model, signature: Any, graph: Graph, name: str) -> None:
        self.model = model
        self.signature, self.graph = copy.deepcopy(signature), copy.deepcopy(graph)
        self.signature.signatureKey = self.graph.name = name.encode()
        self._front: list[Operator] = []

    def input(self, name: str) -> int:
        """The tensor of an input."""
        return next(int(item.tensorIndex) for item in self.signature.inputs if item.name.decode() == name)

    def rename(self, names: Mapping[str, str]) -> None:
        """Give inputs and outputs other names."""
        for item in [*self.signature.inputs, *self.signature.outputs]:
            item.name = names.get(item.name.decode(), item.name.decode()).encode()

    def take_input(self, name: str) -> int:
        """Let an input be an inner tensor; which."""
        tensor = self.input(name)
        self.signature.inputs = [item for item in self.signature.inputs if item.tensorIndex != tensor]
        self.graph.inputs = [int(other) for other in self.graph.inputs if int(other) != tensor]
        return tensor

    def drop_output(self, name: str, keep: Sequence[int] = ()) -> None:
        """Give no such output, nor compute what only it needs and the tensors in `keep` do not."""
        tensor = next(int(item.tensorIndex) for item in self.signature.outputs if item.name.decode() == name)
        self.signature.outputs = [item for item in self.signature.outputs if item.tensorIndex != tensor]
        self.graph.outputs = [int(other) for other in self.graph.outputs if int(other) != tensor]
        needed = {int(other) for other in self.graph.outputs} | set(keep)
        kept = []
        for operator in reversed(self.graph.operators):
            if any(int(output) in needed for output in operator.outputs):
                needed.update(inputs_of(operator))
                kept.append(operator)
        self.graph.operators = kept[::-1]

    def read_instead(self, tensor: int, other: int) -> None:
        """Let whatever reads a tensor read another one; what only made the first is dropped."""
        for operator in readers(self.graph)[tensor]:
            operator.inputs = [other if given == tensor else given for given in inputs_of(operator)]
        maker = makers(self.graph).get(tensor)
        if maker is not None:
            drop_operator(self.graph, maker)

    def maker_of_reader(self, tensor: int, builtin: int) -> Operator:
        """The one operator of that kind that reads a tensor."""
        return next(o for o in readers(self.graph)[tensor] if code_of(self.model, o) == builtin)

    def constant(self, name: str, values: NDArray[Any]) -> int:
        """Add a constant tensor."""
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        place = len(self.model.buffers) - 1
        return new_tensor(self.graph, name.encode(), values.shape, _TYPES[values.dtype.name], place)

    def compute(
        self, builtin: int, inputs: Sequence[int], shape: Sequence[int], dtype: str, options: Any = None,
        output: int | None = None,
    ) -> int:  # fmt: skip
        """Add an operator, to run before those that the graph had; its output, a new tensor unless one is given."""
        operator = schema.OperatorT()
        operator.opcodeIndex = opcode_index(self.model, builtin, 1)
        name = f"{self.graph.name.decode()}/made_{len(self._front)}"
        made = new_tensor(self.graph, name.encode(), tuple(shape), _TYPES[dtype]) if output is None else output
        operator.inputs, operator.outputs = list(inputs), [made]
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self._front.append(operator)
        return made

    def finish(self) -> None:
        """Put the added operators into their place."""
        self.graph.operators = [*self._front, *self.graph.operators]
        self._front = []


def replace_signatures(model: Model, derived: Sequence[DerivedSignature]) -> None:
    """Let the model have these signatures and no other."""
    model.subgraphs, model.signatureDefs = [], []
    for index, one in enumerate(sorted(derived, key=lambda one: bytes(one.signature.signatureKey))):
        one.finish()
        one.signature.subgraphIndex = index
        model.subgraphs.append(one.graph)
        model.signatureDefs.append(one.signature)
