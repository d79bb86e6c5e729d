"""Which figures miss their recipe's limits."""

from __future__ import annotations

from farm.errors import QualityMissed
from farm.recipes import QualityLimits
from pipeline.verification.figures import Figures

# By how much the few positions behind a prefill may be off beyond the limit for the whole text: a prefill that reads
# otherwise is off by nats.
PREFILL_SLACK = 10.0


def check_limits(figures: Figures, limits: QualityLimits, recipe: str) -> None:
    """QualityMissed with all figures and limits when one is missed. A NaN misses every limit."""
    if not figures.cache_change == 0.0:
        raise QualityMissed(
            f"The model changes cache rows that it must only read (by {figures.cache_change:.3g}); report this with"
            " the job's log, since no recipe will fix it."
        )
    missed = missed_limits(figures, limits)
    if missed:
        raise QualityMissed(
            f"The model made with {recipe} is too far from Keras: {'; '.join(missed)}. Measured over"
            f" {figures.divergence.positions} positions of text and {figures.steps} greedy steps, {figures.near_ties}"
            " left out as near-ties; choose a recipe that keeps more of the weights."
        )


def missed_limits(figures: Figures, limits: QualityLimits) -> list[str]:
    """Each limit that is missed, in words with both numbers. A NaN misses every limit."""
    on_text = figures.divergence
    at_most = [
        ("divergence from Keras", on_text.mean, limits.divergence),
        # The same text, read in calls of the prefill signatures; few positions, so that each weighs more.
        ("divergence behind a prefill", figures.prefill_divergence, PREFILL_SLACK * limits.divergence),
        ("perplexity ratio", on_text.ratio, limits.perplexity_ratio),
    ]
    if limits.logit_difference is not None and figures.logit_difference is not None:
        at_most.append(("largest logit difference", figures.logit_difference, limits.logit_difference))
    at_least = [
        ("top-1 agreement", on_text.top1_agreement, limits.top1_agreement),
        ("greedy agreement", figures.agreement, limits.greedy_agreement),
    ]
    return [f"{name} {value:.4g} (at most {limit:g})" for name, value, limit in at_most if not value <= limit] + [
        f"{name} {value:.4f} (at least {limit:g})" for name, value, limit in at_least if not value >= limit
    ]
