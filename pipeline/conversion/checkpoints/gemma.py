"""Gemma, Gemma 2 and the text of Gemma 3."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from pipeline.conversion.checkpoints.activation import read_activation
from pipeline.conversion.checkpoints.builder import Architecture, Builder
from pipeline.conversion.checkpoints.llama import FULL, SLIDING, Defaults, Sizes, layer_kind, read_sizes
from pipeline.conversion.checkpoints.rope import Rope, read_rope, read_scaled
from pipeline.conversion.checkpoints.settings import Settings
from pipeline.conversion.description import DecoderDescription, Layer, Norm, RotaryEmbedding, layer_weight

# Gemma's norms multiply by 1 + the file's scale.
OFFSET = 1.0


def read_gemma(builder: Builder) -> Architecture:
    """Gemma 1: the name of the activation stands in either of two keys."""
    sizes = read_sizes(builder, Defaults(256000, 3072, 24576, 28, 16, 16, 8192, head_size=256, tied=True))
    builder.settings.value("hidden_act", None)  # written, but never used: hidden_activation or the approximation is
    rope = read_rope(builder.settings, sizes.head_size, sizes.positions)
    layers = [Layer(rope.embedding)] * sizes.layers
    return _read(builder, sizes, layers, query_size=sizes.head_size, post_norms=False, query_key_norm=False)


def read_gemma2(builder: Builder) -> Architecture:
    """Gemma 2: windows in every other layer, caps, second norms."""
    sizes = read_sizes(builder, Defaults(256000, 2304, 9216, 26, 8, 4, 8192, head_size=256, tied=True))
    settings = builder.settings
    settings.value("hidden_act", None)
    settings.value("cache_implementation", None)
    settings.require("use_bidirectional_attention", False, False)
    rope = read_rope(settings, sizes.head_size, sizes.positions)
    windows = _windows(settings, sizes, 4096, lambda index: index % 2 == 0)
    layers = [Layer(rope.embedding, window) for window in windows]
    # The class's own value was 224 before release 4.45 of Transformers and 256 since.
    return _read(
        builder, sizes, layers, query_size=settings.number("query_pre_attn_scalar", _query_default(settings)),
        post_norms=True, query_key_norm=False, caps=(50.0, 30.0),
    )  # fmt: skip


def read_gemma3(builder: Builder) -> Architecture:
    """Gemma 3 without images: another rotary base in the layers with a window."""
    sizes = read_sizes(builder, Defaults(262208, 2304, 9216, 26, 8, 4, 131072, head_size=256, tied=True))
    settings = builder.settings
    settings.value("cache_implementation", None)
    settings.require("use_bidirectional_attention", False, False)
    pattern = settings.natural("sliding_window_pattern", settings.value("_sliding_window_pattern", 6))
    windows = _windows(settings, sizes, 4096, lambda index: (index + 1) % pattern != 0)
    if "attn_logit_softcapping" in settings:
        raise settings.disputed(
            "attn_logit_softcapping", "Transformers ignores it in Gemma 3 and KerasHub does not; remove it"
        )
    full, local = _gemma3_ropes(settings, sizes)
    layers = [Layer((full if window is None else local).embedding, window) for window in windows]
    limits = [sizes.positions, *(rope.positions for rope in (full, local) if rope.positions is not None)]
    return _read(
        builder, replace(sizes, positions=min(limits)), layers,
        query_size=settings.number("query_pre_attn_scalar", 256), post_norms=True, query_key_norm=True,
    )  # fmt: skip


def _gemma3_ropes(settings: Settings, sizes: Sizes) -> tuple[Rope, Rope]:
    """The rotary embeddings of full layers and of those with a window."""
    five = settings.table("rope_parameters")
    if five is not None:
        found = []
        for name in (FULL, SLIDING):
            table = five.table(name)
            if table is None:
                raise settings.unsupported("rope_parameters", settings.value("rope_parameters"))
            found.append(read_scaled(table, table.number("rope_theta"), sizes.head_size, sizes.positions))
            table.finish()
        five.finish()
        return found[0], found[1]
    full = read_rope(settings, sizes.head_size, sizes.positions, base=1000000.0)
    local = RotaryEmbedding(settings.number("rope_local_base_freq", 10000.0), sizes.head_size)
    return full, Rope(local)


def _query_default(settings: Settings) -> int:
    version = settings.value("transformers_version", "")
    parts = str(version).split(".")
    older = len(parts) > 1 and parts[0].isdigit() and parts[1].isdigit() and (int(parts[0]), int(parts[1])) < (4, 45)
    return 224 if older else 256


def _windows(settings: Settings, sizes: Sizes, default: int, has_window: Callable[[int], bool]) -> list[int | None]:
    window = settings.natural("sliding_window", default)
    kinds = settings.items("layer_types", sizes.layers)
    if kinds is not None:
        return [window if layer_kind(settings, kind) else None for kind in kinds]
    return [window if has_window(index) else None for index in range(sizes.layers)]


def _read(
    builder: Builder, sizes: Sizes, layers: list[Layer], *, query_size: float, post_norms: bool, query_key_norm: bool,
    caps: tuple[float | None, float | None] = (None, None),
) -> Architecture:  # fmt: skip
    settings = builder.settings
    activation = read_activation(settings, "hidden_activation", "gelu_pytorch_tanh")
    biased = settings.flag("attention_bias", False)
    attention_cap, final_cap = (
        _cap(settings, "attn_logit_softcapping", caps[0]),
        _cap(settings, "final_logit_softcapping", caps[1]),
    )
    hidden, wide = sizes.hidden, sizes.intermediate
    embeddings = builder.add_embeddings("embed_tokens.weight", sizes.vocabulary, hidden, tied=sizes.tied)

    def norm(target: str, name: str, size: int = hidden) -> None:
        builder.norm(target, name, size, offset=OFFSET)

    for index in range(sizes.layers):
        place = f"layers.{index}."
        attention, network = f"{place}self_attn.", f"{place}mlp."
        builder.ignore(f"{attention}rotary_emb.inv_freq")
        norm(layer_weight(index, "attention_norm"), f"{place}input_layernorm")
        names = [f"{attention}{name}_proj" for name in "qkv"]
        builder.fused(layer_weight(index, "qkv"), names, sizes.qkv, hidden, bias=biased)
        if query_key_norm:
            norm(layer_weight(index, "query_norm"), f"{attention}q_norm", sizes.head_size)
            norm(layer_weight(index, "key_norm"), f"{attention}k_norm", sizes.head_size)
        builder.linear(layer_weight(index, "attention_output"), f"{attention}o_proj", hidden, sizes.qkv[0], bias=biased)
        if post_norms:
            norm(layer_weight(index, "attention_output_norm"), f"{place}post_attention_layernorm")
            norm(layer_weight(index, "feed_forward_norm"), f"{place}pre_feedforward_layernorm")
        else:
            norm(layer_weight(index, "feed_forward_norm"), f"{place}post_attention_layernorm")
        for name in ("gate", "up"):
            builder.linear(layer_weight(index, name), f"{network}{name}_proj", wide, hidden, bias=False)
        builder.linear(layer_weight(index, "down"), f"{network}down_proj", hidden, wide, bias=False)
        if post_norms:
            norm(layer_weight(index, "feed_forward_output_norm"), f"{place}post_feedforward_layernorm")
    norm("final_norm", "norm")
    description = DecoderDescription(
        vocabulary_size=sizes.vocabulary, hidden_size=hidden, intermediate_size=wide, query_heads=sizes.heads,
        key_value_heads=sizes.key_value_heads, head_size=sizes.head_size, layers=tuple(layers), norm=Norm.RMS,
        norm_epsilon=sizes.epsilon, final_norm_epsilon=sizes.epsilon, activation=activation,
        query_scale=query_size**-0.5, qkv_bias=biased, attention_output_bias=biased, gated_feed_forward=True,
        query_key_norm_epsilon=sizes.epsilon if query_key_norm else None, attention_output_norm=post_norms,
        feed_forward_output_norm=post_norms, attention_logit_cap=attention_cap, final_logit_cap=final_cap,
        embedding_scale=math.sqrt(hidden), tied_embedding=embeddings.tied,
    )  # fmt: skip
    return Architecture(description, sizes.positions, embeddings.notes)


def _cap(settings: Settings, key: str, default: float | None) -> float | None:
    """A cap; null means none, absence the class's own."""
    if not settings.states(key):
        settings.value(key, None)
        return default
    return settings.number(key) if key in settings else settings.value(key, None)
