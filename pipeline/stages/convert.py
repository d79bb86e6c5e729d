"""Stage convert: from Keras's files to a `.tflite` that holds the farm's own decoder, and the reference to judge it by.

Three checks are on the way: the description fits the weights, every Keras parameter is used once, and the decoder gives
Keras's logits.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from farm import aars, digests, recipes
from farm.artifacts import ArtifactName
from farm.errors import ContextTooLong, UnsupportedArchitecture
from farm.jobspec import IoMode, SpecialTokens, TokenizerGraph
from farm.progress import Reporter
from farm.prompting import Mode, Prompting
from farm.recipes import Activations, Preparation, WeightFormat
from farm.stages import BY_NAME, StageName
from pipeline.chat import choosing
from pipeline.chat.choosing import Choice
from pipeline.conversion import (
    decoder_check,
    full_forward,
    full_integer,
    io_modes,
    keras_graph,
    preparation,
    reference_plan,
)
from pipeline.conversion.binding import bind
from pipeline.conversion.description import DecoderDescription
from pipeline.conversion.full_forward import Forward
from pipeline.conversion.golden_conversation import GoldenConversation, converse
from pipeline.conversion.graph_cache import CachedGraph
from pipeline.conversion.keras_tokenizer import KerasReader
from pipeline.conversion.loading import CausalLM
from pipeline.conversion.mapping import MappedModel
from pipeline.conversion.opening import open_model
from pipeline.conversion.preparation import Prepared
from pipeline.conversion.preparation.calibration import calibration_tokens
from pipeline.conversion.preparation.matrix_formats import choose_formats
from pipeline.conversion.prompt_reading import prompt_reading
from pipeline.conversion.quantization.formats import HOST_RUNTIME, format_for
from pipeline.conversion.reference import Reference
from pipeline.conversion.reference_plan import Plan
from pipeline.conversion.weights import Float32
from pipeline.inference import growth
from pipeline.inference.generation import generate
from pipeline.inference.interpreter import open_token_model
from pipeline.inference.model_info import ModelInfo, identity
from pipeline.models import jsonfile, metadata
from pipeline.models.metadata import Metadata
from pipeline.ops import allowlist
from pipeline.ops.allowlist import Allowlist
from pipeline.request import Metric, StageRequest, StageResult
from pipeline.tokenizers.export import TokenizerExport, export_tokenizer

# Without a tokenizer of the app's kind there is nothing to package.
NEEDS_TOKENIZER = BY_NAME[StageName.CONVERT].may_skip

IO_MODE_NOTES: dict[IoMode, tuple[str, ...]] = {
    IoMode.TOKENS: (),
    IoMode.BYTES: (
        "The app runs this file token by token through its signature run, with the app's own tokenizer;"
        " a program of your own can call serving_default, from text to text.",
    ),
    IoMode.STRINGS: (
        "The app of this I/O mode runs TFLite with Flex, which has no library for this machine's JVM: the farm runs the"
        " model in TensorFlow, and the app's code without it; try the app on a phone.",
    ),
}


KERAS_GRAPH_END = (
    "KerasHub's graph needs operators of TF Text that no published AAR has; the job ends at the verified model.tflite,"
    " for an app with an AAR built for them (--aar bazel or file:PATH)."
)
UNPREPARED = "KerasHub's graph takes its weights as they are: the recipe's steps before rounding were left out."


@dataclass(frozen=True)
class ConversionOutcome:
    """What came of a conversion beside the file.

    weight_format: of its matrices; ends: why the job goes no further, if so.
    """

    weight_format: WeightFormat
    metrics: tuple[Metric, ...]
    notes: tuple[str, ...]
    ends: str | None


STATIC_END = (
    "The app resizes its model to the text, and the lengths in this one are fixed; the job ends at the verified"
    " model.tflite. Leave --static-shapes out for an app."
)


class Timer:
    """What is measured on the way, first of all the seconds per step."""

    def __init__(self) -> None:
        self.metrics: list[Metric] = []

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Time what is done in the context."""
        started = time.perf_counter()
        yield
        self.metrics.append(Metric(name=name, value=time.perf_counter() - started, unit="s"))


