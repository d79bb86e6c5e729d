"""From a folder that Transformers wrote to a description with its weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from farm import sources
from farm.errors import ModelDamaged, UnsupportedArchitecture, UnsupportedFamily
from pipeline.conversion.checkpoints import gemma, layer_norm, llama, multimodal
from pipeline.conversion.checkpoints.adapter import read_adapter
from pipeline.conversion.checkpoints.builder import Architecture, Builder
from pipeline.conversion.checkpoints.settings import Settings
from pipeline.conversion.checkpoints.tensors import Tensors, tensors_in
from pipeline.conversion.description import DecoderDescription
from pipeline.conversion.viewed_weights import ViewedWeights
from pipeline.models import jsonfile

MODEL = ("model.",)
TRANSFORMER = ("transformer.",)


@dataclass(frozen=True)
class Family:
    """How checkpoints of a model_type are read. name: the family's; prefixes: of its tensors, the first that occurs."""

    name: str
    read: Callable[[Builder], Architecture]
    prefixes: tuple[str, ...]


FAMILIES: dict[str, Family] = {
    "bloom": Family("Bloom", layer_norm.read_bloom, TRANSFORMER),
    "falcon": Family("Falcon", layer_norm.read_falcon, TRANSFORMER),
    "gemma": Family("Gemma", gemma.read_gemma, MODEL),
    "gemma2": Family("Gemma", gemma.read_gemma2, MODEL),
    "gemma3": Family("Gemma3", multimodal.read_gemma3, (multimodal.PUBLISHED, multimodal.CURRENT)),
    "gemma3_text": Family("Gemma3", gemma.read_gemma3, ("language_model.model.", *MODEL)),
    "gpt2": Family("GPT2", layer_norm.read_gpt2, TRANSFORMER),
    "gpt_neox": Family("GPTNeoX", layer_norm.read_gpt_neox, ("gpt_neox.",)),
    "llama": Family("Llama", llama.read_llama, MODEL),
    "mistral": Family("Mistral", llama.read_mistral, MODEL),
    "opt": Family("OPT", layer_norm.read_opt, ("model.decoder.", "decoder.")),
    "phi3": Family("Phi3", llama.read_phi3, MODEL),
    "qwen2": Family("Qwen", llama.read_qwen2, MODEL),
    "qwen3": Family("Qwen3", llama.read_qwen3, MODEL),
    "smollm3": Family("SmolLM3", llama.read_smollm3, MODEL),
}


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that the decoder can express, its weights mapped from the files."""

    family: str
    description: DecoderDescription
    weights: ViewedWeights
    positions: int | None
    notes: tuple[str, ...]
    tensors: Tensors


def is_checkpoint(folder: Path) -> bool:
    """Whether a source folder was written by Transformers."""
    config = folder / sources.CONFIG
    return config.is_file() and sources.is_transformers(_config(folder))


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read the names, shapes and settings, of an adapter beside it too; no tensor's values yet.

    AdapterUnusable, UnsupportedFamily, UnsupportedArchitecture (a setting by key and value, a tensor by name),
    ModelDamaged, DescriptionMismatch.
    """
    config = _config(folder)
    kind = config.get("model_type")
    family = FAMILIES.get(kind) if isinstance(kind, str) else None
    if family is None:
        raise UnsupportedFamily(
            f"There is no mapping for Transformers checkpoints of the model_type {str(kind)[:60]!r}; supported are"
            f" {', '.join(FAMILIES)}."
        )
    settings = Settings(config)
    for key in ("quantization_config", "compression_config"):
        if key in settings:
            method = settings.table(key)
            shown = method.value("quant_method", "an unnamed method") if method is not None else "an unnamed method"
            raise UnsupportedArchitecture(
                f"config.json has a {key} ({str(shown)[:40]}): the checkpoint is quantized; give the model before"
                " quantization and let the recipe quantize it."
            )
    found = read_adapter(folder, family.prefixes)
    adapter, notes = (found[0], (found[1],)) if found is not None else (None, ())
    builder = Builder(settings, tensors_in(folder), family.prefixes, adapter=adapter)
    read = family.read(builder)
    builder.finish()
    read.description.check(builder.weights)
    return Checkpoint(
        family.name, read.description, builder.weights, read.positions, (*read.notes, *notes), builder.tensors
    )


def _config(folder: Path) -> dict[str, object]:
    config = jsonfile.parse((folder / sources.CONFIG).read_bytes(), sources.CONFIG)
    if not isinstance(config, dict):
        raise ModelDamaged(f"{sources.CONFIG} is no table of settings; copy the model again.")
    return config
