"""BLOOM: ALiBi instead of positions, a norm after the embedding."""

from __future__ import annotations

from dataclasses import replace

from pipeline.conversion.alibi import linear_slopes
from pipeline.conversion.description import Activation, Layer, Norm
from pipeline.conversion.families.architecture import Architecture, Backbone, add_embeddings
from pipeline.conversion.families.block_reader import BlockReader
from pipeline.conversion.keras_weights import KerasWeights


def map_bloom(backbone: Backbone, weights: KerasWeights) -> Architecture:
    """BLOOM and BLOOMZ."""
    embeddings = add_embeddings(backbone, weights)
    embedding_norm_epsilon = weights.add_norm("embedding_norm", backbone.embeddings_layer_norm)
    reader = BlockReader(weights)
    for block in backbone.transformer_layers:
        attention = block._self_attention_layer
        reader.add_norm("attention_norm", block._pre_attention_layernorm)
        reader.add_attention(
            attention._query_dense, attention._key_dense, attention._value_dense, attention._output_dense
        )
        reader.add_norm("feed_forward_norm", block._post_attention_layernorm)
        reader.add_feed_forward(block._mlp_intermediate_dense, block._mlp_output_dense)
        reader.end_block(Layer())
    description = reader.describe(
        embeddings,
        query_heads=backbone.num_heads,
        key_value_heads=backbone.num_heads,
        head_size=embeddings.hidden_size // backbone.num_heads,
        final_norm=backbone.layer_norm,
        norm=Norm.LAYER,
        activation=Activation.GELU_TANH,
    )
    description = replace(
        description,
        alibi_slopes=linear_slopes(backbone.num_heads),
        embedding_norm_epsilon=embedding_norm_epsilon,
    )
    return Architecture(description)