def run(request: StageRequest, report: Reporter) -> StageResult:
    """Convert one model."""
    timer = Timer()
    # TensorFlow reads it at its first operation.
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(request.threads)
    report(0.0, "loading the model")
    said = metadata.read(request.input(ArtifactName.SOURCE))
    with timer.measure("load_seconds"):
        opened = open_model(request.input(ArtifactName.SOURCE), request.spec.tokenizer_graph, request.threads)
    model, forward, causal_lm = opened.model, opened.forward, opened.causal_lm
    check_vocabulary(model.description.vocabulary_size)
    export = export_tokenizer(
        opened.preprocessor, model.family, request.input(ArtifactName.SOURCE),
        tokens=model.description.vocabulary_size, prompting=request.spec.app.prompting(said.prompting),
        evaluation=request.spec.evaluation,
    )  # fmt: skip
    choice = choosing.choose(
        request.spec.app, request.spec.io_mode, request.input(ArtifactName.SOURCE), said, export, model.family,
        request.spec.model_ref.short_name,
    )  # fmt: skip
    export, prompting = choice.export, choice.prompting
    request = fit_context(request, model.positions, choice)
    io_modes.require_usable(request.spec, model, export)
    keras_graph_wanted = request.spec.tokenizer_graph is TokenizerGraph.TFTEXT and causal_lm is not None
    reader = KerasReader(causal_lm, export) if keras_graph_wanted else None
    reading = prompt_reading(request.spec, export, prompting)
    plan = reference_plan.plan_reference(
        model.description, request.spec.longest_text, export, prompting,
        reading.read if reader is None else reader.read, request.spec.evaluation,
        stated_windows(request.input(ArtifactName.SOURCE)),
    )  # fmt: skip
    if reader is None:
        steps = preparation.steps_of(recipes.find(request.spec.recipe), request.spec.runtime)
        described = replace(model, description=preparation.describe(model.description, steps))
        graph = find_own_graph(request, described, export, timer, report)
        probe_logits = compare_with_keras(model, forward, plan, timer, report)
        prepared = (
            prepare_weights(request, steps, model, export, prompting, plan, probe_logits, timer, report)
            if steps
            else None
        )
        made = bind_own_graph(request, graph, model, prepared, timer, report)
    else:
        made = make_keras_graph(request, causal_lm, reader, timer, report)
        gc.collect()
        probe_logits = forward.logits_after(plan.probe_tokens)
    report(0.75, "asking Keras for the golden tokens")
    with timer.measure("reference_seconds"):
        stops = model_stop_tokens(model, export)
        drafter = (
            None
            if reader is not None
            else file_drafter(request.output(ArtifactName.MODEL), request.threads, request.spec.wanted_context)
        )
        continuations = full_forward.continue_greedily(forward, plan, stops, drafter)
        free = () if drafter is None else full_forward.write_freely(forward, plan, stops, drafter)
        texts = full_forward.read_texts(forward, plan.texts)
        talk = GoldenConversation(plan, (), ())
        if choice.chat is not None and choice.template is not None and export.tokenizer is not None:
            talk = converse(
                forward, plan, choice.chat, choice.template, export.tokenizer, stops, request.spec.longest_text, drafter
            )
    reference = Reference(
        talk.plan, (*continuations, *talk.continuations), probe_logits, texts, export.start_token, stops, free,
        talk.turns,
    )  # fmt: skip
    report(0.95, "writing the model's metadata")
    write_metadata(request, model, choice, reference, said, made.weight_format, reading.special_tokens)
    sizes = model.description.weight_shapes().values()
    float32_bytes = 4 * sum(int(np.prod(shape)) for shape in sizes)
    file_bytes = request.output(ArtifactName.MODEL).stat().st_size
    figures = (
        Metric(name="file_bytes", value=file_bytes, unit="bytes"),
        Metric(name="file_to_float32_ratio", value=file_bytes / float32_bytes, unit="ratio"),
        Metric(name="keras_perplexity", value=reference.perplexity, unit="perplexity"),
        Metric(name="context", value=request.spec.wanted_context, unit="tokens"),
        Metric(
            name="cache_bytes", value=cache_bytes(model.description, request.spec.wanted_context, request.spec.grows),
            unit="bytes",
        ),
    )  # fmt: skip
    ends = export.why_no_app(request.spec.io_mode) or made.ends or (STATIC_END if request.spec.static_shapes else None)
    unread = (*choice.notes, *metadata.unread_options(request.spec.model_ref, said))
    io_mode_notes = IO_MODE_NOTES[request.spec.io_mode] if ends is None else ()
    return StageResult(
        metrics=(*timer.metrics, *made.metrics, *figures),
        notes=(*opened.notes, *unread, *made.notes, *io_mode_notes, *reading.notes),
        skips={} if ends is None else dict.fromkeys(NEEDS_TOKENIZER, ends),
        attributes={"family": model.family, "compared_with": opened.witness},
    )


