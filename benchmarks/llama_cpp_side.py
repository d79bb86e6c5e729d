"""Runs in llama.cpp's own environment, started by benchmarks/llama_cpp_process.py, and imports nothing of the farm.

`quantize SOURCE TARGET TYPE` writes SOURCE again at TYPE, such as Q8_0. `serve MODEL CONTEXT BATCH THREADS` reads a
JSON line for each measurement, `{"tokens": [...], "steps": N, "alone": true}`, and answers with the seconds of reading
and of each step; `alone`: see benchmarks/exclusive.py. `logits MODEL CONTEXT` reads `{"tokens": [...], "file": PATH}`
and writes the logits [N, vocabulary] behind each of the tokens to PATH, as float32.
"""

import json
import sys
import time

import llama_cpp
import numpy as np
from exclusive import alone


def quantize(source: str, target: str, kind: str) -> None:
    """By way of the float weights that SOURCE stands for."""
    settings = llama_cpp.llama_model_quantize_default_params()
    settings.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{kind}")
    settings.allow_requantize = True
    if llama_cpp.llama_model_quantize(source.encode(), target.encode(), settings) != 0:
        sys.exit(f"llama.cpp can't quantize {source}")


def serve(path: str, context: int, batch: int, threads: int) -> None:
    """Answer until the input ends."""
    model = llama_cpp.Llama(
        path, n_ctx=context, n_batch=batch, n_ubatch=batch, n_threads=threads, n_threads_batch=threads, verbose=False
    )
    for line in sys.stdin:
        command = json.loads(line)
        model.reset()
        # Of a text that is only read before the steps, the time is not wanted.
        with alone(command["alone"] and not command["steps"]):
            read = seconds(model, command["tokens"])
        with alone(command["alone"]):
            steps = [seconds(model, command["tokens"][:1]) for _ in range(command["steps"])]
        print(json.dumps({"read": read, "steps": steps}), flush=True)


def logits(path: str, context: int) -> None:
    """Answer until the input ends."""
    model = llama_cpp.Llama(path, n_ctx=context, n_batch=context, n_ubatch=context, logits_all=True, verbose=False)
    for line in sys.stdin:
        command = json.loads(line)
        model.reset()
        model.eval(command["tokens"])
        np.save(command["file"], model.scores[: len(command["tokens"])].astype(np.float32))
        print(json.dumps({"tokens": model.n_tokens}), flush=True)


def seconds(model: llama_cpp.Llama, tokens: list[int]) -> float:
    """To read tokens behind those before, up to the logits of the last."""
    started = time.perf_counter()
    model.eval(tokens)
    return time.perf_counter() - started


if __name__ == "__main__":
    if sys.argv[1] == "quantize":
        quantize(*sys.argv[2:])
    else:
        {"serve": serve, "logits": logits}[sys.argv[1]](sys.argv[2], *map(int, sys.argv[3:]))
