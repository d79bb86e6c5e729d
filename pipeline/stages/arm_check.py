"""Runs the app's unchanged code and the arm64 build of its runtime on the processors of phones."""

from __future__ import annotations

import json
from typing import Any

from farm import recipes
from farm.artifacts import ArtifactName
from farm.progress import Reporter
from pipeline.android import arm_run, assembly
from pipeline.android.arm_run import Surroundings
from pipeline.android.base import AppBase
from pipeline.inference.reference import TextReference, read_reference
from pipeline.request import Metric, StageRequest, StageResult
from pipeline.toolchain import arm_machine, maven

# More of them tell hardly more of a kernel, and small models would read on until the time is over.
MOST_TOKENS = 400


def run(request: StageRequest, report: Reporter) -> StageResult:
    """Make `arm-run.json`. HostMismatch when the app's predictions are further from Keras than the recipe allows.

    Without the emulator, or without time for it, the stage says so and checks nothing.
    """
    machine = arm_machine.find(request.toolchain)
    if request.arm_seconds <= 0:
        return _left_out(request, "FARM_ARM_SECONDS is 0")
    if machine is None:
        return _left_out(request, "the emulator is not there; `farm doctor --fetch` brings it")
    package = request.input(ArtifactName.APK)
    recipe = recipes.find(assembly.read_model_info(package).recipe)
    texts = _that_fit(read_reference(request.input(ArtifactName.REFERENCE)).texts, request.spec.wanted_context)
    around = Surroundings(
        AppBase(request.input(ArtifactName.APP_BASE)), maven.at(request.toolchain), machine, package, request.threads,
        request.arm_seconds, request.scratch / "arm",
    )  # fmt: skip
    samples = []
    for number, cpu in enumerate(machine.cpus):
        report(number / len(machine.cpus), f"reading text on {cpu.model} ({cpu.title})")
        sample = arm_run.run(around, cpu, texts)
        arm_run.judge(sample, recipe.limits_on(request.spec.runtime), recipe.alias)
        samples.append(sample)
    _write(request, {"packages": machine.versions, "runs": [each.as_json() for each in samples]})
    return StageResult(
        metrics=tuple(
            Metric(name=f"arm_{each.cpu.model}_{name}", value=value, unit=unit)
            for each in samples
            for name, value, unit in (
                ("divergence", each.divergence, "nats"),
                ("top1_agreement", each.top1_agreement, "share"),
                ("tokens", each.tokens, "tokens"),
            )
        )
    )


def _that_fit(texts: tuple[TextReference, ...], context: int) -> tuple[TextReference, ...]:
    """Their beginnings, within the model's context and of MOST_TOKENS together."""
    length = min(context, max(2, MOST_TOKENS // len(texts)))
    return tuple(
        TextReference(
            text.tokens[:length], text.likeliest[:length], text.log_probabilities[:length], text.nll[: length - 1]
        )
        for text in texts
    )


def _left_out(request: StageRequest, reason: str) -> StageResult:
    _write(request, {"left_out": reason, "runs": []})
    return StageResult(notes=(f"The model was not run on a phone's processor: {reason}.",))


def _write(request: StageRequest, content: dict[str, Any]) -> None:
    target = request.output(ArtifactName.ARM_RUN)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"format": 1, **content}, indent=1) + "\n", encoding="utf-8")
