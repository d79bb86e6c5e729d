"""Stage litert-lm: the verified model as `model.litertlm`, for LiteRT-LM and the apps that are made with it.

The file is run by LiteRT-LM itself before it counts: what it writes must be what verification has seen.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from farm import recipes
from farm.artifacts import ArtifactName
from farm.progress import Reporter
from pipeline.inference.contract import Contract
from pipeline.inference.interpreter import read_sizes
from pipeline.inference.model_info import ModelInfo
from pipeline.litert_lm import bundle, check, container, metadata, runtime, signatures, template
from pipeline.litert_lm.child import Outcome, Report
from pipeline.litert_lm.template import TemplateUnfit
from pipeline.request import Metric, StageRequest, StageResult
from pipeline.tokenizers.codec import TextCodec

# Without LiteRT-LM: a part of the golden prompts shows whether the signatures read the weights as verification's do.
PROMPTS = 3
TOKENS = 8
NOT_RUN = (
    "LiteRT-LM did not run model.litertlm, since {}; ai-edge-litert has compared the file's signatures with the golden"
    " prompts{}."
)
TEMPLATE_NOT_TRIED = ", and the chat template was left out"
TEMPLATE_LEFT_OUT = "model.litertlm has no chat template, since {}; programs with LiteRT-LM need one of their own."


def run(request: StageRequest, report: Reporter) -> StageResult:
    """Write the file; QualityMissed when LiteRT-LM writes other tokens with it than the verified model."""
    report(0.0, "deriving the signatures")
    info = ModelInfo.read(request.input(ArtifactName.MODEL_INFO))
    model = request.input(ArtifactName.MODEL)
    contract = read_sizes(model, info.context)
    request.scratch.mkdir(parents=True, exist_ok=True)
    derived = request.scratch / "litert-lm.tflite"
    signatures.derive(model, contract, derived)
    golden = json.loads(request.input(ArtifactName.GOLDEN).read_text())
    output = request.output(ArtifactName.LITERT_LM)
    output.parent.mkdir(parents=True, exist_ok=True)
    written = _Writer(request, info, derived)
    try:
        reason = runtime.missing()
        if reason is None:
            found, notes = _run_in_litert_lm(request, written, golden, report)
        else:
            report(0.3, "comparing with the golden prompts")
            found, notes = _compare_signatures(derived, contract, golden, request.threads), (not_run(info, reason),)
            written.write(None)
    finally:
        derived.unlink()
    size = Metric(name="litert_lm_bytes", value=output.stat().st_size, unit="bytes")
    return StageResult(metrics=(size, *found), notes=notes)


def not_run(info: ModelInfo, reason: str) -> str:
    """What a job without LiteRT-LM says."""
    return NOT_RUN.format(reason, "" if info.chat is None else TEMPLATE_NOT_TRIED)


class _Writer:
    """Puts the file together, with a template or without one."""

    def __init__(self, request: StageRequest, info: ModelInfo, derived: Path) -> None:
        self.info, self.path = info, request.output(ArtifactName.LITERT_LM)
        self.tokenizer = request.input(ArtifactName.TOKENIZER).read_bytes()
        self.codec = TextCodec(self.tokenizer, ArtifactName.TOKENIZER)
        self._model_bytes = request.input(ArtifactName.MODEL).stat().st_size
        self._derived = derived

    def template(self) -> str | None:
        """The model's template in Jinja, None for a model that does not chat; TemplateUnfit."""
        chat = self.info.chat
        if chat is None:
            return None
        start = template.start_of(chat, self.info.start_token)
        return template.write_template(chat, self.codec.spelling, start, self.info.stop_tokens)

    def write(self, chat_template: str | None) -> None:
        """Write the file."""
        info, start = self.info, self.info.start_token
        if info.chat is not None and chat_template is not None:
            start = template.start_of(info.chat, start)
        thinking = chat_template is not None and info.chat is not None and info.chat.thinking is not None
        content = metadata.encode(info.context, start, info.stop_tokens, chat_template, thinking=thinking)
        container.write(
            self.path,
            [
                bundle.description_section(info, self._model_bytes),
                container.metadata_section(content),
                container.tokenizer_section(self.tokenizer),
                container.model_section(self._derived),
            ],
            [("Authors", "keras-android-farm"), ("Model", info.name)],
        )


def _run_in_litert_lm(
    request: StageRequest, writer: _Writer, golden: dict[str, Any], report: Reporter
) -> tuple[tuple[Metric, ...], tuple[str, ...]]:
    """Write and run; a template that LiteRT-LM renders otherwise is left out, and what remains is run again."""
    notes: tuple[str, ...] = ()
    try:
        chat_template = writer.template()
    except TemplateUnfit as error:
        chat_template, notes = None, (TEMPLATE_LEFT_OUT.format(error),)
    report(0.3, "running the golden prompts in LiteRT-LM")
    found = _written(request, writer, golden, chat_template)
    if found.template_fault:
        notes = (TEMPLATE_LEFT_OUT.format(f"LiteRT-LM renders the model's otherwise ({found.template_fault})"),)
        report(0.6, "running the golden prompts in LiteRT-LM without the template")
        found = _written(request, writer, golden, None)
    return _metrics(found), (*notes, *_said(found))


def _written(request: StageRequest, writer: _Writer, golden: dict[str, Any], chat_template: str | None) -> Report:
    writer.write(chat_template)
    chats = chat_template is not None
    recipe = recipes.find(writer.info.recipe)
    return runtime.run(
        runtime.plan(writer.path, writer.info, writer.codec, golden, request.threads, chats=chats),
        recipe,
        recipe.limits_on(request.spec.runtime).greedy_agreement,
    )


def _metrics(found: Report) -> tuple[Metric, ...]:
    outcomes = (*found.prompts, *found.turns)
    return (
        Metric(name="litert_lm_tokens", value=_sum(outcomes, "compared"), unit="tokens"),
        Metric(name="litert_lm_agreed", value=_sum(outcomes, "agreed"), unit="tokens"),
        Metric(name="litert_lm_ties", value=_sum(outcomes, "near_ties"), unit="tokens"),
        Metric(name="litert_lm_prompts", value=len(found.prompts), unit="prompts"),
        Metric(name="litert_lm_turns", value=len(found.turns), unit="turns"),
        Metric(name="litert_lm_kept_turns", value=found.live_turns, unit="turns"),
    )


def _said(found: Report) -> tuple[str, ...]:
    """What LiteRT-LM could not be asked."""
    uncompared = _sum((*found.prompts, *found.turns), "uncompared")
    if not uncompared:
        return ()
    return (f"{uncompared} golden tokens behind another one were not compared in LiteRT-LM, which takes texts alone.",)


def _sum(outcomes: Sequence[Outcome], name: str) -> int:
    return sum(getattr(outcome, name) for outcome in outcomes)


def _compare_signatures(derived: Path, contract: Contract, golden: dict[str, Any], threads: int) -> tuple[Metric, ...]:
    compared = sum(
        check.compare(
            derived, contract, prompt["prompt_tokens"], prompt["tokens"][:TOKENS], prompt["margins"][:TOKENS],
            golden["limits"]["near_tie_margin"], threads,
        )
        for prompt in golden["prompts"][:PROMPTS]
    )  # fmt: skip
    return (Metric(name="litert_lm_signature_tokens", value=compared, unit="tokens"),)
