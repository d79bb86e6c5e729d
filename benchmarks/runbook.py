"""The baseline: the recipe of Google's runbook "LLM on device with Keras and TensorFlow Lite", as far as it still runs.

Strings in and out: KerasHub's preprocessor, its generate_step and its detokenizer in one graph, converted with select
TensorFlow ops and custom ops, as the runbook does; only `generate()` itself no longer traces.

    python -m benchmarks.runbook build PRESET none|int8 OUTPUT.tflite [--prompt 32 --tokens 100]
    python -m benchmarks.runbook time OUTPUT.tflite [--threads 2]

Both print one line of JSON. `build` and `time_to_tokens` run them in a process of their own, so that the peak memory
is theirs alone.
"""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
USER_OPS = ["UnsortedSegmentJoin", "UpperBound"]
TEXT = (
    "The list type is a mutable sequence, and the tuple type is an immutable one. Both hold items of any type in order,"
    " and the items can be reached by their index. A range is a sequence of numbers that is often used to loop a fixed"
    " number of times, and it takes the same small amount of memory however many numbers it stands for."
)


@dataclass(frozen=True)
class Built:
    """seconds: from the loaded model to the file's bytes. peak_bytes: of the process that did it. size in bytes."""

    seconds: float
    peak_bytes: int
    size: int


@dataclass(frozen=True)
class Timed:
    """seconds: from the prompt to all tokens, the best of the runs. load_seconds: to open the file."""

    seconds: float
    load_seconds: float
    peak_bytes: int
    text: str


def build(preset: Path, quant: str, output: Path, *, prompt: int = 32, tokens: int = 100) -> Built:
    """Convert a GPT-2 preset by the runbook's recipe; quant: `none` or `int8`.

    The lengths are fixed in the graph: it reads a prompt of `prompt` tokens, the start token included, and writes
    `tokens` more. The prompt's text is put beside the file, as `<output>.prompt`.
    """
    words = ["build", preset, quant, output, "--prompt", prompt, "--tokens", tokens]
    return Built(**_in_own_process(words))


def time_to_tokens(path: Path, *, threads: int = 2, runs: int = 3) -> Timed:
    """Run a built file on the prompt beside it and take the time to its last token."""
    return Timed(**_in_own_process(["time", path, "--threads", threads, "--runs", runs]))


def _in_own_process(words: list[Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.runbook", *(str(word) for word in words)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _build(preset: Path, quant: str, output: Path, prompt: int, tokens: int) -> Built:
    import keras_hub
    import tensorflow as tf

    model = keras_hub.models.GPT2CausalLM.from_preset(str(preset))
    model.compile(sampler="greedy")
    output.with_suffix(".prompt").write_text(_prompt(preset, prompt))
    started = time.monotonic()
    generate = _traced(model, prompt + tokens)
    with tempfile.TemporaryDirectory() as folder:
        # The converter cannot find the variables of a Keras 3 model, so that a module has to hold them.
        module = tf.Module()
        module.variables_of_model = [variable.value for variable in model.variables]
        module.tokenizer = model.preprocessor.tokenizer
        module.generate = generate
        tf.saved_model.save(module, folder, signatures={"serving_default": generate.get_concrete_function()})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
        converter.target_spec.experimental_select_user_tf_ops = USER_OPS
        converter.allow_custom_ops = True
        converter._experimental_guarantee_all_funcs_one_use = True
        if quant == "int8":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        output.write_bytes(converter.convert())
    return Built(time.monotonic() - started, _peak(), output.stat().st_size)


def _traced(model: Any, length: int) -> Any:
    """The traced function from a string to a string of `length` tokens in all."""
    import tensorflow as tf

    tokenizer = model.preprocessor.tokenizer
    model.jit_compile = False

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def generate(prompt: tf.Tensor) -> dict[str, tf.Tensor]:
        padded = model.preprocessor.generate_preprocess(prompt[None], sequence_length=length)
        outputs = model.generate_step(padded)
        ids = outputs["token_ids"]
        mask = outputs["padding_mask"] & (ids != tokenizer.end_token_id)
        return {"output_0": tokenizer.detokenize(tf.ragged.boolean_mask(ids, mask))}

    return generate


def _prompt(preset: Path, tokens: int) -> str:
    """A text of exactly so many tokens, with the start token that the preprocessor puts before it."""
    from examples.byte_level_bpe import Bpe

    assets = preset / "assets" / "tokenizer"
    merges = [line for line in (assets / "merges.txt").read_text().splitlines() if line and not line.startswith("#ver")]
    tokenizer = Bpe(json.loads((assets / "vocabulary.json").read_text()), merges).tokenizer()
    # Not every row of tokens is what its text is cut into, so the first place that gives the length is taken.
    for characters in range(1, len(TEXT) + 1):
        if len(tokenizer.encode(TEXT[:characters]).ids) == tokens - 1:
            return TEXT[:characters]
    raise ValueError(f"the text for prompts has no beginning of {tokens - 1} tokens")


def _time(path: Path, threads: int, runs: int) -> Timed:
    import numpy as np
    import tensorflow_text as tf_text
    from tensorflow.lite.python import interpreter

    prompt = np.array([path.with_suffix(".prompt").read_text()])
    started = time.monotonic()
    opened = interpreter.InterpreterWithCustomOps(
        model_path=str(path), custom_op_registerers=tf_text.tflite_registrar.SELECT_TFTEXT_OPS, num_threads=threads
    )
    generate = opened.get_signature_runner("serving_default")
    load_seconds = time.monotonic() - started
    seconds = []
    for _ in range(runs + 1):  # the first allocates
        started = time.monotonic()
        answer = generate(prompt=prompt)
        seconds.append(time.monotonic() - started)
    text = answer["output_0"].flat[0].decode(errors="replace")
    return Timed(min(seconds[1:]), load_seconds, _peak(), text)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def main() -> None:
    """Do one of both in this process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build")
    building.add_argument("preset", type=Path)
    building.add_argument("quant", choices=("none", "int8"))
    building.add_argument("output", type=Path)
    building.add_argument("--prompt", type=int, default=32)
    building.add_argument("--tokens", type=int, default=100)
    timing = commands.add_parser("time")
    timing.add_argument("path", type=Path)
    timing.add_argument("--threads", type=int, default=2)
    timing.add_argument("--runs", type=int, default=3)
    arguments = vars(parser.parse_args())
    command = arguments.pop("command")
    result = _build(**arguments) if command == "build" else _time(**arguments)
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()
