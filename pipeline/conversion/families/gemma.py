"""Gemma, Gemma 2 and the text part of Gemma 3."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from farm.errors import UnsupportedArchitecture
from pipeline.conversion.description import Activation, Layer, Norm
from pipeline.conversion.families.architecture import Architecture, Backbone, add_embeddings, plain_rotary
from pipeline.conversion.families.block_reader import BlockReader, same
from pipeline.conversion.keras_weights import KerasWeights

# Gemma's norms multiply by 1 + scale.
NORM_OFFSET = 1.0


def map_gemma(backbone: Backbone, weights: KerasWeights) -> Architecture:
    """All Gemmas without images."""
    _refuse_more_than_text(backbone)
    embeddings = add_embeddings(backbone, weights)
    blocks = backbone.transformer_layers
    reader = BlockReader(weights, NORM_OFFSET)
    for block in blocks:
        attention = block.attention
        reader.add_norm("attention_norm", block.pre_attention_norm)
        reader.add_attention(attention.query_dense, attention.key_dense, attention.value_dense, attention.output_dense)
        if getattr(attention, "use_query_key_norm", False):
            reader.add_query_key_norm(attention.query_norm, attention.key_norm)
        if block.use_post_attention_norm:
            reader.add_norm("attention_output_norm", block.post_attention_norm)
        reader.add_norm("feed_forward_norm", block.pre_ffw_norm)
        reader.add_feed_forward(block.gating_ffw_2, block.ffw_linear, gate=block.gating_ffw)
        if block.use_post_ffw_norm:
            reader.add_norm("feed_forward_output_norm", block.post_ffw_norm)
        window = attention.sliding_window_size if attention.use_sliding_window_attention else None
        reader.end_block(Layer(plain_rotary(attention.rope_layer, attention.head_dim), window))
    description = reader.describe(
        embeddings,
        query_heads=backbone.num_query_heads,
        key_value_heads=backbone.num_key_value_heads,
        head_size=backbone.head_dim,
        final_norm=backbone.layer_norm,
        norm=Norm.RMS,
        activation=Activation.GELU_TANH,
    )
    by_head = same((block.attention.query_head_dim_normalize for block in blocks), "query scale")
    scaled_size = backbone.head_dim if by_head else backbone.hidden_dim // backbone.num_query_heads
    description = replace(
        description,
        query_scale=scaled_size**-0.5,
        attention_output_norm=same((block.use_post_attention_norm for block in blocks), "attention output norm"),
        feed_forward_output_norm=same((block.use_post_ffw_norm for block in blocks), "feed-forward output norm"),
        attention_logit_cap=same((block.attention.logit_soft_cap for block in blocks), "attention logit cap") or None,
        embedding_scale=float(np.sqrt(np.float32(backbone.hidden_dim))),
    )
    return Architecture(description)


def _refuse_more_than_text(backbone: Backbone) -> None:
    if getattr(backbone, "vision_encoder", None) is not None:
        raise UnsupportedArchitecture(
            "This Gemma takes images, which the decoder cannot express; use the text-only preset of the same size."
        )
    if getattr(backbone, "use_bidirectional_attention", False):
        raise UnsupportedArchitecture(
            "This Gemma attends in both directions, as an embedding model does; use a Gemma that generates text."
        )
