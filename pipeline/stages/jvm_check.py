"""Runs the app's unchanged code on this machine against the finished APK: it must write the golden tokens."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

from farm.artifacts import ArtifactName
from farm.progress import Reporter
from pipeline.android import assembly, golden, host_run
from pipeline.android.base import AppBase
from pipeline.android.golden import Golden
from pipeline.android.host_run import HostAnswer, SpecialTokens, Verdict
from pipeline.inference.reference import read_reference
from pipeline.request import Metric, StageRequest, StageResult
from pipeline.toolchain import maven


def run(request: StageRequest, report: Reporter) -> StageResult:
    """Make `host-run.json`. HostMismatch when the app reads or writes other tokens than the verified model."""
    wanted, package = golden.read(request.input(ArtifactName.GOLDEN)), request.input(ArtifactName.APK)
    special = _special_tokens(package)
    # Two builds of a runtime add in another request, and with int8 activations that moves logits visibly.
    near_tie = wanted.limits.near_tie * read_reference(request.input(ArtifactName.REFERENCE)).logit_scale
    report(0.0, f"running the app's code on {len(wanted.prompts)} golden prompts")
    answers = host_run.run(
        AppBase(request.input(ArtifactName.APP_BASE)), maven.at(request.toolchain), package, wanted, request.threads,
        request.scratch / "host",
    )  # fmt: skip
    report(0.9, "comparing its tokens with the golden ones")
    verdicts = [
        host_run.judge(number, prompt, answer, special, near_tie)
        for number, (prompt, answer) in enumerate(zip(wanted.prompts, answers, strict=True))
    ]
    _write(request.output(ArtifactName.HOST_RUN), wanted, answers, verdicts)
    near_ties = sum(verdict.near_tie is not None for verdict in verdicts)
    return StageResult(
        metrics=(
            Metric(name="host_decode_rate", value=_decode_rate(answers), unit="tokens/s"),
            Metric(name="host_prefill_seconds", value=_median_prefill(answers), unit="s"),
            Metric(name="host_ties", value=near_ties, unit="prompts"),
            Metric(name="host_agreed", value=sum(verdict.agreed for verdict in verdicts), unit="tokens"),
        )
    )


def _special_tokens(package: Path) -> SpecialTokens:
    info = assembly.read_model_info(package)
    return SpecialTokens(info.start_token, info.stop_tokens)


def _decode_rate(answers: tuple[HostAnswer, ...]) -> float:
    """Tokens a second: the median over the prompts, since the JVM is still warming up in the first ones."""
    rates = [len(answer.tokens) / answer.decode_seconds for answer in answers if answer.tokens]
    return statistics.median(rates) if rates else 0.0


def _median_prefill(answers: tuple[HostAnswer, ...]) -> float:
    return statistics.median(answer.prefill_seconds for answer in answers) if answers else 0.0


def _write(target: Path, wanted: Golden, answers: tuple[HostAnswer, ...], verdicts: list[Verdict]) -> None:
    runs = [
        {
            "text": prompt.text,
            "tokens": answer.tokens,
            "agreed": verdict.agreed,
            "near_tie": verdict.near_tie,
            "prefill_seconds": answer.prefill_seconds,
            "decode_seconds": answer.decode_seconds,
        }
        for prompt, answer, verdict in zip(wanted.prompts, answers, verdicts, strict=True)
    ]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"format": 1, "prompts": runs}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
