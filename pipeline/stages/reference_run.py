"""Stage reference-run: the model in TensorFlow of the stock AAR's version must write what was verified."""

from __future__ import annotations

import json

from farm import recipes
from farm.artifacts import ArtifactName
from farm.progress import Reporter
from pipeline.android import golden
from pipeline.flex import reference_environment, reference_run
from pipeline.flex.runner import FlexModel
from pipeline.inference.model_info import ModelInfo
from pipeline.inference.reference import read_reference
from pipeline.request import Metric, StageRequest, StageResult

VERSION = "2.14.0"


def run(request: StageRequest, report: Reporter) -> StageResult:
    """Make `reference_run.json`. ReferenceRunDiffers, ReferenceEnvironmentUnavailable."""
    info = ModelInfo.read(request.input(ArtifactName.MODEL_INFO))
    wanted = golden.read(request.input(ArtifactName.GOLDEN))
    near_tie = wanted.limits.near_tie * read_reference(request.input(ArtifactName.REFERENCE)).logit_scale
    prompt_bytes = info.prompt_bytes or 0
    model = FlexModel(
        request.input(ArtifactName.MODEL), request.threads, prompt_bytes, info.context,
        python=reference_environment.python(request.caches),
    )  # fmt: skip
    prompts = reference_run.askable(wanted, prompt_bytes)
    report(0.0, f"asking TensorFlow {VERSION} for {len(prompts)} golden prompts")
    answers = model.answer([], reference_run.completions(prompts)).answers
    report(0.9, "comparing its tokens with the verified ones")
    least = recipes.find(info.recipe).limits_on(request.spec.runtime).greedy_agreement
    figures = reference_run.compare(prompts, answers, info.stop_tokens, near_tie, least, VERSION)
    output = request.output(ArtifactName.REFERENCE_RUN)
    output.parent.mkdir(parents=True, exist_ok=True)
    texts = [
        {"text": prompt.text, "tokens": answer.tokens, "seconds": answer.seconds}
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
    output.write_text(
        json.dumps({"format": 1, "tensorflow": VERSION, "prompts": texts}, indent=1, ensure_ascii=False) + "\n"
    )
    return StageResult(
        metrics=(
            Metric(name="reference_prompts", value=figures.prompts, unit="prompts"),
            Metric(name="reference_equal", value=figures.equal, unit="prompts"),
            Metric(name="reference_agreement", value=figures.agreement, unit="share"),
        ),
        notes=(
            f"TensorFlow {VERSION}, as in the stock AAR, writes {figures.equal} of {figures.prompts} prompts alike.",
        ),
    )
