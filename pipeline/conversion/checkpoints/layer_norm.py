"""GPT-2, OPT, GPT-NeoX, BLOOM and Falcon: LayerNorm and a plain feed-forward network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import ml_dtypes
import numpy as np

from farm.errors import ModelDamaged
from pipeline.conversion.alibi import linear_slopes
from pipeline.conversion.checkpoints.activation import read_activation
from pipeline.conversion.checkpoints.builder import Architecture, Builder
from pipeline.conversion.checkpoints.rope import read_rope
from pipeline.conversion.description import (
    EMBEDDING_PROJECTION,
    OUTPUT_PROJECTION,
    POSITION_EMBEDDING,
    Activation,
    DecoderDescription,
    Layer,
    Norm,
    layer_weight,
)
from pipeline.conversion.viewed_weights import Array

# OPT leaves the first two rows of its position table unused.
OPT_OFFSET = 2


def _third(part: int) -> Callable[[Array], Array]:
    return lambda fused: fused[:, part]


THIRDS = tuple(_third(part) for part in range(3))


def read_gpt2(builder: Builder) -> Architecture:
    """GPT-2, whose kernels are [in, out]."""
    settings = builder.settings
    hidden, heads = settings.natural("n_embd", 768), settings.natural("n_head", 12)
    layers, positions = builder.layers("n_layer", 12), settings.natural("n_positions", 1024)
    vocabulary, wide = settings.natural("vocab_size", 50257), settings.natural("n_inner", 4 * hidden)
    head_size = _head_size(hidden, heads)
    scaled = settings.flag("scale_attn_weights", True)
    by_layer = settings.flag("scale_attn_by_inverse_layer_idx", False)
    embeddings = builder.add_embeddings(
        "wte.weight", vocabulary, hidden, tied=settings.flag("tie_word_embeddings", True)
    )
    builder.weights.add_table(POSITION_EMBEDDING, builder.parameter("wpe.weight", (positions, hidden)))
    for index in range(layers):
        place = f"h.{index}."
        builder.ignore(f"{place}attn.bias", f"{place}attn.masked_bias")
        builder.norm(layer_weight(index, "attention_norm"), f"{place}ln_1", hidden, bias=True)
        for target, name, out, inputs in (
            ("qkv", "attn.c_attn", 3 * hidden, hidden),
            ("attention_output", "attn.c_proj", hidden, hidden),
            ("up", "mlp.c_fc", wide, hidden),
            ("down", "mlp.c_proj", hidden, wide),
        ):
            builder.linear(layer_weight(index, target), place + name, out, inputs, bias=True, transposed=True)
        builder.norm(layer_weight(index, "feed_forward_norm"), f"{place}ln_2", hidden, bias=True)
    builder.norm("final_norm", "ln_f", hidden, bias=True)
    description = _describe(
        vocabulary, hidden, wide, heads, head_size, embeddings.tied,
        [Layer(score_scale=1.0 / (index + 1) if by_layer else 1.0) for index in range(layers)],
        epsilon=settings.number("layer_norm_epsilon", 1e-5),
        activation=read_activation(settings, "activation_function", "gelu_new"),
    )  # fmt: skip
    description = replace(description, position_count=positions, query_scale=description.query_scale if scaled else 1.0)
    return Architecture(description, positions, embeddings.notes)


def read_opt(builder: Builder) -> Architecture:
    """OPT, also 350M, which projects its embedding and normalizes after its sums."""
    settings = builder.settings
    hidden, heads = settings.natural("hidden_size", 768), settings.natural("num_attention_heads", 12)
    layers, positions = builder.layers("num_hidden_layers", 12), settings.natural("max_position_embeddings", 2048)
    vocabulary, wide = settings.natural("vocab_size", 50272), settings.natural("ffn_dim", 3072)
    size = settings.natural("word_embed_proj_dim", hidden)
    before, biased = settings.flag("do_layer_norm_before", True), settings.flag("enable_bias", True)
    affine = settings.flag("layer_norm_elementwise_affine", True)
    removed = settings.flag("_remove_final_layer_norm", False)
    final_norm = before and not removed
    embeddings = builder.add_embeddings(
        "embed_tokens.weight", vocabulary, size, tied=settings.flag("tie_word_embeddings", True)
    )
    table = builder.parameter("embed_positions.weight", (positions + OPT_OFFSET, hidden))
    builder.tensors_partly_used("embed_positions.weight")
    builder.weights.add_table(POSITION_EMBEDDING, table.select(lambda rows: rows[OPT_OFFSET:]))
    if size != hidden:
        for target, name, shape in (
            (EMBEDDING_PROJECTION, "project_in.weight", (hidden, size)),
            (OUTPUT_PROJECTION, "project_out.weight", (size, hidden)),
        ):
            builder.weights.add_table(target, builder.parameter(name, shape))

    def norm(target: str, name: str) -> None:
        if affine:
            builder.norm(target, name, hidden, bias=True)
        else:
            builder.plain_norm(target, hidden)

    for index in range(layers):
        place = f"layers.{index}."
        norm(layer_weight(index, "attention_norm"), f"{place}self_attn_layer_norm")
        names = [f"{place}self_attn.{name}_proj" for name in "qkv"]
        builder.fused(layer_weight(index, "qkv"), names, [hidden] * 3, hidden, bias=biased)
        builder.linear(
            layer_weight(index, "attention_output"), f"{place}self_attn.out_proj", hidden, hidden, bias=biased
        )
        norm(layer_weight(index, "feed_forward_norm"), f"{place}final_layer_norm")
        builder.linear(layer_weight(index, "up"), f"{place}fc1", wide, hidden, bias=biased)
        builder.linear(layer_weight(index, "down"), f"{place}fc2", hidden, wide, bias=biased)
    if final_norm:
        norm("final_norm", "final_layer_norm")
    description = _describe(
        vocabulary, hidden, wide, heads, _head_size(hidden, heads), embeddings.tied, [Layer()] * layers,
        epsilon=1e-5, activation=read_activation(settings, "activation_function", "relu"),
    )  # fmt: skip
    description = replace(
        description, position_count=positions, norm_after_residual=not before, final_norm=final_norm,
        embedding_size=size if size != hidden else None, qkv_bias=biased, attention_output_bias=biased,
        feed_forward_bias=biased,
    )  # fmt: skip
    return Architecture(description, positions, embeddings.notes)


def read_gpt_neox(builder: Builder) -> Architecture:
    """GPT-NeoX and Pythia: part of each head turns, attention and feed-forward are parallel or not."""
    settings = builder.settings
    hidden, heads = settings.natural("hidden_size", 6144), settings.natural("num_attention_heads", 64)
    layers, positions = builder.layers("num_hidden_layers", 44), settings.natural("max_position_embeddings", 2048)
    vocabulary, wide = settings.natural("vocab_size", 50432), settings.natural("intermediate_size", 24576)
    head_size = _head_size(hidden, heads)
    biased = settings.flag("attention_bias", True)
    rope = read_rope(
        settings, head_size, positions, base=settings.number("rotary_emb_base", 10000.0),
        partial=settings.number("rotary_pct", 0.25),
    )  # fmt: skip
    embeddings = builder.add_embeddings(
        "embed_in.weight", vocabulary, hidden, tied=settings.flag("tie_word_embeddings", False),
        head="embed_out.weight",
    )  # fmt: skip
    for index in range(layers):
        place = f"layers.{index}."
        builder.ignore(*(f"{place}attention.{name}" for name in ("bias", "masked_bias", "rotary_emb.inv_freq")))
        builder.norm(layer_weight(index, "attention_norm"), f"{place}input_layernorm", hidden, bias=True)
        shape = (heads, 3, head_size, hidden)
        builder.sliced(
            layer_weight(index, "qkv"), f"{place}attention.query_key_value", shape, THIRDS, axes=2, bias=biased
        )
        builder.linear(layer_weight(index, "attention_output"), f"{place}attention.dense", hidden, hidden, bias=biased)
        builder.norm(layer_weight(index, "feed_forward_norm"), f"{place}post_attention_layernorm", hidden, bias=True)
        builder.linear(layer_weight(index, "up"), f"{place}mlp.dense_h_to_4h", wide, hidden, bias=True)
        builder.linear(layer_weight(index, "down"), f"{place}mlp.dense_4h_to_h", hidden, wide, bias=True)
    builder.norm("final_norm", "final_layer_norm", hidden, bias=True)
    description = _describe(
        vocabulary, hidden, wide, heads, head_size, embeddings.tied, [Layer(rope.embedding)] * layers,
        epsilon=settings.number("layer_norm_eps", 1e-5), activation=read_activation(settings, "hidden_act", "gelu"),
    )  # fmt: skip
    description = replace(
        description, parallel_residual=settings.flag("use_parallel_residual", True), qkv_bias=biased,
        attention_output_bias=biased,
    )  # fmt: skip
    return Architecture(description, min(positions, rope.positions or positions), embeddings.notes)


def read_bloom(builder: Builder) -> Architecture:
    """BLOOM and BLOOMZ: ALiBi, a norm behind the embedding."""
    settings = builder.settings
    hidden = settings.natural("hidden_size", settings.value("n_embed", 64))
    heads = settings.natural("n_head", settings.value("num_attention_heads", 8))
    settings.value("num_hidden_layers", None)
    layers, vocabulary = builder.layers("n_layer", 2), settings.natural("vocab_size", 250880)
    head_size, epsilon = _head_size(hidden, heads), settings.number("layer_norm_epsilon", 1e-5)
    wide = 4 * hidden
    embeddings = builder.add_embeddings(
        "word_embeddings.weight", vocabulary, hidden, tied=settings.flag("tie_word_embeddings", True)
    )
    builder.norm("embedding_norm", "word_embeddings_layernorm", hidden, bias=True)
    for index in range(layers):
        place = f"h.{index}."
        builder.norm(layer_weight(index, "attention_norm"), f"{place}input_layernorm", hidden, bias=True)
        builder.sliced(
            layer_weight(index, "qkv"), f"{place}self_attention.query_key_value", (heads, 3, head_size, hidden), THIRDS,
            axes=2, bias=True,
        )  # fmt: skip
        builder.linear(
            layer_weight(index, "attention_output"), f"{place}self_attention.dense", hidden, hidden, bias=True
        )
        builder.norm(layer_weight(index, "feed_forward_norm"), f"{place}post_attention_layernorm", hidden, bias=True)
        builder.linear(layer_weight(index, "up"), f"{place}mlp.dense_h_to_4h", wide, hidden, bias=True)
        builder.linear(layer_weight(index, "down"), f"{place}mlp.dense_4h_to_h", hidden, wide, bias=True)
    builder.norm("final_norm", "ln_f", hidden, bias=True)
    description = _describe(
        vocabulary, hidden, wide, heads, head_size, embeddings.tied, [Layer()] * layers, epsilon=epsilon,
        activation=Activation.GELU_TANH,
    )  # fmt: skip
    description = replace(
        description, alibi_slopes=linear_slopes(heads), embedding_norm_epsilon=epsilon,
        residual_from_norm=settings.flag("apply_residual_connection_post_layernorm", False),
    )  # fmt: skip
    return Architecture(description, None, embeddings.notes)


def read_falcon(builder: Builder) -> Architecture:
    """Falcon RW, 7B and 40B: ALiBi or rotation, one or two norms, shared keys and values."""
    settings = builder.settings
    hidden = settings.natural("hidden_size", settings.value("n_embed", 4544))
    heads = settings.natural("num_attention_heads", settings.value("n_head", 71))
    settings.value("n_layer", None)
    layers = builder.layers("num_hidden_layers", settings.value("n_layer", 32))
    vocabulary, epsilon = settings.natural("vocab_size", 65024), settings.number("layer_norm_epsilon", 1e-5)
    positions = settings.natural("max_position_embeddings", 2048)
    new, alibi = settings.flag("new_decoder_architecture", False), settings.flag("alibi", False)
    parallel, biased = settings.flag("parallel_attn", True), settings.flag("bias", False)
    multi_query = settings.flag("multi_query", True)
    head_size, wide = _head_size(hidden, heads), settings.natural("ffn_hidden_size", 4 * hidden)
    stated_kv = settings.natural("num_kv_heads", settings.value("n_head_kv", heads))
    kv_heads = stated_kv if new else 1 if multi_query else heads
    norms = settings.natural("num_ln_in_parallel_attn", 2 if new else 1)
    if new and not parallel:
        raise settings.unsupported("parallel_attn", parallel)
    rope = None if alibi else read_rope(settings, head_size, positions)
    if alibi:
        settings.value("rope_theta", None)
        settings.value("rope_scaling", None)
    embeddings = builder.add_embeddings(
        "word_embeddings.weight", vocabulary, hidden, tied=settings.flag("tie_word_embeddings", True)
    )
    shape, views = _falcon_qkv(heads, kv_heads, head_size, hidden, new=new, multi_query=multi_query)
    first, second = ("ln_attn", "ln_mlp") if new and norms == 2 else ("input_layernorm", "input_layernorm")
    second = second if parallel else "post_attention_layernorm"
    for index in range(layers):
        place = f"h.{index}."
        builder.norm(layer_weight(index, "attention_norm"), place + first, hidden, bias=True)
        builder.sliced(
            layer_weight(index, "qkv"), f"{place}self_attention.query_key_value", shape, views, axes=len(shape) - 2,
            bias=biased,
        )  # fmt: skip
        builder.linear(
            layer_weight(index, "attention_output"), f"{place}self_attention.dense", hidden, hidden, bias=biased
        )
        builder.norm(layer_weight(index, "feed_forward_norm"), place + second, hidden, bias=True)
        builder.linear(layer_weight(index, "up"), f"{place}mlp.dense_h_to_4h", wide, hidden, bias=biased)
        builder.linear(layer_weight(index, "down"), f"{place}mlp.dense_4h_to_h", hidden, wide, bias=biased)
    builder.norm("final_norm", "ln_f", hidden, bias=True)
    description = _describe(
        vocabulary, hidden, wide, heads, head_size, embeddings.tied,
        [Layer(rope.embedding if rope else None)] * layers, epsilon=epsilon,
        activation=read_activation(settings, "activation", "gelu"),
    )  # fmt: skip
    slopes = None
    if alibi:
        # It is added to the scores before they are scaled, and its slopes have 16 bits.
        rounded = np.array(linear_slopes(heads), ml_dtypes.bfloat16).astype(np.float64)
        slopes = tuple(float(slope) * description.query_scale for slope in rounded)
    description = replace(
        description, key_value_heads=kv_heads, alibi_slopes=slopes, parallel_residual=parallel, qkv_bias=biased,
        attention_output_bias=biased, feed_forward_bias=biased,
    )  # fmt: skip
    return Architecture(description, positions if rope else None, embeddings.notes)


def _falcon_qkv(
    heads: int, kv_heads: int, head_size: int, hidden: int, *, new: bool, multi_query: bool
) -> tuple[tuple[int, ...], Sequence[Callable[[Array], Array]]]:
    """How the fused tensor is taken apart: its shape, and the views of queries, keys and values."""
    if new:
        group = heads // kv_heads
        return (kv_heads, group + 2, head_size, hidden), (
            lambda fused: fused[:, :group].reshape(heads, head_size, fused.shape[-1]),
            lambda fused: fused[:, group],
            lambda fused: fused[:, group + 1],
        )
    if multi_query:
        return (heads + 2, head_size, hidden), (
            lambda fused: fused[:heads].reshape(heads * head_size, fused.shape[-1]),
            lambda fused: fused[heads],
            lambda fused: fused[heads + 1],
        )
    return (heads, 3, head_size, hidden), THIRDS


def _head_size(hidden: int, heads: int) -> int:
    if hidden % heads:
        raise ModelDamaged(
            f"config.json divides {hidden} features among {heads} heads, which leaves a rest; correct it."
        )
    return hidden // heads


def _describe(
    vocabulary: int, hidden: int, wide: int, heads: int, head_size: int, tied: bool,
    layers: Sequence[Layer], *, epsilon: float, activation: Activation,
) -> DecoderDescription:  # fmt: skip
    """What these families share: norms and projections with biases, as many key-value heads as query heads."""
    return DecoderDescription(
        vocabulary_size=vocabulary, hidden_size=hidden, intermediate_size=wide, query_heads=heads,
        key_value_heads=heads, head_size=head_size, layers=tuple(layers), norm=Norm.LAYER, norm_epsilon=epsilon,
        final_norm_epsilon=epsilon, activation=activation, query_scale=head_size**-0.5, norm_bias=True, qkv_bias=True,
        attention_output_bias=True, feed_forward_bias=True, tied_embedding=tied,
    )  # fmt: skip
