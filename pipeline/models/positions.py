"""How many positions a local model was made for, read from its configuration without building anything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farm import sources
from farm.modelref import ModelKind, ModelRef
from pipeline.models import archives, jsonfile

# Where KerasHub's backbones say it; those left out rotate or weigh distances, and have no end.
_BACKBONES = {
    "GPT2Backbone": "max_sequence_length",
    "OPTBackbone": "max_sequence_length",
    "GPTNeoXBackbone": "max_sequence_length",
    "Phi3Backbone": "max_sequence_length",
    "SmolLM3Backbone": "max_position_embeddings",
}


def positions_of(ref: ModelRef) -> int | None:
    """The longest context of a model on this machine's disk; None where its configuration states none. ModelError."""
    return stated(config_of(ref))


def config_of(ref: ModelRef) -> Any:
    """The value of a local model's config.json, an empty object where there is none, or no model here. ModelError."""
    if not ref.kind.local:
        return {}
    path = Path(ref.value)
    if ref.kind is ModelKind.KERAS_FILE:
        with archives.open_archive(path, path.name) as archive:
            present = sources.CONFIG in archive.members
            content = archive.read(sources.CONFIG, jsonfile.CONFIG_BYTES) if present else b"{}"
    else:
        config = path / sources.CONFIG
        content = config.read_bytes() if config.is_file() else b"{}"
    return jsonfile.parse(content, sources.CONFIG)


def stated(config: Any) -> int | None:
    """What a config.json states: of a backbone, of a whole language model around one, or of Transformers."""
    if not isinstance(config, dict):
        return None
    if sources.is_transformers(config):
        return _of_transformers(config)
    settings = config.get("config")
    if not isinstance(settings, dict):
        return None
    if isinstance(settings.get("backbone"), dict):
        return stated(settings["backbone"])
    return _number(settings, _BACKBONES.get(str(config.get("class_name")), ""))


def _of_transformers(config: Mapping[str, Any]) -> int | None:
    if config["model_type"] == "gpt2":
        return _number(config, "n_positions")
    if config["model_type"] == "bloom" or config.get("alibi") is True:
        return None
    return _number(config, "max_position_embeddings")


def _number(settings: Mapping[str, Any], key: str) -> int | None:
    value = settings.get(key)
    return value if type(value) is int and value > 0 else None
