"""What the verification of a model of Llama 3.2's 1B shape costs: processor seconds and seconds of every part.

    python -m benchmarks.verification_cost [--folder FOLDER] [--threads N] [--layers N]

The weights are random, stored in int8, and so is the reference: what is measured depends on neither. It has the number
of texts, prompts and tokens that the farm asks a model of this size for, and the longest free text. FOLDER (default: a
temporary one) keeps the 1.2 GB file.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import spine
from examples.smollm2 import __main__ as smollm2
from farm import digests
from farm.prompting import Prompting
from farm.recipes import WeightFormat
from pipeline.conversion import description as d
from pipeline.conversion import graph, reference_plan
from pipeline.conversion.binding import bind
from pipeline.conversion.reference_plan import Plan
from pipeline.inference import divergence, quality, repetition
from pipeline.inference.interpreter import open_token_model
from pipeline.inference.reference import PromptReference, Reference, TextReference
from pipeline.inference.speed import measure_speed
from pipeline.tokenizers.export import export_tokenizer

CONTEXT = 4096
SHAPE = d.DecoderDescription(
    vocabulary_size=128_256, hidden_size=2048, intermediate_size=8192, query_heads=32, key_value_heads=8, head_size=64,
    layers=(d.Layer(d.RotaryEmbedding(5e5, 64)),) * 16, norm=d.Norm.RMS, norm_epsilon=1e-5, final_norm_epsilon=1e-5,
    activation=d.Activation.SILU, query_scale=64**-0.5, gated_feed_forward=True,
)  # fmt: skip
SPEED_PROMPT, SPEED_STEPS = 32, 16


class RandomWeights:
    """A source of lively weights of any size: parts of one array of random numbers."""

    def __init__(self, description: d.DecoderDescription) -> None:
        self._shapes = description.weight_shapes()
        self._values = np.random.default_rng(1).standard_normal(1 << 24).astype(np.float32)

    def names(self) -> Sequence[str]:
        """Every weight."""
        return list(self._shapes)

    def shape(self, name: str) -> tuple[int, ...]:
        """The weight's shape."""
        return self._shapes[name]

    def rows(self, name: str, start: int, stop: int) -> Any:
        """Its rows; vectors are scales of norms, all 1."""
        shape = (stop - start, *self._shapes[name][1:])
        first = hash((name, start)) % len(self._values)
        values = np.resize(np.roll(self._values, first), shape)
        return np.ones(shape, np.float32) if len(shape) == 1 else values * np.float32(shape[-1] ** -0.5)


class Parts:
    """Seconds by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, tuple[float, float]] = {}

    @contextmanager
    def measure(self, name: str) -> Any:
        """Time what is done in the context."""
        used, began = time.process_time(), time.perf_counter()
        yield
        self.seconds[name] = time.process_time() - used, time.perf_counter() - began


def main() -> None:
    """Make the file and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--layers", type=int, default=len(SHAPE.layers))
    given = parser.parse_args()
    description = replace(SHAPE, layers=SHAPE.layers[: given.layers])
    smollm2.make(smollm2.HERE)
    export = export_tokenizer(None, "Llama", smollm2.HERE, tokens=description.vocabulary_size, prompting=Prompting())
    plan = reference_plan.plan_reference(description, CONTEXT, export, Prompting(), export.encode)
    with spine.kept_folder(given.folder) as folder:
        path = folder / f"llama-{given.layers}.tflite"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            graph_file = folder / "graph.tflite"
            graph_file.write_bytes(graph.convert(description))
            bind(graph_file, RandomWeights(description), WeightFormat.INT8_PER_ROW, path)
        parts = verify(path, reference(plan, description.vocabulary_size), given.threads)
    print(f"{sum(math.prod(shape) for shape in description.weight_shapes().values()):,} parameters")
    for name, (used, seconds) in {**parts, "all": tuple(map(sum, zip(*parts.values(), strict=True)))}.items():
        print(f"{used:8.1f} s of processor time {seconds:8.1f} s  {name}")


def verify(path: Path, known: Reference, threads: int) -> dict[str, tuple[float, float]]:
    """What the stage does with the file, part by part."""
    parts = Parts()
    with parts.measure("reading the file's hash"):
        digests.of_file(path)
    with parts.measure("opening"):
        model = open_token_model(path, threads, CONTEXT)
        model.read([1])
    with parts.measure("writing greedily beside the witness"):
        for prompt in known.prompts:
            quality.run_prompt(model, prompt, (), near_tie=0.0)
    with parts.measure("reading text"):
        divergence.measure(model, known.texts)
        quality.prefill_divergence(model, max(known.texts, key=lambda text: len(text.tokens)))
        quality.largest_cache_change(model, known)
    with parts.measure("writing freely"):
        repetition.measure(model, known, ())
    with parts.measure("measuring speed"):
        measure_speed(model, known.probe_tokens[:SPEED_PROMPT].tolist(), SPEED_STEPS)
    return parts.seconds


def reference(plan: Plan, vocabulary: int) -> Reference:
    """Random answers to the plan."""
    random = np.random.default_rng(2)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(random.integers(0, vocabulary, count).tolist())

    texts = []
    for text in plan.texts:
        logits = random.standard_normal((len(text), 4096)).astype(np.float32)
        texts.append(TextReference(text, *divergence.likeliest(logits), np.ones(len(text) - 1, np.float32)))
    prompts = tuple(
        PromptReference(each.text, each.tokens, tokens(plan.greedy_tokens), (1.0,) * plan.greedy_tokens)
        for each in plan.prompts
    )
    free = plan.free
    return Reference(
        prompts, plan.probe_tokens, random.standard_normal((len(plan.probe_tokens), 8)).astype(np.float32),
        tuple(texts), free_prompt=() if free is None else free.tokens, free=() if free is None else tokens(free.most),
    )  # fmt: skip


if __name__ == "__main__":
    main()
