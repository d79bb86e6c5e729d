"""What a text takes of memory in a local model's caches, read from its configuration without building anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from farm.errors import ModelError
from farm.jobspec import JobSpec
from pipeline.models.positions import config_of, stated

LAYERS = ("num_layers", "num_hidden_layers", "n_layer")
QUERY_HEADS = ("num_query_heads", "num_heads", "num_attention_heads", "n_head")
KEY_VALUE_HEADS = ("num_key_value_heads", "num_kv_heads")
HEAD_SIZE = ("head_dim",)
HIDDEN = ("hidden_dim", "hidden_size", "n_embd")
# A key and a value, in float32.
BYTES = 2 * 4


def estimates(spec: JobSpec) -> list[tuple[int, int]]:
    """The longest text in tokens and the most bytes of its keys and values; a second pair where the model may chat.

    Empty where no configuration is at hand or none says it; what is wrong with one is found by the stage check.
    """
    try:
        config = config_of(spec.model_ref)
        row = row_bytes(config)
        positions = stated(config)
    except ModelError:
        return []
    if row is None:
        return []
    contexts = {spec.fitted(positions, chats=chats).wanted_context for chats in (False, True)}
    return [(context, context * row) for context in sorted(contexts)]


def row_bytes(config: Any) -> int | None:
    """What a token takes in the caches of all layers; None where the configuration does not say it.

    An attention window bounds what its layers take, so that this is the most. config: of a backbone, of a whole
    language model around one, or of Transformers.
    """
    settings = _settings(config)
    layers, heads, hidden = (_first(settings, keys) for keys in (LAYERS, QUERY_HEADS, HIDDEN))
    few = 1 if settings.get("multi_query") is True else _first(settings, KEY_VALUE_HEADS) or heads
    size = _first(settings, HEAD_SIZE) or (hidden // heads if hidden and heads else None)
    return BYTES * layers * few * size if layers and few and size else None


def _settings(config: Any) -> dict[str, Any]:
    if not isinstance(config, dict):
        return {}
    for inner in ("config", "backbone", "text_config"):
        if isinstance(config.get(inner), dict):
            return _settings(config[inner])
    return config


def _first(settings: dict[str, Any], keys: Sequence[str]) -> int | None:
    found = (settings.get(key) for key in keys)
    return next((value for value in found if type(value) is int and value > 0), None)
