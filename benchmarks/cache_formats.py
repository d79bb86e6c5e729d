"""Whether key-value caches of fewer bits would pay: a step's attention over caches of each format, in turns.

    python -m benchmarks.cache_formats

The attention of SmolLM2-135M (30 layers, 3 key-value heads of 64, groups of 3 queries) alone, 2 threads. Caches lie in
memory in float32, in float16, or as int8 with a scale, and are widened in the graph, since TFLite's products take
float32; the figures of decision 14. Some two minutes.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from benchmarks.spine import THREADS

LAYERS, HEADS, GROUP, SIZE = 30, 3, 3, 64
LENGTHS = (256, 1024, 4096)
FORMATS = {"float32": tf.float32, "float16": tf.float16, "int8": tf.int8}
TURNS, STEPS = 7, 15
SCALE = 1 / 16


def main() -> None:
    """Print milliseconds of a step's attention."""
    print("| rows | " + " | ".join(FORMATS) + " |\n|---|" + "---|" * len(FORMATS))
    for rows in LENGTHS:
        runners = {name: opened(kind, rows) for name, kind in FORMATS.items()}
        found: dict[str, list[float]] = {name: [] for name in FORMATS}
        for _ in range(TURNS):
            for name, runner in runners.items():
                found[name].append(step_seconds(runner))
        print(f"| {rows:,} | " + " | ".join(f"{1e3 * min(times):.2f} ms" for times in found.values()) + " |")


def opened(kind: tf.DType, rows: int) -> Interpreter:
    """An interpreter whose caches are filled."""
    cache = tf.TensorSpec([1, HEADS, rows, SIZE], kind)
    query = tf.TensorSpec([1, HEADS, GROUP, SIZE], tf.float32)

    @tf.function(input_signature=[query, *[cache] * 2 * LAYERS], autograph=False)
    def attend(hidden: tf.Tensor, *caches: tf.Tensor) -> tf.Tensor:
        for keys, values in zip(caches[::2], caches[1::2], strict=True):
            scores = tf.matmul(hidden, widened(keys), transpose_b=True) / SIZE**0.5
            hidden = hidden + tf.matmul(tf.nn.softmax(scores), widened(values))
        return hidden

    content = tf.lite.TFLiteConverter.from_concrete_functions([attend.get_concrete_function()]).convert()
    interpreter = Interpreter(model_content=content, num_threads=THREADS)
    interpreter.allocate_tensors()
    random = np.random.default_rng(0)
    for tensor in interpreter.get_input_details():
        values = random.normal(size=tensor["shape"])
        values = values / SCALE if tensor["dtype"] == np.int8 else values
        interpreter.set_tensor(tensor["index"], values.astype(tensor["dtype"]))
    return interpreter


def widened(cache: tf.Tensor) -> tf.Tensor:
    """In float32, in which TFLite multiplies."""
    if cache.dtype == tf.float32:
        return cache
    wide = tf.cast(cache, tf.float32)
    return wide * SCALE if cache.dtype == tf.int8 else wide


def step_seconds(interpreter: Interpreter) -> float:
    """The median of some steps."""
    times = []
    for _ in range(STEPS):
        started = time.perf_counter()
        interpreter.invoke()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


if __name__ == "__main__":
    main()
