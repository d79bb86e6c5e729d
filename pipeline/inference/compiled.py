"""LiteRT's compiled model: a file's signatures with buffers that they share."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import ai_edge_litert
import numpy as np
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.cpu_options import CpuOptions
from ai_edge_litert.environment import Environment
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.options import Options
from numpy.typing import NDArray

from farm.native_output import hold_back_at_exit, stdout_suppressed
from pipeline.inference.contract import SignatureShape, TensorShape

# XNNPACK's name for a cache of packed weights that is no file.
IN_MEMORY = ":memory:"


class Signature:
    """One signature of an open model with a buffer for each tensor, those in `shared` by their tensors' names.

    shape: see `signature_shape`.
    """

    def __init__(self, model: Any, name: str, shape: SignatureShape, shared: Mapping[str, Any]):
        self.shape = shape
        self._model = model
        self._name = name
        create_input, create_output = model.create_input_buffer_by_name, model.create_output_buffer_by_name
        self._inputs = {item: shared.get(item) or create_input(name, item) for item in self.shape.inputs}
        self._outputs = {item: shared.get(item) or create_output(name, item) for item in self.shape.outputs}

    def write(self, **inputs: NDArray[Any]) -> None:
        """Put values into inputs; the others keep theirs."""
        for name, value in inputs.items():
            self._inputs[name].write(value)

    def run(self) -> None:
        """Compute the outputs."""
        self._model.run_by_name(self._name, self._inputs, self._outputs)

    def read(self, name: str) -> NDArray[Any]:
        """An output, the caller's own copy."""
        return read_buffer(self._outputs[name], self.shape.outputs[name])


def open_compiled(path: Path, threads: int) -> Any:
    """A file in LiteRT on the processor, its subgraphs sharing one packing of weights; ValueError, RuntimeError."""
    options = Options(cpu_options=CpuOptions(num_threads=threads, xnnpack_weight_cache_path=IN_MEMORY))
    with stdout_suppressed():
        # It checks the file's structure, which a compiled model takes on trust: a damaged file can hold that forever.
        Interpreter(str(path), num_threads=threads)
        return CompiledModel.from_file(str(path), environment=_environment(), options=options)


def signature_shape(model: Any, name: str) -> SignatureShape:
    """The tensors of a signature of an open model."""
    inputs, outputs = model.get_input_tensor_details(name), model.get_output_tensor_details(name)
    return SignatureShape(tensor_shapes(inputs), tensor_shapes(outputs))


def declared_shape(path: Path, name: str) -> SignatureShape:
    """The tensors of a signature as the file declares them, ANY for sizes that the caller decides."""
    with stdout_suppressed():
        runner = Interpreter(str(path)).get_signature_runner(name)
    sides = [
        {item: TensorShape(_type_name(tensor["dtype"]), _declared_sizes(tensor)) for item, tensor in details.items()}
        for details in (runner.get_input_details(), runner.get_output_details())
    ]
    return SignatureShape(*sides)


def _declared_sizes(tensor: Mapping[str, Any]) -> tuple[int, ...]:
    signature = tensor["shape_signature"]
    return tuple(int(size) for size in (signature if len(signature) else tensor["shape"]))


def read_buffer(buffer: Any, shape: TensorShape) -> NDArray[Any]:
    """A copy of what a buffer holds."""
    values: NDArray[Any] = buffer.read(int(np.prod(shape.sizes)), np.dtype(shape.dtype))
    return values.reshape(shape.sizes)


def first_line(error: Exception) -> str:
    """What LiteRT says at most about what is wrong with a file."""
    return (str(error).strip().splitlines() or ["no message"])[0][:160]


def tensor_shapes(details: Mapping[str, Mapping[str, Any]]) -> dict[str, TensorShape]:
    """A signature's inputs or outputs by their names, as LiteRT describes them."""
    return {
        name: TensorShape(_type_name(item["dtype"]), tuple(int(size) for size in item["shape"]))
        for name, item in details.items()
    }


def _type_name(dtype: Any) -> str:
    # It has no word for strings, of which the I/O mode `strings` has signatures beside these.
    return "unknown" if dtype == "unknown" else np.dtype(dtype).name


@cache
def _environment() -> Any:
    # It would look for the libraries of accelerators that are not there; in this folder are none.
    hold_back_at_exit()
    return Environment.create(compiler_plugin_path=str(Path(ai_edge_litert.__file__).parent / "tools"))
