"""The check that decides: opens the written model in ai-edge-litert and compares it with Keras and its recipe's limits.

Nothing unverified goes on to be packaged. What passes is kept as golden prompts, which the app's own code must
reproduce later.
"""

from __future__ import annotations

import time

from farm import recipes
from farm.artifacts import ArtifactName
from farm.jobspec import IoMode, TokenizerGraph
from farm.progress import Reporter
from pipeline.inference import divergence, prompt_check, quality, repetition
from pipeline.inference.interpreter import TokenModel, open_token_model
from pipeline.inference.model_info import ModelInfo
from pipeline.inference.reference import Reference, read_reference
from pipeline.inference.speed import measure_speed
from pipeline.request import StageRequest, StageResult
from pipeline.verification.consistency import check_files, check_sizes
from pipeline.verification.figures import metrics, model_card, notes, summarise
from pipeline.verification.golden import write_golden
from pipeline.verification.keras_graph import verify_keras_graph
from pipeline.verification.limits import check_limits
from pipeline.verification.text_signature import check_text, text_metrics, text_notes

# What prefill time and tokens per second are measured with, less where the context is small.
SPEED_PROMPT_TOKENS = 32
SPEED_STEPS = 16


def run(request: StageRequest, report: Reporter) -> StageResult:
    """Verify the model; QualityMissed when it misses a limit, ArtifactDamaged or DescriptionMismatch before that."""
    report(0.0, "opening the model")
    info = ModelInfo.read(request.input(ArtifactName.MODEL_INFO))
    reference = read_reference(request.input(ArtifactName.REFERENCE))
    codec = check_files(request, info)
    if info.tokenizer_graph == TokenizerGraph.TFTEXT:
        return verify_keras_graph(request, info, reference, codec, report)
    started = time.perf_counter()
    model = open_token_model(request.input(ArtifactName.MODEL), request.threads, info.context)
    load_seconds = time.perf_counter() - started
    check_sizes(model, info, codec, reference)
    prompt_check.require_same_prompts(info, codec, reference)

    limits = recipes.find(info.recipe).limits_on(request.spec.runtime)
    near_tie = limits.near_tie * reference.logit_scale
    outcomes = []
    for number, prompt in enumerate(reference.prompts):
        report(0.1 + 0.3 * number / len(reference.prompts), "writing greedily beside Keras")
        outcomes.append(quality.run_prompt(model, prompt, info.stop_tokens, near_tie))
    report(0.4, "reading text beside Keras")
    on_text = divergence.measure(model, reference.texts)
    behind_prefill = quality.prefill_divergence(model, max(reference.texts, key=lambda text: len(text.tokens)))
    report(0.7, "comparing logits")
    difference = None
    if limits.logit_difference is not None:
        difference = quality.largest_logit_difference(model, reference)
    cache_change = quality.largest_cache_change(model, reference)
    report(0.8, "writing freely beside Keras")
    repeated = repetition.measure(model, reference, info.stop_tokens)
    report(0.9, "measuring speed")
    speed = measure_speed(model, speed_prompt(model, reference), speed_steps(model))

    in_text = None
    if info.io_mode != IoMode.TOKENS:
        report(0.92, "writing text beside the tokens")
        in_text = check_text(request, info, model, codec, outcomes, near_tie)

    figures = summarise(outcomes, on_text, behind_prefill, difference, cache_change, speed, load_seconds, repeated)
    check_limits(figures, limits, info.recipe)
    write_golden(
        request.output(ArtifactName.GOLDEN), info, outcomes, figures, limits, near_tie, codec, reference.conversation
    )
    model_card(figures, request.input(ArtifactName.MODEL).stat().st_size, info).write(
        request.output(ArtifactName.MODEL_CARD)
    )
    return StageResult(
        metrics=(*metrics(figures), *text_metrics(in_text)),
        notes=(*notes(figures, info.vocabulary_size), *text_notes(in_text, info)),
    )


def speed_steps(model: TokenModel) -> int:
    """How many tokens to write when measuring."""
    return max(1, min(SPEED_STEPS, model.contract.context // 3))


def speed_prompt(model: TokenModel, reference: Reference) -> list[int]:
    """A prompt of random tokens that leaves room to write."""
    room = model.contract.context - speed_steps(model)
    length = min(SPEED_PROMPT_TOKENS, room)
    tokens = [int(token) for token in reference.probe_tokens]
    return (tokens * (length // len(tokens) + 1))[:length]
