"""Stage litert-lm: the verified model as `model.litertlm`, for LiteRT-LM and the apps that are made with it."""

from __future__ import annotations

import json

from farm.artifacts import ArtifactName
from farm.progress import Reporter
from pipeline.inference.interpreter import read_sizes
from pipeline.inference.model_info import ModelInfo
from pipeline.litert_lm import bundle, check, container, metadata, signatures
from pipeline.request import Metric, StageRequest, StageResult

# The bundle's signatures read the weights that verification has judged: a part of the golden prompts shows whether
# they read them in the same way.
PROMPTS = 3
TOKENS = 8


def run(request: StageRequest, report: Reporter) -> StageResult:
    """Write the file; QualityMissed when its signatures write other tokens than the verified model."""
    report(0.0, "deriving the signatures")
    info = ModelInfo.read(request.input(ArtifactName.MODEL_INFO))
    model = request.input(ArtifactName.MODEL)
    contract = read_sizes(model, info.context)
    request.scratch.mkdir(parents=True, exist_ok=True)
    derived = request.scratch / "litert-lm.tflite"
    signatures.derive(model, contract, derived)
    report(0.4, "comparing with the golden prompts")
    golden = json.loads(request.input(ArtifactName.GOLDEN).read_text())
    compared = sum(
        check.compare(
            derived, contract, prompt["prompt_tokens"], prompt["tokens"][:TOKENS], prompt["margins"][:TOKENS],
            golden["limits"]["near_tie_margin"], request.threads,
        )
        for prompt in golden["prompts"][:PROMPTS]
    )  # fmt: skip
    report(0.8, "writing the container")
    output = request.output(ArtifactName.LITERT_LM)
    output.parent.mkdir(parents=True, exist_ok=True)
    container.write(
        output,
        [
            bundle.description_section(info, model.stat().st_size),
            container.metadata_section(metadata.encode(info.context, info.start_token, info.stop_tokens)),
            container.tokenizer_section(request.input(ArtifactName.TOKENIZER).read_bytes()),
            container.model_section(derived),
        ],
        [("Authors", "keras-android-farm"), ("Model", info.name)],
    )
    derived.unlink()
    return StageResult(
        metrics=(
            Metric(name="litert_lm_bytes", value=output.stat().st_size, unit="bytes"),
            Metric(name="litert_lm_tokens", value=compared, unit="tokens"),
        ),
    )
