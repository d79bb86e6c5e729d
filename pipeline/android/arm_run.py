"""Lets the app's own code read text on the processors of phones, and compares what it predicts with Keras."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from farm.errors import HostMismatch
from farm.recipes import QualityLimits
from pipeline.android import host_driver
from pipeline.android.base import AppBase
from pipeline.inference import divergence
from pipeline.inference.divergence import Row
from pipeline.inference.reference import TextReference
from pipeline.toolchain.arm_machine import ArmMachine, Cpu
from pipeline.toolchain.maven import Toolchain
from pipeline.toolchain.pins import Role

TIMEOUT = 1500.0
# Fewer predictions than these say nothing of a file.
LEAST_TOKENS = 16
# An emulated compiler costs more than the code that it makes faster.
JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx1g")
# A sample this many standard errors beyond a limit is no accident.
STANDARD_ERRORS = 3.0
HINT = "the app's code stopped on an emulated phone; see the stage's log."


@dataclass(frozen=True)
class Sample:
    """What was measured on one processor. divergence: mean in nats from Keras, with its standard error;
    top1_agreement: share of positions at which both hold the same token to be the likeliest."""

    cpu: Cpu
    tokens: int
    divergence: float
    divergence_error: float
    top1_agreement: float

    @property
    def top1_error(self) -> float:
        """The standard error of the agreement, of at least one position."""
        share = min(max(self.top1_agreement, 1 / self.tokens), 1 - 1 / self.tokens)
        return math.sqrt(share * (1 - share) / self.tokens)

    def as_json(self) -> dict[str, Any]:
        """For `arm-run.json`."""
        return {
            "cpu": self.cpu.model, "instructions": self.cpu.title, "tokens": self.tokens,
            "divergence": self.divergence, "divergence_error": self.divergence_error,
            "top1_agreement": self.top1_agreement,
        }  # fmt: skip


@dataclass(frozen=True)
class Surroundings:
    """What every run needs. seconds: how long one may read, beyond LEAST_TOKENS."""

    base: AppBase
    toolchain: Toolchain
    machine: ArmMachine
    package: Path
    threads: int
    seconds: float
    scratch: Path


def run(around: Surroundings, cpu: Cpu, texts: Sequence[TextReference]) -> Sample:
    """Read the texts on that processor until the time is over.

    HostMismatch with the app's own sentence when it refuses something, StageCrashed when its process dies.
    """
    output = host_driver.run(
        (*around.machine.java(cpu), *JVM), host_driver.classpath(around.base, around.toolchain, Role.ARM_NATIVE),
        commands(around, texts), around.scratch, timeout=TIMEOUT, hint=HINT,
    )  # fmt: skip
    return measure(cpu, read_rows(output, around.scratch, texts))


def commands(around: Surroundings, texts: Sequence[TextReference]) -> bytes:
    """The JSON lines for the driver: the texts share the time."""
    share = {"seconds": around.seconds / len(texts), "least": math.ceil(LEAST_TOKENS / len(texts)), "from": 0}
    lines: list[dict[str, Any]] = [{"cmd": "open", "apk": str(around.package), "threads": around.threads}]
    for number, text in enumerate(texts):
        where = str(host_driver.logits_file(around.scratch, number))
        lines.append({"cmd": "score", "tokens": text.tokens.tolist(), "logits": where, **share})
    return host_driver.encode(lines)


def read_rows(output: str, scratch: Path, texts: Sequence[TextReference]) -> list[Row]:
    """The positions that were read; HostMismatch when the app refuses, or gives something else than logits."""
    rows: list[Row] = []
    try:
        lines = host_driver.decode(output, "The app's code refuses the package on a phone's processor")
        for number, (text, answer) in enumerate(zip(texts, lines[1:], strict=True)):
            rows += divergence.compare(text, host_driver.take_logits(scratch, number, answer))
    except (KeyError, TypeError, IndexError, ValueError, OSError) as error:
        raise HostMismatch(
            "The app's code gave no usable answer on a phone's processor; see the stage's log."
        ) from error
    return rows


def measure(cpu: Cpu, rows: Sequence[Row]) -> Sample:
    """The rows' mean and share, of all that were read."""
    divergences = np.array([row.divergence for row in rows])
    return Sample(
        cpu=cpu,
        tokens=len(rows),
        divergence=float(divergences.mean()),
        divergence_error=float(divergences.std() / math.sqrt(len(rows))),
        top1_agreement=float(np.mean([row.agrees for row in rows])),
    )


def judge(sample: Sample, limits: QualityLimits, recipe: str) -> None:
    """HostMismatch when a sample is beyond the recipe's limits by more than its size explains."""
    where = f"on {sample.cpu.model} ({sample.cpu.title}, {sample.tokens} tokens of text)"
    # Written so that NaN fails.
    if not sample.divergence - STANDARD_ERRORS * sample.divergence_error <= limits.divergence:
        raise HostMismatch(
            f"The model diverges from Keras by {sample.divergence:.3g} nats {where}, and the recipe {recipe} allows"
            f" {limits.divergence:g}; don't ship this package, and report it with its model.tflite."
        )
    if not sample.top1_agreement + STANDARD_ERRORS * sample.top1_error >= limits.top1_agreement:
        raise HostMismatch(
            f"The model's likeliest token is Keras's at {sample.top1_agreement:.1%} of the positions {where}, and the"
            f" recipe {recipe} asks for {limits.top1_agreement:.1%}; don't ship this package, and report it with its"
            " model.tflite."
        )
