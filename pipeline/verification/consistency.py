"""Whether model, tokenizer, description and reference are of one model."""

from __future__ import annotations

from farm import digests
from farm.artifacts import ArtifactName
from farm.errors import ArtifactDamaged, DescriptionMismatch
from pipeline.inference.interpreter import TokenModel
from pipeline.inference.model_info import ModelInfo
from pipeline.inference.reference import Reference
from pipeline.request import StageRequest
from pipeline.tokenizers.codec import TextCodec


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


def require_tokenizer(codec: TextCodec | None) -> TextCodec:
    """The tokenizer of a model that takes text; DescriptionMismatch where it has none."""
    if codec is None:
        raise DescriptionMismatch("The model takes text but comes without a tokenizer; run the job again.")
    return codec


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
