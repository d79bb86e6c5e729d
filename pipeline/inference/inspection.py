"""What is in a `.tflite`: signatures, tensors, operators and where its bytes go, read without loading its weights."""

from __future__ import annotations

import mmap
import struct
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from farm.errors import FileUnreadable
from pipeline.inference.archive import MODEL_ASSET, Form, entry_of, opened_package
from pipeline.litert_lm import container

IDENTIFIER = b"TFL3"
LOCAL_HEADER_BYTES = 30
# Buffers, tensors, operators and the like of all graphs; a model of a hundred layers has some ten thousand.
MOST_PARTS = 1_000_000

_OPERATORS = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
_TYPES = {value: name.lower() for name, value in vars(schema.TensorType).items() if isinstance(value, int)}


@dataclass(frozen=True)
class TensorInfo:
    """A tensor. stored_bytes: of its constant in the file, 0 for none; buffer tells which tensors share a constant."""

    subgraph: int
    name: str
    shape: tuple[int, ...]
    type: str
    buffer: int
    stored_bytes: int


@dataclass(frozen=True)
class OperatorCount:
    """How often an operator of that version is used; builtin is False for custom and Flex operators."""

    subgraph: int
    name: str
    version: int
    count: int
    builtin: bool


@dataclass(frozen=True)
class SignatureInfo:
    """A signature's tensors as `name: type[sizes]`, in the file's order; n is a size that the caller decides."""

    name: str
    subgraph: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class SizeShare:
    """Bytes of the constants of one kind, each counted once, for example `int8 matrices`."""

    kind: str
    constants: int
    bytes: int


@dataclass(frozen=True)
class Inspection:
    """A whole file. sizes add up to file_bytes: the last entry, `graph`, is everything that is no constant."""

    file_bytes: int
    signatures: tuple[SignatureInfo, ...]
    tensors: tuple[TensorInfo, ...]
    operators: tuple[OperatorCount, ...]
    sizes: tuple[SizeShare, ...]

    @property
    def custom_operators(self) -> tuple[str, ...]:
        """Names of operators that are no built-ins."""
        return tuple(sorted({operator.name for operator in self.operators if not operator.builtin}))


def inspect(path: Path) -> Inspection:
    """Inspect a `.tflite`, or the model inside an APK or a `.litertlm`; FileUnreadable."""
    with opened(path) as content:
        return _inspect_model(schema.Model.GetRootAs(content, 0), len(content))


