"""The program that runs the app's own classes on a JVM (`android-builder/host`): JSON lines in, JSON lines out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farm.errors import HostMismatch, StageCrashed
from pipeline import process
from pipeline.android.base import AppBase
from pipeline.toolchain.maven import Toolchain
from pipeline.toolchain.pins import Role

MAIN = "dev.kerasfarm.host.Main"


def classpath(base: AppBase, toolchain: Toolchain, natives: Role) -> list[Path]:
    """The app's classes and what they need; natives: the role of the runtime's libraries for the processor."""
    # The platform comes last: it brings org.json, which every phone has and a JVM has not.
    roles = (Role.LIBRARY, natives, Role.PLATFORM)
    return [base.host_jar, base.library_jar, *(path for role in roles for path in toolchain.paths(role))]


def run(
    java: Sequence[str | Path], jars: Iterable[Path], commands: bytes, scratch: Path, *, timeout: float, hint: str
) -> str:
    """What the driver prints; java: the words that start the JVM, with its options. StageCrashed when it dies."""
    scratch.mkdir(parents=True, exist_ok=True)
    words = (
        *java, f"-Dorg.bytedeco.javacpp.cachedir={scratch}", f"-Djava.io.tmpdir={scratch}",
        "-cp", ":".join(map(str, jars)), MAIN,
    )  # fmt: skip
    return process.run(words, timeout=timeout, error=StageCrashed, hint=hint, stdin=commands).stdout


def encode(commands: Iterable[Mapping[str, Any]]) -> bytes:
    """The commands as lines, `quit` behind them."""
    return b"".join(json.dumps(each).encode() + b"\n" for each in (*commands, {"cmd": "quit"}))


def decode(output: str, refusal: str) -> list[dict[str, Any]]:
    """The answers. HostMismatch with `refusal` and the app's own sentence when one is an error; ValueError or TypeError
    for what is no answer."""
    answers = [json.loads(line) for line in output.split("\n") if line.strip()]
    for answer in answers:
        if "error" in answer:
            raise HostMismatch(f"{refusal}: {answer['error']}")
    return answers


def logits_file(scratch: Path, number: int) -> Path:
    """Where the command `score` writes the logits of the text of that number."""
    return scratch / f"logits-{number}.f32"


def take_logits(scratch: Path, number: int, answer: Mapping[str, Any]) -> NDArray[np.float32]:
    """The logits [N,V] that belong to the answer to `score`, whose file goes; KeyError, ValueError or OSError when they
    don't fit it."""
    path = logits_file(scratch, number)
    logits = np.fromfile(path, "<f4").reshape(answer["rows"], answer["vocabulary_size"])
    path.unlink()
    return logits
