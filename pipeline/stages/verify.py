"""The check that decides: opens the written model in ai-edge-litert and compares it with Keras and its recipe's limits.

Nothing unverified goes on to be packaged. What passes is kept as golden prompts, which the app's own code must
reproduce later.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farm import digests, recipes
from farm.artifacts import ArtifactName
from farm.errors import ArtifactDamaged, DescriptionMismatch, QualityMissed
from farm.jobspec import IoMode, SpecialTokens, TokenizerGraph
from farm.progress import Reporter
from farm.recipes import QualityLimits
from pipeline.flex.runner import FlexModel
from pipeline.inference import divergence, keras_graph_quality, prompt_check, quality, repetition
from pipeline.inference.divergence import Divergence
from pipeline.inference.interpreter import TokenModel, open_token_model
from pipeline.inference.model_card import ModelCard
from pipeline.inference.model_info import ModelInfo
from pipeline.inference.quality import PromptOutcome
from pipeline.inference.reference import ConversationTurn, Reference, read_reference
from pipeline.inference.repetition import Repetition
from pipeline.inference.speed import Speed, measure_speed
from pipeline.inference.text_model import TextModel
from pipeline.inference.text_quality import TextMetrics, compare_texts
from pipeline.request import Metric, StageRequest, StageResult
from pipeline.tokenizers.codec import TextCodec

# What prefill time and tokens per second are measured with, less where the context is small.
SPEED_PROMPT_TOKENS = 32
SPEED_STEPS = 16
# By how much the few positions behind a prefill may be off beyond the limit for the whole text: a prefill that reads
# otherwise is off by nats.
PREFILL_SLACK = 10.0
# A file with KerasHub's graph takes any prompt, and cuts what does not fit.
LONGEST_PROMPT = 1 << 20


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
    outcomes = []
    for number, prompt in enumerate(reference.prompts):
        report(0.1 + 0.3 * number / len(reference.prompts), "writing greedily beside Keras")
        outcomes.append(quality.run_prompt(model, prompt, info.stop_tokens, limits.near_tie * reference.logit_scale))
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
        in_text = check_text(request, info, model, codec, outcomes, limits.near_tie * reference.logit_scale)

    figures = summarise(outcomes, on_text, behind_prefill, difference, cache_change, speed, load_seconds, repeated)
    check_limits(figures, limits, info.recipe)
    near_tie_margin = limits.near_tie * reference.logit_scale
    write_golden(
        request.output(ArtifactName.GOLDEN), info, outcomes, figures, limits, near_tie_margin, codec,
        reference.conversation,
    )  # fmt: skip
    model_card(figures, request.input(ArtifactName.MODEL).stat().st_size, info).write(
        request.output(ArtifactName.MODEL_CARD)
    )
    return StageResult(
        metrics=(*metrics(figures), *text_metrics(in_text)),
        notes=(*notes(figures, info.vocabulary_size), *text_notes(in_text, info)),
    )


def verify_keras_graph(
    request: StageRequest, info: ModelInfo, reference: Reference, codec: TextCodec | None, report: Reporter
) -> StageResult:
    """Verify a file that takes a prompt and gives a text, and nothing else; QualityMissed."""
    if codec is None:
        raise DescriptionMismatch("The model takes text but comes without a tokenizer; run the job again.")
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


def check_text(
    request: StageRequest,
    info: ModelInfo,
    model: TokenModel,
    codec: TextCodec | None,
    outcomes: Sequence[PromptOutcome],
    near_tie: float,
) -> TextMetrics:
    """Compare the signature that takes text with the tokens signatures of the same file, which Keras has judged."""
    if codec is None:
        raise DescriptionMismatch("The model takes text but comes without a tokenizer; run the job again.")
    path = request.input(ArtifactName.MODEL)
    special_tokens = SpecialTokens(info.special_tokens or SpecialTokens.TEXT)
    if info.io_mode == IoMode.BYTES:
        texts = open_text_model(path, info, request.threads)
        return compare_texts(
            texts, model, codec, special_tokens, outcomes, info.start_token, info.stop_tokens, near_tie
        )
    flex = FlexModel(path, request.threads, info.prompt_bytes or 0, info.context)
    return compare_texts(
        flex, model, codec, special_tokens, outcomes, info.start_token, info.stop_tokens, near_tie,
        longest_answer=info.output_tokens,
    )  # fmt: skip


def open_text_model(path: Path, info: ModelInfo, threads: int) -> TextModel:
    """A model of the I/O mode `bytes`; DescriptionMismatch when it is of other sizes than it should be."""
    texts = TextModel(path, threads)
    sizes = (texts.prompt_bytes, texts.context)
    if sizes != (info.prompt_bytes, info.context):
        raise DescriptionMismatch(
            f"The written model takes prompts of {sizes[0]} bytes in a context of {sizes[1]} tokens, its description"
            f" says {info.prompt_bytes} and {info.context}; run the job again."
        )
    return texts


def text_metrics(figures: TextMetrics | None) -> tuple[Metric, ...]:
    """What is recorded of a I/O mode that takes text."""
    if figures is None:
        return ()
    return (
        Metric(name="tokenizer_texts", value=figures.texts, unit="texts"),
        Metric(name="text_prompts", value=figures.prompts, unit="prompts"),
        Metric(name="text_prompts_equal_to_keras", value=figures.keras_equal, unit="prompts"),
        Metric(name="text_ties", value=figures.near_ties, unit="prompts"),
    )


def text_notes(figures: TextMetrics | None, info: ModelInfo) -> tuple[str, ...]:
    """What a reader should know of a I/O mode that takes text."""
    if figures is None:
        return ()
    special = "are read as such" if info.special_tokens == SpecialTokens.READ else "are text"
    return (
        f"From text to text, {figures.keras_equal} of {figures.golden} golden prompts are continued exactly as by"
        f" Keras; the tokenizer in the graph reads all of {figures.texts} mixed texts as the tokenizers package does."
        f" Special tokens in a prompt {special}.",
    )


def check_files(request: StageRequest, info: ModelInfo) -> TextCodec | None:
    """ArtifactDamaged unless model and tokenizer are the files that model-info.json describes; the tokenizer.

    TFLite runs many damaged files without a word, so that only the hash tells.
    """
    if info.model_sha256 != digests.of_file(request.input(ArtifactName.MODEL)):
        raise ArtifactDamaged("model.tflite is not the file that model-info.json describes; run the job again.")
    if info.recipe != request.spec.recipe:
        raise DescriptionMismatch(
            f"The model was made with the recipe {info.recipe}, but the job asks for {request.spec.recipe}; run the job"
            " again."
        )
    if info.tokenizer_sha256 is None:
        return None
    tokenizer = request.input(ArtifactName.TOKENIZER)
    if info.tokenizer_sha256 != digests.of_file(tokenizer):
        raise ArtifactDamaged("tokenizer.json is not the file that model-info.json describes; run the job again.")
    return TextCodec.open(tokenizer)


def check_sizes(model: TokenModel, info: ModelInfo, codec: TextCodec | None, reference: Reference) -> None:
    """DescriptionMismatch unless file, description, tokenizer and reference are of the same model."""
    contract = model.contract
    last_token = info.vocabulary_size - 1
    pairs: list[tuple[str, object, object]] = [
        ("context", contract.context, info.context),
        ("prefill lengths", contract.prefill, tuple(sorted(info.prefill))),
        ("vocabulary", contract.vocabulary_size, info.vocabulary_size),
        ("layers", contract.layers, info.layers),
        ("key-value heads", contract.kv_heads, info.kv_heads),
        ("head size", contract.head_dim, info.head_dim),
        ("reference vocabulary", reference.probe_logits.shape[1], info.vocabulary_size),
        ("stop tokens in the vocabulary", all(0 <= token <= last_token for token in info.stop_tokens), True),
        ("end token among the stop tokens", info.end_token in info.stop_tokens, True),
        ("start token in the vocabulary", info.start_token is None or 0 <= info.start_token <= last_token, True),
    ]
    if codec is not None:
        # Keras may pad its vocabulary; what the tokenizer gives must be in it.
        pairs.append(("tokenizer within the vocabulary", codec.vocabulary_size <= info.vocabulary_size, True))
    wrong = [f"{what} {found} instead of {wanted}" for what, found, wanted in pairs if found != wanted]
    if wrong:
        raise DescriptionMismatch(
            f"The written model does not fit its description: {'; '.join(wrong)}; run the job again."
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


def write_golden(
    path: Path,
    info: ModelInfo,
    outcomes: Sequence[PromptOutcome],
    figures: Figures,
    limits: QualityLimits,
    near_tie_margin: float,
    codec: TextCodec | None,
    conversation: Sequence[ConversationTurn] = (),
) -> None:
    """Write `golden.json`: what the artifact writes after each prompt, beside what Keras wrote, and the figures.

    near_tie_margin: the lead of the best logit below which a step is a matter of rounding. conversation: turns whose
    prompts are the last of all.
    """
    golden: dict[str, Any] = {
        "format": 1,
        "recipe": info.recipe,
        "prompts": [
            {
                "text": outcome.reference.text,
                "prompt_tokens": outcome.reference.tokens,
                "keras_tokens": outcome.reference.greedy,
                "tokens": outcome.tokens,
                "margins": outcome.margins,
                "completion": None if codec is None else codec.continue_text(outcome.tokens),
            }
            for outcome in outcomes
        ],
        "conversations": _conversations(outcomes, conversation),
        "figures": {metric.name: metric.value for metric in metrics(figures)},
        "limits": {
            "greedy_agreement": limits.greedy_agreement,
            "divergence": limits.divergence,
            "top1_agreement": limits.top1_agreement,
            "perplexity_ratio": limits.perplexity_ratio,
            "logit_difference": limits.logit_difference,
            "near_tie": limits.near_tie,
            "near_tie_margin": near_tie_margin,
        },
    }
    path.write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n")


def _conversations(outcomes: Sequence[PromptOutcome], turns: Sequence[ConversationTurn]) -> list[dict[str, Any]]:
    """The golden conversation, if there is one; the history of each turn has Keras's answers."""
    asked = outcomes[len(outcomes) - len(turns) :]
    answered = [
        {
            "question": turn.question,
            "prompt_tokens": outcome.reference.tokens,
            "keras_tokens": outcome.reference.greedy,
            "tokens": outcome.tokens,
            "margins": outcome.margins,
            "answer": turn.answer,
        }
        for turn, outcome in zip(turns, asked, strict=True)
    ]
    return [{"system": None, "thinking": False, "turns": answered}] if answered else []


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
