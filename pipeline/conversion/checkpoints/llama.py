"""Llama, Mistral, Qwen 2 and 3, SmolLM 3 and Phi-3: RMSNorm, gated feed-forward, rotary embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.conversion.checkpoints.activation import read_activation
from pipeline.conversion.checkpoints.builder import Architecture, Builder
from pipeline.conversion.checkpoints.rope import Rope, read_long_rope, read_rope
from pipeline.conversion.checkpoints.settings import Settings
from pipeline.conversion.description import DecoderDescription, Layer, Norm, layer_weight

SLIDING, FULL = "sliding_attention", "full_attention"


@dataclass(frozen=True)
class Defaults:
    """What the family's configuration class takes where `config.json` says nothing."""

    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_value_heads: int | None
    positions: int
    epsilon: float = 1e-6
    head_size: int | None = None
    tied: bool = False


@dataclass(frozen=True)
class Sizes:
    """The settings that all of these families share."""

    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_value_heads: int
    head_size: int
    positions: int
    epsilon: float
    tied: bool

    @property
    def qkv(self) -> tuple[int, int, int]:
        """Rows of queries, keys and values."""
        return self.heads * self.head_size, *(2 * (self.key_value_heads * self.head_size,))


def read_sizes(builder: Builder, default: Defaults) -> Sizes:
    """Read them; ModelDamaged where they are no numbers that a model may have."""
    settings = builder.settings
    heads, hidden = (
        settings.natural("num_attention_heads", default.heads),
        settings.natural("hidden_size", default.hidden),
    )
    return Sizes(
        vocabulary=settings.natural("vocab_size", default.vocabulary),
        hidden=hidden,
        intermediate=settings.natural("intermediate_size", default.intermediate),
        layers=builder.layers("num_hidden_layers", default.layers),
        heads=heads,
        key_value_heads=settings.natural("num_key_value_heads", default.key_value_heads or heads),
        head_size=settings.natural("head_dim", default.head_size or max(hidden // heads, 1)),
        positions=settings.natural("max_position_embeddings", default.positions),
        epsilon=settings.number("rms_norm_eps", default.epsilon),
        tied=settings.flag("tie_word_embeddings", default.tied),
    )


def read_llama(builder: Builder) -> Architecture:
    """Llama 1 to 3.2, SmolLM 2 and what else is saved as `llama`."""
    sizes = read_sizes(builder, Defaults(32000, 4096, 11008, 32, 32, None, 2048))
    settings = builder.settings
    biased = settings.flag("attention_bias", False)
    rope = read_rope(settings, sizes.head_size, sizes.positions)
    return _read(
        builder, sizes, _turned(sizes, rope), rope, qkv_bias=biased, output_bias=biased,
        feed_forward_bias=settings.flag("mlp_bias", False),
    )  # fmt: skip


def read_mistral(builder: Builder) -> Architecture:
    """Mistral: one window in all layers, or none."""
    sizes = read_sizes(builder, Defaults(32000, 4096, 14336, 32, 32, 8, 4096 * 32))
    rope = read_rope(builder.settings, sizes.head_size, sizes.positions)
    # Null means no window, absence the class's own.
    window = builder.settings.natural("sliding_window", 4096) if builder.settings.states("sliding_window") else None
    return _read(builder, sizes, _turned(sizes, rope, [window] * sizes.layers), rope)


def read_qwen2(builder: Builder) -> Architecture:
    """Qwen 2 and 2.5: biases of queries, keys and values; a window from some layer on, if it is used."""
    sizes = read_sizes(builder, Defaults(151936, 4096, 22016, 32, 32, 32, 32768))
    rope = read_rope(builder.settings, sizes.head_size, sizes.positions)
    return _read(builder, sizes, _turned(sizes, rope, _qwen_windows(builder.settings, sizes)), rope, qkv_bias=True)


def read_qwen3(builder: Builder) -> Architecture:
    """Qwen 3: queries and keys are normalized."""
    sizes = read_sizes(builder, Defaults(151936, 4096, 22016, 32, 32, 32, 32768, head_size=128))
    settings = builder.settings
    biased = settings.flag("attention_bias", False)
    rope = read_rope(settings, sizes.head_size, sizes.positions)
    return _read(
        builder, sizes, _turned(sizes, rope, _qwen_windows(settings, sizes)), rope,
        qkv_bias=biased, output_bias=biased, query_key_norm=True,
    )  # fmt: skip


def read_smollm3(builder: Builder) -> Architecture:
    """SmolLM 3: no rotation in every fourth layer."""
    sizes = read_sizes(builder, Defaults(128256, 2048, 11008, 36, 16, 4, 32768, tied=True))
    settings = builder.settings
    biased = settings.flag("attention_bias", False)
    rope = read_rope(settings, sizes.head_size, sizes.positions, base=2000000.0)
    interval = settings.natural("no_rope_layer_interval", 4)
    turned = settings.items("no_rope_layers", sizes.layers)
    if turned is None:
        turned = [int((index + 1) % interval != 0) for index in range(sizes.layers)]
    windows = _smollm3_windows(settings, sizes, turned)
    layers = [Layer(rope.embedding if turns else None, window) for turns, window in zip(turned, windows, strict=True)]
    return _read(
        builder, sizes, layers, rope, qkv_bias=biased, output_bias=biased,
        feed_forward_bias=settings.flag("mlp_bias", False),
    )  # fmt: skip


def _smollm3_windows(settings: Settings, sizes: Sizes, turned: Sequence[object]) -> list[int | None]:
    """The windows: as `layer_types` says, else of the layers without rotation."""
    used = settings.flag("use_sliding_window", False)
    window = settings.natural("sliding_window") if "sliding_window" in settings else None
    settings.value("sliding_window", None)
    kinds = settings.items("layer_types", sizes.layers)
    if kinds is None:
        return [window if used and not turns else None for turns in turned]
    slide = [layer_kind(settings, kind) for kind in kinds]
    if any(slide) and (not used or window is None):
        raise settings.disputed("layer_types", "it names windows that the other settings leave out; correct them")
    return [window if slides else None for slides in slide]


def read_phi3(builder: Builder) -> Architecture:
    """Phi-3 and 3.5 mini and medium: one tensor for queries, keys and values, one for gate and up."""
    sizes = read_sizes(builder, Defaults(32064, 3072, 8192, 32, 32, None, 4096, epsilon=1e-5))
    settings = builder.settings
    rope = read_long_rope(settings, sizes.head_size, sizes.positions, settings.number("partial_rotary_factor", 1.0))
    window = settings.natural("sliding_window") if "sliding_window" in settings else None
    settings.value("sliding_window", None)
    return _read(builder, sizes, _turned(sizes, rope, [window] * sizes.layers), rope, fused=True)


def _turned(sizes: Sizes, rope: Rope, windows: Sequence[int | None] | None = None) -> list[Layer]:
    return [Layer(rope.embedding, window) for window in windows or [None] * sizes.layers]


def _qwen_windows(settings: Settings, sizes: Sizes) -> list[int | None]:
    return _windows(settings, sizes, settings.flag("use_sliding_window", False), "max_window_layers", 28)


def _windows(
    settings: Settings, sizes: Sizes, used: bool, first_key: str | None = None, first_default: int = 0
) -> list[int | None]:
    """Each layer's window: as `layer_types` says, else from some layer on, where windows are used at all."""
    window = settings.natural("sliding_window", 4096)
    first = settings.value(first_key, first_default) if first_key is not None else 0
    kinds = settings.items("layer_types", sizes.layers)
    if kinds is not None:
        return [window if layer_kind(settings, kind) and used else None for kind in kinds]
    return [window if used and index >= first else None for index in range(sizes.layers)]


def layer_kind(settings: Settings, kind: object) -> bool:
    """Whether a layer of that kind has a window; UnsupportedArchitecture names another kind."""
    if kind not in (SLIDING, FULL):
        raise settings.unsupported("layer_types", kind)
    return kind == SLIDING


def _read(
    builder: Builder, sizes: Sizes, layers: Sequence[Layer], rope: Rope, *, qkv_bias: bool = False,
    output_bias: bool = False, feed_forward_bias: bool = False, query_key_norm: bool = False, fused: bool = False,
) -> Architecture:  # fmt: skip
    activation = read_activation(builder.settings, "hidden_act", "silu")
    embeddings = builder.add_embeddings("embed_tokens.weight", sizes.vocabulary, sizes.hidden, tied=sizes.tied)
    hidden, wide = sizes.hidden, sizes.intermediate
    for index in range(sizes.layers):
        place = f"layers.{index}."
        attention, network = f"{place}self_attn.", f"{place}mlp."
        builder.ignore(f"{attention}rotary_emb.inv_freq")
        builder.norm(layer_weight(index, "attention_norm"), f"{place}input_layernorm", hidden)
        qkv = layer_weight(index, "qkv")
        if fused:
            builder.linear(qkv, f"{attention}qkv_proj", sum(sizes.qkv), hidden, bias=False)
        else:
            names = [f"{attention}{name}_proj" for name in "qkv"]
            builder.fused(qkv, names, sizes.qkv, hidden, bias=qkv_bias)
        if query_key_norm:
            builder.norm(layer_weight(index, "query_norm"), f"{attention}q_norm", sizes.head_size)
            builder.norm(layer_weight(index, "key_norm"), f"{attention}k_norm", sizes.head_size)
        builder.linear(
            layer_weight(index, "attention_output"), f"{attention}o_proj", hidden, sizes.qkv[0], bias=output_bias
        )
        builder.norm(layer_weight(index, "feed_forward_norm"), f"{place}post_attention_layernorm", hidden)
        if fused:
            halves = (lambda both: both[0], lambda both: both[1])
            for name, half in zip(("gate", "up"), halves, strict=True):
                builder.sliced(
                    layer_weight(index, name), f"{network}gate_up_proj", (2, wide, hidden), (half,), axes=1, bias=False
                )
        else:
            for name in ("gate", "up"):
                builder.linear(layer_weight(index, name), f"{network}{name}_proj", wide, hidden, bias=feed_forward_bias)
        builder.linear(layer_weight(index, "down"), f"{network}down_proj", hidden, wide, bias=feed_forward_bias)
    builder.norm("final_norm", "norm", hidden)
    description = DecoderDescription(
        vocabulary_size=sizes.vocabulary, hidden_size=hidden, intermediate_size=wide, query_heads=sizes.heads,
        key_value_heads=sizes.key_value_heads, head_size=sizes.head_size, layers=tuple(layers), norm=Norm.RMS,
        norm_epsilon=sizes.epsilon, final_norm_epsilon=sizes.epsilon, activation=activation,
        query_scale=sizes.head_size**-0.5, qkv_bias=qkv_bias, attention_output_bias=output_bias,
        feed_forward_bias=feed_forward_bias, gated_feed_forward=True,
        query_key_norm_epsilon=sizes.epsilon if query_key_norm else None, tied_embedding=embeddings.tied,
    )  # fmt: skip
    return Architecture(description, min(sizes.positions, rope.positions or sizes.positions), embeddings.notes)