def find_own_graph(
    request: StageRequest, model: MappedModel, export: TokenizerExport, timer: Timer, report: Reporter
) -> CachedGraph:
    """The farm's own decoder without weights; OpNotAllowed, OpForbidden where it has an op that the job may not."""
    report(0.3, "converting the graph")
    with timer.measure("graph_seconds"):
        found = io_modes.find_graph(request, model, export, model_stop_tokens(model, export))
    # Before the costly steps; the binder simplifies built-in ops, so that these are judged in the finished file.
    allowlist.require(found.path, Allowlist.of(request), only_custom=True)
    return found


def compare_with_keras(model: MappedModel, forward: Forward, plan: Plan, timer: Timer, report: Reporter) -> Float32:
    """Keras's logits [N,V] after each probe token; ReferenceMismatch when the decoder gives others."""
    report(0.5, "comparing the decoder with Keras")
    # Keras's first pass is traced, in Python; the decoder's is computed as it goes, and leaves Python most of the time.
    with timer.measure("gate_seconds"), ThreadPoolExecutor(1) as pool:
        asked = pool.submit(forward.logits_after, plan.probe_tokens)
        actual = decoder_check.run_decoder(model.description, model.weights, plan.probe_tokens)
        expected = asked.result()
        difference = decoder_check.require_equal(actual, expected)
        if plan.long_probe is not None:
            decoder_check.require_equal_far_on(model.description, model.weights, forward, plan.long_probe)
    timer.metrics.append(Metric(name="decoder_difference", value=difference, unit="share"))
    return expected


def prepare_weights(
    request: StageRequest, steps: Sequence[Preparation], model: MappedModel, export: TokenizerExport,
    prompting: Prompting, plan: Plan, expected: Float32, timer: Timer, report: Reporter,
) -> Prepared:  # fmt: skip
    """Do the steps before rounding; PreparationFailed when the prepared model gives other logits in float32
    than those expected [N,V] after the probe tokens."""
    recipe, description = recipes.find(request.spec.recipe), model.description
    with timer.measure("prepare_seconds"):
        length = min(recipe.calibration_length, request.spec.wanted_context)
        tokens = calibration_tokens(
            export, description.vocabulary_size, length, prompting, request.spec.calibration, recipe.calibration_texts
        )
        formats = choose_formats(description, recipe, request.spec.runtime)
        prepared = preparation.prepare(
            description, model.weights, steps, formats.products, tokens,
            lambda progress, activity: report(0.55 + 0.1 * progress, activity), request.threads, recipe.finer_share,
        )  # fmt: skip
        actual = decoder_check.run_decoder(prepared.description, prepared.unrounded, plan.probe_tokens)
        decoder_check.require_unchanged(actual, expected)
    return prepared


