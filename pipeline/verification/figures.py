"""What verification measures of a file with logits, for the job's record, its reader and the app's users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.inference.divergence import Divergence
from pipeline.inference.model_card import ModelCard
from pipeline.inference.model_info import ModelInfo
from pipeline.inference.quality import PromptOutcome
from pipeline.inference.repetition import Repetition
from pipeline.inference.speed import Speed
from pipeline.request import Metric


@dataclass(frozen=True)
class Figures:
    """Everything that was measured. agreement and logit_difference as in QualityLimits."""

    agreement: float
    steps: int
    near_ties: int
    identical_prompts: int
    prompts: int
    divergence: Divergence
    prefill_divergence: float
    logit_difference: float | None
    cache_change: float
    speed: Speed
    load_seconds: float
    repetition: Repetition | None


def summarise(
    outcomes: Sequence[PromptOutcome],
    on_text: Divergence,
    behind_prefill: float,
    logit_difference: float | None,
    cache_change: float,
    speed: Speed,
    load_seconds: float,
    repeated: Repetition | None,
) -> Figures:
    """The figures over all prompts. Where every step was a tie there is nothing that could disagree."""
    compared = sum(outcome.compared for outcome in outcomes)
    return Figures(
        agreement=sum(outcome.agreed for outcome in outcomes) / compared if compared else 1.0,
        steps=compared,
        near_ties=sum(outcome.near_ties for outcome in outcomes),
        identical_prompts=sum(outcome.identical for outcome in outcomes),
        prompts=len(outcomes),
        divergence=on_text,
        prefill_divergence=behind_prefill,
        logit_difference=logit_difference,
        cache_change=cache_change,
        speed=speed,
        load_seconds=load_seconds,
        repetition=repeated,
    )


def metrics(figures: Figures) -> tuple[Metric, ...]:
    """What is recorded with the job."""
    on_text, difference = figures.divergence, figures.logit_difference
    exact = () if difference is None else (Metric(name="logit_difference", value=difference, unit="share"),)
    repeated = figures.repetition
    free = (
        ()
        if repeated is None
        else (
            Metric(name="repetition", value=repeated.own, unit="share"),
            Metric(name="keras_repetition", value=repeated.keras, unit="share"),
            Metric(name="repetition_tokens", value=repeated.tokens, unit="tokens"),
        )
    )
    return (
        Metric(name="greedy_agreement", value=figures.agreement, unit="share"),
        Metric(name="greedy_steps", value=figures.steps, unit="tokens"),
        Metric(name="greedy_ties", value=figures.near_ties, unit="tokens"),
        Metric(name="divergence", value=on_text.mean, unit="nats"),
        Metric(name="divergence_p99", value=on_text.percentile_99, unit="nats"),
        Metric(name="divergence_positions", value=on_text.positions, unit="tokens"),
        Metric(name="prefill_divergence", value=figures.prefill_divergence, unit="nats"),
        Metric(name="top1_agreement", value=on_text.top1_agreement, unit="share"),
        Metric(name="perplexity", value=on_text.perplexity, unit="perplexity"),
        Metric(name="keras_perplexity", value=on_text.keras_perplexity, unit="perplexity"),
        Metric(name="perplexity_ratio", value=on_text.ratio, unit="ratio"),
        Metric(name="perplexity_ratio_error", value=on_text.ratio_error, unit="ratio"),
        *exact,
        *free,
        Metric(name="prefill_seconds", value=figures.speed.prefill_seconds, unit="s"),
        Metric(name="prefill_tokens", value=figures.speed.prompt_tokens, unit="tokens"),
        Metric(name="decode_rate", value=figures.speed.decode_rate, unit="tokens/s"),
        Metric(name="load_seconds", value=figures.load_seconds, unit="s"),
    )


def notes(figures: Figures, vocabulary: int) -> tuple[str, ...]:
    """What a reader of the job should know beside the figures."""
    said = [f"{figures.identical_prompts} of {figures.prompts} golden prompts are continued exactly as by Keras."]
    if figures.near_ties:
        were = "was a near-tie and was" if figures.near_ties == 1 else "were near-ties and were"
        steps = figures.steps + figures.near_ties
        said.append(f"{figures.near_ties} of {steps} greedy steps {were} not compared.")
    own = figures.divergence.keras_perplexity
    if own > vocabulary:
        said.append(
            f"The model itself guesses worse than chance on the test texts (perplexity {own:.4g} with a vocabulary of"
            f" {vocabulary}): it is untrained, damaged, or for texts of another kind."
        )
    return tuple(said)


def model_card(figures: Figures, model_bytes: int, info: ModelInfo) -> ModelCard:
    """What the app tells its users of the model's quality."""
    return ModelCard(
        model_bytes=model_bytes,
        licence=info.licence,
        greedy_agreement=figures.agreement,
        greedy_steps=figures.steps,
        logit_difference=figures.logit_difference,
        divergence=figures.divergence.mean,
        divergence_p99=figures.divergence.percentile_99,
        top1_agreement=figures.divergence.top1_agreement,
        perplexity=figures.divergence.perplexity,
        keras_perplexity=figures.divergence.keras_perplexity,
        perplexity_ratio_error=figures.divergence.ratio_error,
        repetition=None if figures.repetition is None else figures.repetition.own,
        keras_repetition=None if figures.repetition is None else figures.repetition.keras,
    )