@contextmanager
def opened(path: Path) -> Iterator[memoryview]:
    """The mapped bytes of a `.tflite`, or of the model inside an APK. FileUnreadable when there is none, and for damage
    that reading in the context meets."""
    try:
        with path.open("rb") as stream:
            start, size = _model_range(path)
            if size < 8:
                raise FileUnreadable(f"{path} is too short for a .tflite model; make it again.")
            with (
                mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
                memoryview(mapped) as whole,
                whole[start : start + size] as content,
            ):
                if bytes(content[4:8]) != IDENTIFIER:
                    raise FileUnreadable(f"{path} is no .tflite model; give a .tflite or an .apk that a farm job made.")
                yield content
    except OSError as error:
        raise FileUnreadable(f"{path} can't be read ({error.strerror}); give a .tflite or an .apk.") from error
    except (struct.error, LookupError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise FileUnreadable(f"{path} is a damaged .tflite model; make or download it again.") from error


def _model_range(path: Path) -> tuple[int, int]:
    """Where the model's bytes lie: the whole file, a section of a `.litertlm`, or the stored asset of an APK."""
    form = Form.of(path)
    if form is Form.CONTAINER:
        section = container.find_model(path)
        return section.begin, section.end - section.begin
    if form is Form.FILE:
        return 0, path.stat().st_size
    with opened_package(path) as package:
        entry = entry_of(package, MODEL_ASSET)
    if entry.compress_type != zipfile.ZIP_STORED:
        raise FileUnreadable(f"{path} holds its model compressed; give an APK that a farm job made.")
    with path.open("rb") as stream:
        stream.seek(entry.header_offset)
        header = stream.read(LOCAL_HEADER_BYTES)
    if len(header) < LOCAL_HEADER_BYTES:
        raise FileUnreadable(f"{path} is a damaged APK; download it again.")
    name_bytes, extra_bytes = struct.unpack("<HH", header[26:30])
    return entry.header_offset + LOCAL_HEADER_BYTES + name_bytes + extra_bytes, entry.file_size


def _inspect_model(model: Any, file_bytes: int) -> Inspection:
    _require_plausible(model)
    stored = [_buffer_bytes(model.Buffers(index)) for index in range(model.BuffersLength())]
    tensors = tuple(_tensors(model, stored))
    return Inspection(
        file_bytes=file_bytes,
        signatures=tuple(_signatures(model)),
        tensors=tensors,
        operators=tuple(_operators(model)),
        sizes=tuple(_sizes(tensors, file_bytes)),
    )


def _require_plausible(model: Any) -> None:
    """ValueError for more parts than a file has: the same few bytes may be told to be any number of them."""
    parts = model.BuffersLength() + model.OperatorCodesLength() + model.SignatureDefsLength()
    for number in range(min(model.SubgraphsLength(), MOST_PARTS)):
        graph = model.Subgraphs(number)
        parts += 1 + graph.TensorsLength() + graph.OperatorsLength()
        if parts > MOST_PARTS:
            raise ValueError("more parts than any model has")


def _buffer_bytes(buffer: Any) -> int:
    return int(buffer.DataLength()) or (int(buffer.Size()) if buffer.Offset() > 1 else 0)


def _tensors(model: Any, stored: list[int]) -> Iterator[TensorInfo]:
    for number in range(model.SubgraphsLength()):
        graph = model.Subgraphs(number)
        for index in range(graph.TensorsLength()):
            tensor = graph.Tensors(index)
            yield TensorInfo(
                number,
                (tensor.Name() or b"").decode(),
                _sizes_of(tensor),
                _TYPES[tensor.Type()],
                int(tensor.Buffer()),
                stored[tensor.Buffer()],
            )


def _sizes_of(tensor: Any) -> tuple[int, ...]:
    return tuple(int(tensor.Shape(axis)) for axis in range(tensor.ShapeLength()))


def _declared_sizes(tensor: Any) -> tuple[int, ...]:
    """Its sizes with -1 for those that the caller decides."""
    declared = tuple(int(tensor.ShapeSignature(axis)) for axis in range(tensor.ShapeSignatureLength()))
    return declared or _sizes_of(tensor)


def _signatures(model: Any) -> Iterator[SignatureInfo]:
    for number in range(model.SignatureDefsLength()):
        signature = model.SignatureDefs(number)
        graph = model.Subgraphs(signature.SubgraphIndex())

        def describe(item: Any, graph: Any = graph) -> str:
            tensor = graph.Tensors(item.TensorIndex())
            sizes = ",".join("n" if size < 0 else str(size) for size in _declared_sizes(tensor))
            return f"{item.Name().decode()}: {_TYPES[tensor.Type()]}[{sizes}]"

        yield SignatureInfo(
            signature.SignatureKey().decode(),
            int(signature.SubgraphIndex()),
            tuple(describe(signature.Inputs(index)) for index in range(signature.InputsLength())),
            tuple(describe(signature.Outputs(index)) for index in range(signature.OutputsLength())),
        )


def _operators(model: Any) -> Iterator[OperatorCount]:
    for number in range(model.SubgraphsLength()):
        graph = model.Subgraphs(number)
        codes = Counter(graph.Operators(index).OpcodeIndex() for index in range(graph.OperatorsLength()))
        named = [(*operator_name(model.OperatorCodes(code)), code, count) for code, count in codes.items()]
        for name, builtin, code, count in sorted(named):
            yield OperatorCount(number, name, int(model.OperatorCodes(code).Version()), count, builtin)


def operator_name(code: Any) -> tuple[str, bool]:
    """The name of an operator code, and whether it is a built-in."""
    name, builtin = builtin_name(code)
    return name or (code.CustomCode() or b"unnamed").decode(), builtin


def builtin_name(code: Any) -> tuple[str, bool]:
    """The name that the schema gives an operator code, empty for a custom one, and whether it is a built-in."""
    builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    if builtin == schema.BuiltinOperator.CUSTOM:
        return "", False
    return _OPERATORS.get(builtin, f"operator {builtin}"), builtin in _OPERATORS


def _sizes(tensors: tuple[TensorInfo, ...], file_bytes: int) -> Iterator[SizeShare]:
    constants = {tensor.buffer: tensor for tensor in tensors if tensor.stored_bytes}
    count: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for tensor in constants.values():
        kind = f"{tensor.type} {'matrices' if len(tensor.shape) > 1 else 'vectors'}"
        count[kind] += 1
        size[kind] += tensor.stored_bytes
    for kind in sorted(size, key=lambda kind: -size[kind]):
        yield SizeShare(kind, count[kind], size[kind])
    yield SizeShare("graph", 0, file_bytes - size.total())
