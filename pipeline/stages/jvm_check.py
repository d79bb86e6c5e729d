"""Runs the app's unchanged code on this machine against the finished APK: it must write the golden tokens."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

from farm import recipes
from farm.artifacts import ArtifactName
from farm.progress import Reporter
from pipeline.android import assembly, golden, host_run
from pipeline.android.base import AppBase
from pipeline.android.golden import Golden
from pipeline.android.host_run import Following, HostAnswer, SpecialTokens
from pipeline.inference.reference import read_reference
from pipeline.request import Metric, StageRequest, StageResult
from pipeline.toolchain import maven


def run(request: StageRequest, report: Reporter) -> StageResult:
    """Make `host-run.json`. HostMismatch when the app reads other tokens, or its engine is further from Keras than the
    recipe allows."""
    wanted, package = golden.read(request.input(ArtifactName.GOLDEN)), request.input(ArtifactName.APK)
    info, reference = assembly.read_model_info(package), read_reference(request.input(ArtifactName.REFERENCE))
    special, recipe = SpecialTokens(info.start_token, info.stop_tokens), recipes.find(info.recipe)
    near_tie = wanted.limits.near_tie * reference.logit_scale
    report(0.0, f"running the app's code on {len(wanted.prompts)} golden prompts")
    answers = host_run.run(
        AppBase(request.input(ArtifactName.APP_BASE)), maven.at(request.toolchain), package, wanted, reference,
        request.threads, request.scratch / "host",
    )  # fmt: skip
    report(0.9, "comparing its tokens with Keras's")
    for number, (prompt, answer) in enumerate(zip(wanted.prompts, answers, strict=True)):
        host_run.require_tokens(number, prompt, answer, special.start)
        # Rounding to few bits goes another way in another build of the runtime, so that texts may part there.
        if recipe.exact:
            host_run.judge(number, prompt, answer, special, near_tie)
    followed = [
        host_run.follow(prompt, answer.likeliest, near_tie)
        for prompt, answer in zip(reference.prompts, answers, strict=True)
    ]
    limits = recipe.limits_on(request.spec.runtime)
    host_run.require_agreement(followed, limits.greedy_agreement, recipe.alias)
    _write(request.output(ArtifactName.HOST_RUN), wanted, answers, followed)
    return StageResult(
        metrics=(
            Metric(name="host_decode_rate", value=_decode_rate(answers), unit="tokens/s"),
            Metric(name="host_prefill_seconds", value=_median_prefill(answers), unit="s"),
            Metric(name="host_near_ties", value=sum(one.near_ties for one in followed), unit="tokens"),
            Metric(name="host_compared", value=sum(one.compared for one in followed), unit="tokens"),
            Metric(name="host_agreed", value=sum(one.agreed for one in followed), unit="tokens"),
        )
    )


def _decode_rate(answers: tuple[HostAnswer, ...]) -> float:
    """Tokens a second: the median over the prompts, since the JVM is still warming up in the first ones."""
    rates = [len(answer.tokens) / answer.decode_seconds for answer in answers if answer.tokens]
    return statistics.median(rates) if rates else 0.0


def _median_prefill(answers: tuple[HostAnswer, ...]) -> float:
    return statistics.median(answer.prefill_seconds for answer in answers) if answers else 0.0


def _write(target: Path, wanted: Golden, answers: tuple[HostAnswer, ...], followed: list[Following]) -> None:
    runs = [
        {
            "text": prompt.text,
            "tokens": answer.tokens,
            "compared": one.compared,
            "agreed": one.agreed,
            "near_ties": one.near_ties,
            "prefill_seconds": answer.prefill_seconds,
            "decode_seconds": answer.decode_seconds,
        }
        for prompt, answer, one in zip(wanted.prompts, answers, followed, strict=True)
    ]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"format": 1, "prompts": runs}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