def bind_own_graph(
    request: StageRequest, found: CachedGraph, model: MappedModel, prepared: Prepared | None, timer: Timer,
    report: Reporter,
) -> ConversionOutcome:  # fmt: skip
    """Write `model.tflite` with the farm's own decoder; prepared: what goes into it in place of the model's weights."""
    report(0.65, "writing the weights")
    with timer.measure("bind_seconds"):
        recipe = recipes.find(request.spec.recipe)
        formats = choose_formats(model.description, recipe, request.spec.runtime)
        weight_format = formats.default
        output, static = request.output(ArtifactName.MODEL), recipe.activations is Activations.STATIC_INT8
        exact = request.scratch / "float32.tflite"
        finer = {} if prepared is None else prepared.finer
        bind(
            found.path, model.weights if prepared is None else prepared.weights,
            WeightFormat.FLOAT32 if static else weight_format, exact if static else output,
            runtimes=(request.spec.runtime, HOST_RUNTIME), norms_folded=recipe.fold_norms,
            foreign=io_modes.custom_operators(request.spec.io_mode),
            exceptions={} if static else {**formats.by_name, **finer},
            scales={} if prepared is None else prepared.scales,
        )  # fmt: skip
    if static:
        report(0.68, "quantizing the activations")
        with timer.measure("calibrate_seconds"):
            full_integer.quantize(exact, {} if prepared is None else prepared.ranges, output)
        exact.unlink()
    return ConversionOutcome(
        weight_format=weight_format,
        metrics=(Metric(name="graph_cached", value=float(found.cached), unit="flag"),),
        notes=(*formats.notes, *(() if prepared is None else prepared.notes)),
        ends=None,
    )


def make_keras_graph(
    request: StageRequest, causal_lm: CausalLM, reader: KerasReader, timer: Timer, report: Reporter
) -> ConversionOutcome:
    """Write `model.tflite` with KerasHub's own graph, and say where its tokenizer reads otherwise."""
    report(0.3, "comparing KerasHub's tokenizer with the reference")
    with timer.measure("tokenizer_seconds"):
        difference = reader.compare()
    report(0.4, "converting KerasHub's graph")
    with timer.measure("graph_seconds"):
        weight_format = format_for(recipes.find(request.spec.recipe).weight_format, request.spec.runtime)
        allowed = Allowlist.of(request)
        content = keras_graph.convert(
            causal_lm, request.spec.longest_text, weight_format, request.spec.conversion_route,
            judge=lambda ops: allowlist.require_traced(ops, allowed),
        )  # fmt: skip
        request.output(ArtifactName.MODEL).write_bytes(content)
    ends = KERAS_GRAPH_END if request.spec.app.aar == aars.STOCK else None
    return ConversionOutcome(
        weight_format=weight_format,
        metrics=(
            Metric(name="tokenizer_texts", value=difference.texts, unit="texts"),
            Metric(name="tokenizer_texts_read_otherwise", value=difference.otherwise, unit="texts"),
        ),
        notes=(difference.sentence(), *([UNPREPARED] if recipes.find(request.spec.recipe).preparation else [])),
        ends=ends,
    )


def fit_context(request: StageRequest, positions: int | None, choice: Choice) -> StageRequest:
    """The request with the context as a number; ContextTooLong when the model was made for fewer positions than were
    asked for."""
    spec = request.spec.fitted(positions, chats=choice.chat is not None or choice.prompting.mode is Mode.INSTRUCT)
    if positions is not None and spec.wanted_context > positions:
        raise ContextTooLong(
            f"The context of {spec.wanted_context} tokens is longer than the model's {positions} positions; ask for a"
            f" context of at most {positions}."
        )
    return request.model_copy(update={"spec": spec})


