"""Binding as a list of steps."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from farm.progress import Reporter
from farm.recipes import WeightFormat
from farm.runtimes import APP_RUNTIME, Runtime
from pipeline.conversion.binding.biases import fold_biases
from pipeline.conversion.binding.dead_tensors import compact, name_tensors_uniquely, share_equal_buffers
from pipeline.conversion.binding.derived import DerivedWeights
from pipeline.conversion.binding.flatbuffer import load_model
from pipeline.conversion.binding.loops import carry_into_loops
from pipeline.conversion.binding.model_file import write_model_file
from pipeline.conversion.binding.norm_scales import settle_moved_norm_scales
from pipeline.conversion.binding.norms import fold_norms, looked_up_tables
from pipeline.conversion.binding.operators import require_allowed
from pipeline.conversion.binding.report import BindingReport, FormatTotal
from pipeline.conversion.binding.storage import ConstantTensor, assign_storage, follow_buffers, state_min_runtime
from pipeline.conversion.binding.weight_inputs import require_matching, take_weight_inputs
from pipeline.conversion.quantization.formats import FORMATS, HOST_RUNTIME, check_runnable, newest
from pipeline.conversion.weights import Float32, WeightSource


def bind(
    graph: Path,
    weights: WeightSource,
    weight_format: WeightFormat,
    output: Path,
    report: Reporter | None = None,
    runtimes: Iterable[Runtime] = (APP_RUNTIME, HOST_RUNTIME),
    foreign: Collection[str] = (),
    norms_folded: bool = True,
    exceptions: Mapping[str, WeightFormat] = MappingProxyType({}),
    scales: Mapping[str, Float32] = MappingProxyType({}),
) -> BindingReport:
    """Write the weightless `graph` with its weights in that format to `output`: the same bytes every time.

    exceptions: matrices by name that are stored in another format. scales: of matrices that were rounded before, in
    what the format takes: float32 [rows] or [rows, blocks].
    norms_folded: whether norm scales are multiplied into the matrices behind them, where these are read only once.
    RecipeNotRunnable when one of the runtimes can't compute the weight_format, BindingFailed when graph and weights
    do not have the structure that the binder knows, OpNotAllowed for an operator that is neither a built-in nor among
    `foreign`.
    """
    used = {weight_format, *exceptions.values()}
    for runtime in runtimes:
        for each in sorted(used):
            check_runnable(each, runtime)
    started = time.perf_counter()
    model = load_model(graph)
    require_allowed(model, foreign)
    taken = take_weight_inputs(model)
    carry_into_loops(model, taken)
    require_matching(model, taken, weights)
    settle_moved_norm_scales(model, taken, folded=norms_folded)
    tables = looked_up_tables(model, taken)
    for subgraph, its_weights in zip(model.subgraphs, taken, strict=True):
        fold_biases(model, subgraph, its_weights)
        if norms_folded:
            fold_norms(model, subgraph, its_weights, tables)
    derived = DerivedWeights(weights)
    share_equal_buffers(model)
    stored = assign_storage(model, taken, derived, weight_format, exceptions, scales)
    follow_buffers(stored, compact(model))
    name_tensors_uniquely(model)
    state_min_runtime(model, newest(used))
    shaped = time.perf_counter()
    head_bytes = write_model_file(model, stored, derived, output, report or _say_nothing)
    return BindingReport(
        file_bytes=output.stat().st_size,
        head_bytes=head_bytes,
        graph_seconds=shaped - started,
        weight_seconds=time.perf_counter() - shaped,
        weight_formats=_totals(stored),
    )


def _totals(stored: list[ConstantTensor]) -> tuple[FormatTotal, ...]:
    totals = []
    for weight_format in WeightFormat:
        of_form = [weight for weight in stored if weight.weight_format is weight_format]
        if of_form:
            totals.append(
                FormatTotal(
                    weight_format, len(of_form), sum(FORMATS[weight_format].stored_bytes(w.shape) for w in of_form)
                )
            )
    return tuple(totals)


def _say_nothing(_share: float, _activity: str) -> None:
    return
