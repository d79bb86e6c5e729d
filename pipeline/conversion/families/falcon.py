"""Falcon RW: ALiBi, full heads, attention and feed-forward one after the other."""

from __future__ import annotations

from dataclasses import replace

from pipeline.conversion.alibi import linear_slopes
from pipeline.conversion.description import Activation, Layer, Norm
from pipeline.conversion.families.architecture import Architecture, Backbone, add_embeddings
from pipeline.conversion.families.block_reader import BlockReader
from pipeline.conversion.keras_weights import KerasWeights


def map_falcon(backbone: Backbone, weights: KerasWeights) -> Architecture:
    """Falcon RW 1B, the only shape that KerasHub's Falcon has."""
    embeddings = add_embeddings(backbone, weights)
    heads = backbone.num_attention_heads
    head_size = embeddings.hidden_size // heads
    reader = BlockReader(weights)
    for block in backbone.transformer_layers:
        attention = block.attention_layer
        reader.add_norm("attention_norm", block.input_layernorm)
        reader.add_attention(attention.query_dense, attention.key_dense, attention.value_dense, attention.output_dense)
        reader.add_norm("feed_forward_norm", block.post_attention_layernorm)
        reader.add_feed_forward(block.dense_h_to_4h, block.dense_4h_to_h)
        reader.end_block(Layer())
    description = reader.describe(
        embeddings,
        query_heads=heads,
        key_value_heads=heads,
        head_size=head_size,
        final_norm=backbone.final_layernorm,
        norm=Norm.LAYER,
        activation=Activation.GELU,
    )
    # Falcon adds ALiBi to the scores before it scales them.
    slopes = tuple(slope * description.query_scale for slope in linear_slopes(heads))
    return Architecture(replace(description, alibi_slopes=slopes))
