"""A file with KerasHub's own graph: it takes a prompt and gives a text, and shows nothing else."""

from __future__ import annotations

import json

from farm import recipes
from farm.artifacts import ArtifactName
from farm.progress import Reporter
from pipeline.flex.runner import FlexModel
from pipeline.inference import keras_graph_quality, prompt_check
from pipeline.inference.model_card import ModelCard
from pipeline.inference.model_info import ModelInfo
from pipeline.inference.reference import Reference
from pipeline.request import Metric, StageRequest, StageResult
from pipeline.tokenizers.codec import TextCodec
from pipeline.verification.consistency import require_tokenizer

# Such a file takes any prompt, and cuts what does not fit.
LONGEST_PROMPT = 1 << 20


def verify_keras_graph(
    request: StageRequest, info: ModelInfo, reference: Reference, codec: TextCodec | None, report: Reporter
) -> StageResult:
    """Verify a file that takes a prompt and gives a text, and nothing else; QualityMissed."""
    codec = require_tokenizer(codec)
    prompt_check.require_same_prompts(info, codec, reference)
    report(0.1, "writing beside Keras")
    limits = recipes.find(info.recipe).limits_on(request.spec.runtime)
    flex = FlexModel(
        request.input(ArtifactName.MODEL), request.threads, LONGEST_PROMPT, info.context, text_operators=True
    )
    figures = keras_graph_quality.compare_with_keras(flex, codec, reference, info.stop_tokens, limits.near_tie)
    keras_graph_quality.check_limits(figures, limits, info.recipe)
    found = (
        Metric(name="greedy_agreement", value=figures.agreement, unit="share"),
        Metric(name="greedy_steps", value=sum(outcome.compared for outcome in figures.outcomes), unit="tokens"),
        Metric(name="text_prompts", value=len(figures.outcomes), unit="prompts"),
        Metric(name="text_prompts_equal_to_keras", value=figures.equal, unit="prompts"),
        Metric(name="text_seconds", value=figures.seconds, unit="s"),
    )
    golden = {
        "format": 1,
        "recipe": info.recipe,
        "prompts": figures.golden(),
        "figures": {metric.name: metric.value for metric in found},
        "limits": {"greedy_agreement": limits.greedy_agreement, "near_tie": limits.near_tie},
    }
    request.output(ArtifactName.GOLDEN).write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n")
    ModelCard(
        model_bytes=request.input(ArtifactName.MODEL).stat().st_size,
        licence=info.licence,
        greedy_agreement=figures.agreement,
        greedy_steps=sum(outcome.compared for outcome in figures.outcomes),
    ).write(request.output(ArtifactName.MODEL_CARD))
    return StageResult(
        metrics=found,
        notes=(
            f"From text to text, {figures.equal} of {len(figures.outcomes)} golden prompts are continued exactly as by"
            " Keras with the same tokens; this file shows no logits to compare.",
        ),
    )
