"""Walks a `.tflite` and says of every operator what it is, in which graph and in which part of the model.

The file may be anybody's: what is read is bounded, and damage ends in FileUnreadable.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from farm.errors import FileUnreadable
from pipeline.inference import inspection
from pipeline.ops import nodes, tftext
from pipeline.ops.parts import PartFinder

# More of anything is no language model; it keeps a made-up file from taking hours.
MOST_OPERATORS = 2_000_000
MOST_GRAPHS = 10_000
LONGEST_TEXT = 512
LARGEST_NODE = 1 << 20

FLEX = "Flex"
# Places of fields in the schema's tables, counted from the table's start as flatbuffers does.
TENSOR_NAME, CUSTOM_CODE, GRAPH_NAME, SIGNATURE_KEY = 10, 6, 12, 8


class OpKind(StrEnum):
    """Who brings an operator's kernel: TFLite itself, TensorFlow through Flex, TF Text, or the program."""

    BUILTIN = "builtin"
    FLEX = "flex"
    TFTEXT = "tftext"
    CUSTOM = "custom"


@dataclass(frozen=True)
class OpUse:
    """One operator. runs: TensorFlow's op behind a Flex operator, None for others; fault: why that can't be told or is
    not what the name says. graph: the signature that runs it, or the subgraph's name; part: of the model, or empty."""

    kind: OpKind
    name: str
    version: int
    graph: str
    part: str
    runs: str | None = None
    fault: str | None = None


def read_operators(path: Path) -> Iterator[OpUse]:
    """Every operator of a `.tflite`, or of the model in an APK, graph by graph; FileUnreadable."""
    with inspection.opened(path) as content:
        yield from _Reader(schema.Model.GetRootAs(content, 0), path).operators()


class _Reader:
    def __init__(self, model: Any, path: Path) -> None:
        self._model, self._path = model, path
        self._codes = [
            _Code.of(model.OperatorCodes(index)) for index in range(self._bounded(model.OperatorCodesLength()))
        ]

    def operators(self) -> Iterator[OpUse]:
        seen = 0
        graphs = self._model.SubgraphsLength()
        if graphs > MOST_GRAPHS:
            raise self._too_large()
        names = self._graph_names(graphs)
        for number in range(graphs):
            graph = self._model.Subgraphs(number)
            parts = PartFinder(partial(_tensor_name, graph))
            tensors = int(graph.TensorsLength())
            for index in range(graph.OperatorsLength()):
                seen += 1
                if seen > MOST_OPERATORS:
                    raise self._too_large()
                operator = graph.Operators(index)
                inputs = _numbers(operator.InputsLength(), operator.Inputs, tensors)
                outputs = _numbers(operator.OutputsLength(), operator.Outputs, tensors)
                part = parts.part(inputs, outputs)
                yield self._use(self._codes[operator.OpcodeIndex()], operator, names[number], part)

    def _graph_names(self, graphs: int) -> list[str]:
        found = [text_of(self._model.Subgraphs(number), GRAPH_NAME) or f"graph {number}" for number in range(graphs)]
        for number in range(min(self._model.SignatureDefsLength(), MOST_GRAPHS)):
            signature = self._model.SignatureDefs(number)
            found[signature.SubgraphIndex()] = text_of(signature, SIGNATURE_KEY)
        return found

    def _use(self, code: _Code, operator: Any, graph: str, part: str) -> OpUse:
        if code.builtin:
            return OpUse(OpKind.BUILTIN, code.name, code.version, graph, part)
        if not code.name.startswith(FLEX):
            kind = OpKind.TFTEXT if tftext.is_custom_op(code.name) else OpKind.CUSTOM
            return OpUse(kind, code.name, code.version, graph, part)
        runs, fault = code.name.removeprefix(FLEX), None
        size = int(operator.CustomOptionsLength())
        if size > LARGEST_NODE:
            fault = "its node is too large to be read"
        elif size:
            try:
                node = nodes.node_op(bytes(operator.CustomOptionsAsNumpy()))
            except ValueError as error:
                fault = str(error)
            else:
                fault = None if node == runs else f"it runs {node[:LONGEST_TEXT]}, which its name does not say"
                runs = node[:LONGEST_TEXT]
        kind = OpKind.TFTEXT if runs in tftext.TENSORFLOW_OPS else OpKind.FLEX
        return OpUse(kind, code.name, code.version, graph, part, runs, fault)

    def _bounded(self, count: int) -> int:
        if count > MOST_OPERATORS:
            raise self._too_large()
        return int(count)

    def _too_large(self) -> FileUnreadable:
        return FileUnreadable(
            f"{self._path} claims more than {MOST_OPERATORS} operators or {MOST_GRAPHS} graphs, so it is no model of"
            " text; take it from a source that you know."
        )


@dataclass(frozen=True)
class _Code:
    name: str
    builtin: bool
    version: int

    @classmethod
    def of(cls, code: Any) -> _Code:
        name, builtin = inspection.builtin_name(code)
        return cls(name if builtin else name or text_of(code, CUSTOM_CODE) or "unnamed", builtin, int(code.Version()))


def _tensor_name(graph: Any, tensor: int) -> str:
    return text_of(graph.Tensors(tensor), TENSOR_NAME)


def text_of(table: Any, field: int) -> str:
    """A text field of a flatbuffer table, its beginning only: many tables of a hostile file may share a huge one."""
    inner = table._tab  # the generated accessor copies the whole text
    place = inner.Offset(field)
    if not place:
        return ""
    start, length = inner.Vector(place), inner.VectorLen(place)
    return bytes(inner.Bytes[start : start + min(length, LONGEST_TEXT)]).decode(errors="replace")


def _numbers(count: int, at: Any, limit: int) -> list[int]:
    """Tensor indices that exist; -1 stands for an optional input that is left out."""
    return [index for place in range(min(int(count), limit + 1)) if 0 <= (index := int(at(place))) < limit]
