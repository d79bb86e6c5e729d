"""Runs a model of the I/O mode `strings` in TensorFlow's own interpreter: JSON lines in, JSON lines out.

    python program.py < requests > answers

It needs TensorFlow (or with `text_operators` TensorFlow Text) and nothing of the farm, so that it runs in another
virtual environment as well. Bytes are in Base64. The first line opens the model, each other one is answered in turn:

    {"do": "open", "model": PATH, "threads": N, "text_operators": false}
        {"signatures": {NAME: {"inputs": [...], "outputs": [...]}}, "runtime": TensorFlow's version, "seconds": ...}
    {"do": "run", "prompt": BYTES}                  the signature serving_default
        {"text": BYTES, "seconds": ...}
    {"do": "tokenize", "prompt": BYTES}             the signature tokenize
        {"tokens": [...]}
    {"do": "complete", "prompt": BYTES, "max_new_tokens": N, "temperature": X, "top_k": N, "seed": N}
        {"text": BYTES, "prompt_tokens": N, "tokens": [... of prompt and answer], "seconds": ...}

What can't be answered gives {"error": SENTENCE}, and the program goes on, unless it was the opening.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

DEFAULT = "serving_default"
COMPLETE = "generate"
TOKENIZE = "tokenize"


class Model:
    """An opened model; the signatures' runners allocate when they are first called."""

    def __init__(self, path: str, threads: int, text_operators: bool) -> None:
        import tensorflow as tf

        if text_operators:
            import tensorflow_text
            from tensorflow.lite.python.interpreter import InterpreterWithCustomOps

            registerers = tensorflow_text.tflite_registrar.SELECT_TFTEXT_OPS
            self._interpreter: Any = InterpreterWithCustomOps(
                model_path=path, custom_op_registerers=registerers, num_threads=threads
            )
        else:
            self._interpreter = tf.lite.Interpreter(path, num_threads=threads)
        self.version: str = tf.__version__
        self.signatures: dict[str, Any] = self._interpreter.get_signature_list()
        self._runners: dict[str, Callable[..., dict[str, Any]]] = {}

    def call(self, signature: str, prompt: bytes, **inputs: Any) -> dict[str, Any]:
        """The outputs of a signature that takes a prompt."""
        import numpy as np

        if signature not in self._runners:
            self._runners[signature] = self._interpreter.get_signature_runner(signature)
        # An array of objects keeps zero bytes at the end; one element, since a scalar of objects is misread.
        return self._runners[signature](prompt=np.array([prompt], object), **inputs)


def answer(model: Model, request: dict[str, Any]) -> dict[str, Any]:
    """One answer."""
    import numpy as np

    prompt = base64.b64decode(request["prompt"])
    started = time.perf_counter()
    if request["do"] == "run":
        text = _bytes(model.call(DEFAULT, prompt)["output_0"])
        return {"text": _base64(text), "seconds": time.perf_counter() - started}
    if request["do"] == "tokenize":
        found = model.call(TOKENIZE, prompt)
        return {"tokens": found["tokens"][0, : int(found["token_count"][0])].tolist()}
    if request["do"] != "complete":
        raise KeyError(request["do"])
    found = model.call(
        COMPLETE,
        prompt,
        max_new_tokens=np.array([request["max_new_tokens"]], np.int32),
        temperature=np.array([request["temperature"]], np.float32),
        top_k=np.array([request["top_k"]], np.int32),
        seed=np.array([request["seed"]], np.int32),
    )
    seconds = time.perf_counter() - started
    read, written = int(found["prompt_tokens"][0]), int(found["new_tokens"][0])
    return {
        "text": _base64(_bytes(found["output_0"])),
        "prompt_tokens": read,
        "tokens": found["tokens"][0, : read + written].tolist(),
        "seconds": seconds,
    }


def _bytes(value: Any) -> bytes:
    """What a string output holds: TensorFlow's versions give it as an array or bare."""
    item = value if isinstance(value, bytes) else value.reshape(-1)[0]
    return item if isinstance(item, bytes) else bytes(item)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def main() -> None:
    """Answer every line of standard input."""
    # Native libraries write to the file descriptor of standard output at times; the answers get one of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    model: Model | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if model is None:
                started = time.perf_counter()
                model = Model(request["model"], int(request["threads"]), bool(request["text_operators"]))
                seconds = time.perf_counter() - started
                found: dict[str, Any] = {"signatures": model.signatures, "runtime": model.version, "seconds": seconds}
            else:
                found = answer(model, request)
        except (ValueError, RuntimeError, KeyError) as error:
            first = (str(error).strip().splitlines() or ["no message"])[0]
            found = {"error": f"{type(error).__name__}: {first[:300]}"}
        answers.write(json.dumps(found) + "\n")
        answers.flush()
        if model is None:
            break


if __name__ == "__main__":
    main()
