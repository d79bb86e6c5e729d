"""Stage convert: from Keras's files to a `.tflite` that holds the farm's own decoder, and the reference to judge it by.

Three gates lie on the way: the description fits the weights, every Keras parameter is used once, and the decoder gives
Keras's logits.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from farm import digests, recipes
from farm.artifacts import ArtifactName
from farm.errors import ContextTooLong
from farm.jobspec import Lane
from farm.progress import Reporter
from farm.prompting import Prompting
from farm.recipes import WeightForm
from farm.stages import StageName
from worker.conversion import decoder_gate, full_forward, lanes, loading, mapping, reference_plan
from worker.conversion.binding import bind
from worker.conversion.binding.runtimes import HOST_RUNTIME, form_for
from worker.conversion.full_forward import FullForward
from worker.conversion.mapping import MappedModel
from worker.conversion.reference import Reference
from worker.conversion.tokenizer import TokenizerExport, export_tokenizer
from worker.inference.model_info import ModelInfo
from worker.models.metadata import own_prompting
from worker.ops import allowlist
from worker.ops.allowlist import Allowlist
from worker.order import Metric, StageOrder, StageResult

# Without a tokenizer of the app's kind there is nothing to package.
NEEDS_TOKENIZER = (StageName.APP, StageName.PACKAGE, StageName.HOST, StageName.SCREENSHOTS, StageName.BUNDLE)

LANE_NOTES: dict[Lane, tuple[str, ...]] = {
    Lane.TOKENS: (),
    Lane.BYTES: (
        "The app runs this file token by token through its signatures prefill and decode, with the app's own tokenizer;"
        " a program of your own can call serving_default, from text to text.",
    ),
    Lane.STRINGS: (),
}
# Lanes whose jobs end at the verified file, each with the reason.
LANE_ENDS: dict[Lane, str] = {
    Lane.STRINGS: "The farm's app has no runtime for TensorFlow's operators; the job ends at the verified model.tflite,"
    " for an app with the Flex AAR of TFLite 2.14 or later.",
}


class Clock:
    """Seconds per step, as metrics."""

    def __init__(self) -> None:
        self.metrics: list[Metric] = []

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Time what is done in the context."""
        started = time.perf_counter()
        yield
        self.metrics.append(Metric(name=name, value=time.perf_counter() - started, unit="s"))


def run(order: StageOrder, report: Reporter) -> StageResult:
    """Convert one model."""
    clock = Clock()
    # TensorFlow reads it at its first operation.
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(order.threads)
    report(0.0, "loading the model")
    prompting = order.spec.app.prompting(own_prompting(order.input(ArtifactName.SOURCE)))
    with clock.measure("load_seconds"):
        causal_lm = loading.load_causal_lm(order.input(ArtifactName.SOURCE))
    model = mapping.map_model(causal_lm)
    check_context(order.spec.context, model.positions)
    export = export_tokenizer(causal_lm.preprocessor, model.family)
    lanes.require_usable(order.spec, model, export)
    plan = reference_plan.plan_reference(model.description, order.spec.context, export, prompting)
    forward = FullForward(causal_lm)

    report(0.3, "converting the graph")
    with clock.measure("graph_seconds"):
        found = lanes.find_graph(order, model, export, model_end_token(model, export))
    # Before the costly steps; the binder simplifies built-in ops, so that these are judged in the finished file.
    allowlist.require(found.path, Allowlist.of(order), only_foreign=True)
    report(0.5, "comparing the decoder with Keras")
    with clock.measure("gate_seconds"):
        forced_logits = forward.logits([plan.forced_tokens.tolist()])[0]
        decoder_difference = decoder_gate.compare_with_keras(
            model.description, model.weights, plan.forced_tokens, forced_logits
        )
    report(0.65, "writing the weights")
    with clock.measure("bind_seconds"):
        form = form_for(recipes.find(order.spec.recipe).form, order.spec.runtime)
        bound = bind(
            found.path, model.weights, form, order.output(ArtifactName.MODEL),
            runtimes=(order.spec.runtime, HOST_RUNTIME), foreign=lanes.foreign_operators(order.spec.lane),
        )  # fmt: skip
    gc.collect()
    report(0.75, "asking Keras for the golden tokens")
    with clock.measure("reference_seconds"):
        continuations = full_forward.continue_greedily(forward, plan, model_end_token(model, export))
        held_out_nll = full_forward.negative_log_likelihood(forward, plan.held_out_tokens)
        reference = Reference(plan, continuations, forced_logits, held_out_nll)
    report(0.95, "writing the model's papers")
    write_papers(order, model, export, reference, prompting, form)
    sizes = model.description.weight_shapes().values()
    float32_bytes = 4 * sum(int(np.prod(shape)) for shape in sizes)
    figures = (
        Metric(name="graph_cached", value=float(found.cached), unit="flag"),
        Metric(name="file_bytes", value=bound.file_bytes, unit="bytes"),
        Metric(name="file_to_float32_ratio", value=bound.file_bytes / float32_bytes, unit="ratio"),
        Metric(name="decoder_difference", value=decoder_difference, unit="share"),
        Metric(name="keras_perplexity", value=reference.perplexity, unit="perplexity"),
    )
    ends = export.reason or LANE_ENDS.get(order.spec.lane)
    return StageResult(
        metrics=(*clock.metrics, *figures),
        notes=LANE_NOTES[order.spec.lane],
        skips={} if ends is None else dict.fromkeys(NEEDS_TOKENIZER, ends),
        facts={"family": model.family},
    )


def check_context(context: int, positions: int | None) -> None:
    """ContextTooLong when the model was made for fewer positions."""
    if positions is not None and context > positions:
        raise ContextTooLong(
            f"The context of {context} tokens is longer than the model's {positions} positions; ask for a context of"
            f" at most {positions}."
        )


def model_end_token(model: MappedModel, export: TokenizerExport) -> int:
    """The token that ends a text; the last of the vocabulary where the model has no tokenizer to say so."""
    return model.description.vocabulary_size - 1 if export.end_token is None else export.end_token


def write_papers(
    order: StageOrder, model: MappedModel, export: TokenizerExport, reference: Reference, prompting: Prompting,
    form: WeightForm,
) -> None:  # fmt: skip
    """Everything that goes with `model.tflite`."""
    description, spec = model.description, order.spec
    order.output(ArtifactName.DESCRIPTION).write_bytes(description.canonical_json())
    order.output(ArtifactName.TOKENIZER).write_bytes(export.content)
    reference.write(order.output(ArtifactName.REFERENCE))
    ModelInfo(
        name=spec.model_ref.short_name,
        family=model.family,
        lane=spec.lane.value,
        recipe=recipes.find(spec.recipe).name,
        context=spec.context,
        prefill=spec.prefill_lengths,
        vocabulary_size=description.vocabulary_size,
        layers=len(description.layers),
        kv_heads=description.key_value_heads,
        head_dim=description.head_size,
        start_token=export.start_token,
        end_token=model_end_token(model, export),
        tokenizer=export.kind,
        tokenizer_sha256=None if export.kind is None else digests.of_bytes(export.content),
        model_sha256=digests.of_file(order.output(ArtifactName.MODEL)),
        source=spec.model_ref.text,
        source_digest=spec.model_digest,
        prompt_bytes=None if spec.lane is Lane.TOKENS else spec.prompt_bytes,
        output_tokens=None if spec.lane is Lane.TOKENS else spec.longest_answer,
        prompting=prompting,
        runtime=spec.runtime.value,
        weights=form.value,
    ).write(order.output(ArtifactName.MODEL_INFO))
