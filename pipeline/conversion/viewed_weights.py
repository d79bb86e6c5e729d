"""Weights under the decoder's names that are views of a model's own parameters, evaluated only for the rows asked for.

A model's files keep queries, keys and values apart or in one tensor, [out, in] or [in, out]; the graph wants [out, in]
and one fused matrix. Nothing is copied until a row is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farm.errors import DescriptionMismatch, UnsupportedArchitecture
from pipeline.conversion.weights import Float32

# Columns of a transposed matrix that are copied at a time: they fill cache lines where single elements waste them.
STRIP = 32

# A Keras variable or a tensor of a file: anything with a path, a shape and a dtype.
Variable = Any
Array = NDArray[Any]


@dataclass(frozen=True)
class Parameter:
    """Where a view reads: `read` gives the values, sharing memory with the model where it can; `variables` are those
    behind it, with the number of elements that the view uses of each; `as_it_is`: it is one variable."""

    read: Callable[[], Array]
    variables: tuple[tuple[Variable, int], ...]
    as_it_is: bool = False

    def select(self, change: Callable[[Array], Array], share: int = 1) -> Parameter:
        """The same values seen otherwise (transposed, reshaped, sliced); `share`: one part of so many."""
        uses = tuple((variable, elements // share) for variable, elements in self.variables)
        return Parameter(lambda: change(self.read()), uses)


@dataclass(frozen=True)
class RowView:
    """Rows of a weight: the array's first `row_axes` axes are rows, the others columns; `offset` is added."""

    parameter: Parameter
    row_axes: int
    shape: tuple[int, ...]
    offset: float = 0.0

    def rows(self, start: int, stop: int) -> Float32:
        """A fresh, contiguous copy."""
        array = self.parameter.read()
        each = math.prod(array.shape[1 : self.row_axes])
        first, last = start // each, -(-stop // each)
        part = array[first:last].reshape((last - first) * each, *self.shape[1:])
        copied = _contiguous(part[start - first * each : stop - first * each])
        if self.offset:
            copied += np.float32(self.offset)
        return copied


class ViewedWeights:
    """A WeightSource that a family's mapping fills, one weight after the other."""

    def __init__(self) -> None:
        self._blocks: dict[str, tuple[RowView, ...]] = {}
        self._used: dict[int, int] = {}

    def names(self) -> Sequence[str]:
        """Every weight, in the order in which they were added."""
        return list(self._blocks)

    def shape(self, name: str) -> tuple[int, ...]:
        """The weight's shape."""
        blocks = self._blocks[name]
        return (sum(block.shape[0] for block in blocks), *blocks[0].shape[1:])

    def rows(self, name: str, start: int, stop: int) -> Float32:
        """Rows `start` to `stop`, gathered from the blocks that they lie in."""
        parts = []
        for block in self._blocks[name]:
            height = block.shape[0]
            if start < height and stop > 0:
                parts.append(block.rows(max(start, 0), min(stop, height)))
            start, stop = start - height, stop - height
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def variable(self, name: str) -> Variable | None:
        """The variable that has the weight's values in the weight's own layout, if there is one."""
        block, *others = self._blocks[name]
        if others or block.offset or not block.parameter.as_it_is:
            return None
        variable = block.parameter.variables[0][0]
        same = tuple(variable.shape) == block.shape and str(variable.dtype) == "float32"
        return variable if same else None

    def add_table(self, name: str, parameter: Parameter) -> tuple[int, ...]:
        """A parameter that is a matrix [rows, columns] already; gives its shape."""
        return self._add(name, [(parameter, 1)])

    def add_vector(self, name: str, parameter: Parameter, offset: float = 0.0) -> None:
        """A vector, to whose elements `offset` is added."""
        self._add(name, [(parameter, 1)], offset)

    def add_projection(
        self, name: str, kernels: Sequence[tuple[Parameter, int]], biases: Sequence[Parameter | None]
    ) -> bool:
        """Kernels with their number of row axes, and their biases, all or none."""
        self._add(f"{name}_weight", kernels)
        present = [bias for bias in biases if bias is not None]
        if present and len(present) != len(biases):
            raise UnsupportedArchitecture(
                f"Only some of the layers that make up {name} have a bias, which the decoder cannot express; use a"
                " model where all or none have one."
            )
        if present:
            self._add(f"{name}_bias", [(bias, len(bias.read().shape)) for bias in present])
        return bool(present)

    def mark_derived(self, variable: Variable) -> None:
        """Count a variable as used that holds nothing but constants of the architecture."""
        self._used[id(variable)] = variable_size(variable)

    def unused(self, variables: Sequence[Variable]) -> list[str]:
        """The paths of those of which some element was not used."""
        return [each.path for each in variables if self._used.get(id(each), 0) < variable_size(each)]

    def check_all_used(self, variables: Sequence[Variable]) -> None:
        """Raise DescriptionMismatch unless every parameter was used, and every element of it once."""
        parameters = {id(variable): variable for variable in variables if is_parameter(variable)}
        wrong = [
            f"{variable.path} ({self._used.get(key, 0)} of {variable_size(variable)} elements used)"
            for key, variable in parameters.items()
            if self._used.get(key, 0) != variable_size(variable)
        ]
        if wrong:
            raise DescriptionMismatch(
                f"{len(wrong)} parameters were not used exactly once, first {wrong[0]}; the model has parts that"
                " its family's mapping does not know, so take them out or convert the plain CausalLM."
            )

    def _add(self, name: str, parts: Sequence[tuple[Parameter, int]], offset: float = 0.0) -> tuple[int, ...]:
        blocks = []
        for parameter, row_axes in parts:
            array = parameter.read()
            if array.dtype.kind in "iub":
                raise UnsupportedArchitecture(
                    "The model was quantized, and its codes are not the weights; give the model before quantization"
                    " and let the recipe quantize it."
                )
            columns = array.shape[row_axes:]
            shape = (math.prod(array.shape[:row_axes]), *([math.prod(columns)] if columns else []))
            blocks.append(RowView(parameter, row_axes, shape, offset))
            for variable, elements in parameter.variables:
                self._used[id(variable)] = self._used.get(id(variable), 0) + elements
        self._blocks[name] = tuple(blocks)
        return self.shape(name)


def _contiguous(array: Array) -> Float32:
    """A fresh float32 copy, row after row."""
    if array.ndim != 2 or array.strides[0] >= array.strides[1]:
        return np.array(array, dtype=np.float32, order="C")
    copied = np.empty(array.shape, np.float32)
    for start in range(0, array.shape[1], STRIP):
        copied[:, start : start + STRIP] = array[:, start : start + STRIP]
    return copied


def variable_size(variable: Variable) -> int:
    """The number of elements."""
    return math.prod(variable.shape)


def is_parameter(variable: Variable) -> bool:
    """Whether a variable is a weight: the states of random generators are whole numbers of 32 bits."""
    return str(variable.dtype) not in ("uint32", "int32", "int64", "bool")
