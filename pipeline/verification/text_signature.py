"""The signature that takes text, beside the tokens signatures of the same file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from farm.artifacts import ArtifactName
from farm.errors import DescriptionMismatch
from farm.jobspec import IoMode, SpecialTokens
from pipeline.flex.runner import FlexModel
from pipeline.inference.interpreter import TokenModel
from pipeline.inference.model_info import ModelInfo
from pipeline.inference.quality import PromptOutcome
from pipeline.inference.text_model import TextModel
from pipeline.inference.text_quality import TextMetrics, compare_texts
from pipeline.request import Metric, StageRequest
from pipeline.tokenizers.codec import TextCodec
from pipeline.verification.consistency import require_tokenizer


def check_text(
    request: StageRequest,
    info: ModelInfo,
    model: TokenModel,
    codec: TextCodec | None,
    outcomes: Sequence[PromptOutcome],
    near_tie: float,
) -> TextMetrics:
    """Compare the signature that takes text with the tokens signatures of the same file, which Keras has judged."""
    codec = require_tokenizer(codec)
    path = request.input(ArtifactName.MODEL)
    special_tokens = SpecialTokens(info.special_tokens or SpecialTokens.TEXT)
    takes_bytes = info.io_mode == IoMode.BYTES
    texts = (
        open_text_model(path, info, request.threads)
        if takes_bytes
        else FlexModel(path, request.threads, info.prompt_bytes or 0, info.context)
    )
    return compare_texts(
        texts, model, codec, special_tokens, outcomes, info.start_token, info.stop_tokens, near_tie,
        longest_answer=None if takes_bytes else info.output_tokens,
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
