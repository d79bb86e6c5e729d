"""The figures of a job that people ask for first, in words, with the limits that its recipe had to keep."""

from __future__ import annotations

from collections.abc import Iterator

from cli import units
from client.protocol import JobView
from farm import recipes
from farm.stages import StageName

CUSTOM_OPS = {"flex": "kinds of Flex", "tftext": "of TF Text", "custom": "custom"}


def headlines(job: JobView) -> Iterator[tuple[str, str]]:
    """Size, agreement, divergence, logits, perplexity, speed; what was not measured is left out."""
    found = {(metric.stage, metric.name): metric.value for metric in job.metrics}
    limits = recipes.find(job.spec.recipe).limits_on(job.spec.runtime)

    def has(stage: StageName, *names: str) -> bool:
        return all((stage, name) in found for name in names)

    convert, verify, host, ops = StageName.CONVERT, StageName.VERIFY, StageName.JVM_CHECK, StageName.OPS
    litert_lm = StageName.LITERT_LM
    if has(convert, "file_bytes", "file_to_float32_ratio"):
        size, ratio = found[convert, "file_bytes"], found[convert, "file_to_float32_ratio"]
        yield "model", f"{units.size(size)}, {ratio * 100:.1f} % of float32"
    if has(convert, "context", "cache_bytes", "file_bytes"):
        longest, cache, model = (found[convert, name] for name in ("context", "cache_bytes", "file_bytes"))
        memory = f"about {units.size(cache + model)} of memory, {units.size(cache)} of it for the text"
        yield "context", f"up to {longest:.0f} tokens, which take {memory}"
    if has(ops, "operators", "flex_ops", "tftext_ops", "custom_ops"):
        foreign = [(found[ops, f"{kind}_ops"], name) for kind, name in CUSTOM_OPS.items()]
        words = ", ".join(f"{number:.0f} {name}" for number, name in foreign if number) or "all built in"
        yield "ops", f"{found[ops, 'operators']:.0f} operators, {words}"
    if has(verify, "greedy_agreement", "greedy_steps"):
        agreement, steps = found[verify, "greedy_agreement"], found[verify, "greedy_steps"]
        same = f"same next token as Keras in {agreement * steps:.0f} of {steps:.0f} decisive steps"
        ties = found.get((verify, "greedy_ties"), 0)
        skipped = f"{ties:.0f} near-tie{'' if ties == 1 else 's'} skipped, " if ties else ""
        yield "agreement", f"{same} ({skipped}at least {limits.greedy_agreement * 100:g} %)"
    if has(verify, "divergence", "top1_agreement"):
        off, share = found[verify, "divergence"], found[verify, "top1_agreement"]
        yield (
            "on text" if job.spec.evaluation is None else "on your text",
            (
                f"same best token as Keras at {_percent(share)} of positions (at least"
                f" {limits.top1_agreement * 100:g} %), divergence {off:.2g} nats"
                f"{_percentile(found.get((verify, 'divergence_p99')))} (limit {limits.divergence:g})"
            ),
        )
    if has(verify, "logit_difference") and limits.logit_difference is not None:
        difference = found[verify, "logit_difference"]
        yield "logits", f"largest error {_percent(difference)} (limit {limits.logit_difference * 100:g} %)"
    if has(verify, "perplexity", "keras_perplexity", "perplexity_ratio"):
        perplexity, keras = found[verify, "perplexity"], found[verify, "keras_perplexity"]
        ratio = found[verify, "perplexity_ratio"]
        yield (
            "perplexity",
            (
                f"{perplexity:.4g}, {ratio:.4f}{_error(found.get((verify, 'perplexity_ratio_error')))} times Keras's"
                f" {keras:.4g} (limit {limits.perplexity_ratio:g} times)"
            ),
        )
    if has(verify, "repetition", "keras_repetition", "repetition_tokens"):
        own, keras = found[verify, "repetition"], found[verify, "keras_repetition"]
        tokens = found[verify, "repetition_tokens"]
        yield "repetition", f"{_percent(own)} of {tokens:.0f} freely written tokens, Keras's own {_percent(keras)}"
    if has(verify, "prefill_seconds", "prefill_tokens", "decode_rate"):
        prefill = units.duration(found[verify, "prefill_seconds"])
        tokens, rate = found[verify, "prefill_tokens"], found[verify, "decode_rate"]
        speed = f"{tokens:.0f} prompt tokens in {prefill}, then {rate:.0f} tokens/s"
        yield "speed", f"{speed}, on the farm's processor (not a phone's)"
    if has(litert_lm, "litert_lm_tokens", "litert_lm_prompts", "litert_lm_turns"):
        tokens, prompts = found[litert_lm, "litert_lm_tokens"], found[litert_lm, "litert_lm_prompts"]
        turns, ties = found[litert_lm, "litert_lm_turns"], found.get((litert_lm, "litert_lm_ties"), 0)
        asked = f"{prompts:.0f} golden prompts" + (f" and {turns:.0f} turns of a conversation" if turns else "")
        skipped = f" ({ties:.0f} near-tie{'' if ties == 1 else 's'} skipped)" if ties else ""
        agreed = found.get((litert_lm, "litert_lm_agreed"), tokens)
        same = f"{tokens:.0f}" if agreed == tokens else f"{agreed:.0f} of {tokens:.0f}"
        yield "LiteRT-LM", f"writes the same {same} tokens behind {asked}{skipped}"
    if has(host, "host_decode_rate"):
        yield "app's code", f"{found[host, 'host_decode_rate']:.0f} tokens/s on the farm's JVM (not a phone's)"
    for cpu in arm_cpus(job):
        off, share = (found[StageName.ARM_CHECK, f"arm_{cpu}_{name}"] for name in ("divergence", "top1_agreement"))
        tokens = found[StageName.ARM_CHECK, f"arm_{cpu}_tokens"]
        yield (
            f"on {cpu}",
            f"same best token as Keras at {_percent(share)} of {tokens:.0f} positions, divergence {off:.2g} nats"
            " (emulated phone)",
        )
    if has(StageName.BUNDLE, "bundle_download"):
        yield "download", f"{units.size(found[StageName.BUNDLE, 'bundle_download'])} from Google Play (estimated)"


def arm_cpus(job: JobView) -> list[str]:
    """The phone processors on which the job's model was run."""
    names = [metric.name for metric in job.metrics if metric.stage == StageName.ARM_CHECK]
    return [name.removeprefix("arm_").removesuffix("_tokens") for name in names if name.endswith("_tokens")]


def _percent(share: float) -> str:
    """Two decimals below a percent, so that a small difference is not shown as none."""
    value = share * 100
    return f"{value:.1f} %" if value >= 1 or value == 0 else f"{value:.2g} %"


def _error(error: float | None) -> str:
    """The standard error of a ratio; older jobs have none."""
    return "" if error is None else f" ± {error:.2g}"


def _percentile(divergence: float | None) -> str:
    """What 99 of 100 positions stay below; older jobs have none."""
    return "" if divergence is None else f", {divergence:.2g} at the 99th percentile"
