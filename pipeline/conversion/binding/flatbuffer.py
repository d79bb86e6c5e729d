"""The border to the flatbuffer schema of TFLite, which ships no types: reading, packing, and questions about graphs."""

from __future__ import annotations

import struct
from collections import defaultdict
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated

from farm.errors import BindingFailed

schema: Any = schema_py_generated

# Objects of the schema's object API: ModelT, SubGraphT, OperatorT.
Model = Any
Graph = Any
Operator = Any

Builtin = schema.BuiltinOperator
IDENTIFIER = b"TFL3"
# Codes from here on do not fit into the one-byte field that readers of old schemas look at.
DEPRECATED_CODE_LIMIT = 127

_OPERATOR_NAMES = {value: name for name, value in vars(Builtin).items() if isinstance(value, int)}


def load_model(path: Path) -> Model:
    """Read a weightless graph; BindingFailed when the file holds none."""
    content = path.read_bytes()
    if content[4:8] != IDENTIFIER:
        raise BindingFailed(f"{path.name} is no .tflite graph; clear the farm's graph cache and convert again.")
    try:
        return schema.ModelT.InitFromPackedBuf(content, 0)
    except (struct.error, IndexError, ValueError, TypeError) as error:
        raise BindingFailed(
            f"The graph {path.name} is damaged; clear the farm's graph cache and convert again."
        ) from error


def pack_model(model: Model) -> bytearray:
    """The model as a flatbuffer."""
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytearray(builder.Output())


def code_of(model: Model, operator: Operator) -> int:
    """The operator's built-in code."""
    code = model.operatorCodes[operator.opcodeIndex]
    return int(max(code.builtinCode, code.deprecatedBuiltinCode))


def name_of(model: Model, operator: Operator) -> str:
    """The operator's name as the schema spells it, or the name of a custom operator."""
    code = model.operatorCodes[operator.opcodeIndex]
    if code_of(model, operator) == Builtin.CUSTOM:
        return (code.customCode or b"unnamed").decode()
    return _OPERATOR_NAMES.get(code_of(model, operator), f"operator {code_of(model, operator)}")


def is_builtin(model: Model, operator: Operator) -> bool:
    """Whether every TFLite runtime has a kernel of that name: neither custom nor Flex."""
    code = code_of(model, operator)
    return code != Builtin.CUSTOM and code in _OPERATOR_NAMES


def opcode_index(model: Model, builtin: int, version: int) -> int:
    """The index of that operator code in the model, added when missing."""
    for index, code in enumerate(model.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == builtin and code.version == version:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode, code.version = builtin, version
    code.deprecatedBuiltinCode = min(builtin, DEPRECATED_CODE_LIMIT)
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def inputs_of(operator: Operator) -> list[int]:
    """The operator's inputs as tensor indices; -1 stands for an optional one that is left out."""
    return [int(tensor) for tensor in operator.inputs]


def readers(graph: Graph) -> dict[int, list[Operator]]:
    """Which operators read each tensor, once for every time they do."""
    found: dict[int, list[Operator]] = defaultdict(list)
    for operator in graph.operators:
        for tensor in inputs_of(operator):
            found[tensor].append(operator)
    return found


def makers(graph: Graph) -> dict[int, Operator]:
    """Which operator makes each tensor."""
    return {int(tensor): operator for operator in graph.operators for tensor in operator.outputs}


def shape_of(graph: Graph, tensor: int) -> tuple[int, ...]:
    """The tensor's sizes; () for a scalar."""
    shape = graph.tensors[tensor].shape
    return () if shape is None else tuple(int(size) for size in shape)


def graph_name(graph: Graph) -> str:
    """The subgraph's name."""
    return (graph.name or b"main").decode()


def drop_operator(graph: Graph, operator: Operator) -> None:
    """Take an operator out. By identity: the schema's classes know no equality."""
    graph.operators = [other for other in graph.operators if other is not operator]


def new_tensor(graph: Graph, name: bytes, shape: tuple[int, ...], element: int, buffer: int = 0) -> int:
    """Add a tensor; its index."""
    tensor = schema.TensorT()
    tensor.name, tensor.type, tensor.buffer = name, element, buffer
    tensor.shape = np.array(shape, np.int32)
    tensor.hasRank = True
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1