def cache_bytes(description: DecoderDescription, context: int, grows: bool) -> int:
    """What the caches of the longest text take in float32. grows: whether a window's caches hold the window alone."""
    windows = [None if description.alibi_slopes is not None else layer.attention_window for layer in description.layers]
    rows = sum(growth.cached_rows(context, window if grows else None) for window in windows)
    return 2 * 4 * rows * description.key_value_heads * description.head_size


def file_drafter(path: Path, threads: int, context: int) -> full_forward.Drafter:
    """The written file as a drafter: where it is sound, few of Keras's passes give many tokens."""
    file = open_token_model(path, threads, context)
    return lambda tokens, count: list(generate(file, tokens, count, ()))


def stated_windows(source: Path) -> tuple[int, ...]:
    """The attention windows that `config.json` of a preset or a folder names, in tokens, however they were mapped."""
    path = source / "config.json"
    if not path.is_file():
        return ()
    return tuple(_windows_in(jsonfile.parse(path.read_bytes(), path.name)))


def _windows_in(value: object, name: str = "") -> Iterator[int]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _windows_in(inner, str(key))
    elif "window" in name and isinstance(value, int) and not isinstance(value, bool) and value > 0:
        yield value


def check_vocabulary(tokens: int) -> None:
    """UnsupportedArchitecture when there is nothing to choose from."""
    if tokens < 2:
        raise UnsupportedArchitecture(
            f"The model has a vocabulary of {tokens} token, so that there is nothing to write; give a model with a"
            " vocabulary of its language."
        )


def model_stop_tokens(model: MappedModel, export: TokenizerExport) -> tuple[int, ...]:
    """The tokens that end an answer; the last of the vocabulary where the model has no tokenizer to say so."""
    return export.stop_tokens or (model.description.vocabulary_size - 1,)


def write_metadata(
    request: StageRequest, model: MappedModel, choice: Choice, reference: Reference, said: Metadata,
    weight_format: WeightFormat, special_tokens: SpecialTokens | None,
) -> None:  # fmt: skip
    """Everything that goes with `model.tflite`."""
    description, spec, export = model.description, request.spec, choice.export
    own = spec.tokenizer_graph is not TokenizerGraph.TFTEXT
    stops = model_stop_tokens(model, export)
    request.output(ArtifactName.DESCRIPTION).write_bytes(description.canonical_json())
    request.output(ArtifactName.TOKENIZER).write_bytes(export.content)
    reference.write(request.output(ArtifactName.REFERENCE))
    name, source = identity(spec.model_ref, model.family, spec.model_digest)
    ModelInfo(
        name=name,
        family=model.family,
        io_mode=spec.io_mode.value,
        recipe=recipes.find(spec.recipe).name,
        context=spec.longest_text,
        prefill=spec.prefill_lengths if spec.static_shapes else (),
        vocabulary_size=description.vocabulary_size,
        layers=len(description.layers),
        kv_heads=description.key_value_heads,
        head_dim=description.head_size,
        start_token=export.start_token,
        end_token=stops[0] if export.end_token is None else export.end_token,
        stop_tokens=stops,
        tokenizer=export.kind,
        tokenizer_sha256=None if export.tokenizer is None else digests.of_bytes(export.content),
        model_sha256=digests.of_file(request.output(ArtifactName.MODEL)),
        source=source,
        source_digest=spec.model_digest,
        prompt_bytes=spec.prompt_bytes if own and spec.io_mode is not IoMode.TOKENS else None,
        output_tokens=None if spec.io_mode is IoMode.TOKENS else spec.longest_answer,
        prompting=choice.prompting,
        chat=choice.chat,
        runtime=spec.runtime.value,
        weights=weight_format.value,
        tokenizer_graph=spec.tokenizer_graph.value if spec.io_mode is IoMode.STRINGS else None,
        special_tokens=None if special_tokens is None else special_tokens.value,
        licence=said.licence,
    ).write(request.output(ArtifactName.MODEL_INFO))
