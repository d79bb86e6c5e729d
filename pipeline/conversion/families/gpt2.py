"""GPT-2 and OPT: KerasHub's TransformerDecoder with learned positions."""

from __future__ import annotations

from dataclasses import replace

from farm.errors import UnsupportedArchitecture
from pipeline.conversion.description import POSITION_EMBEDDING, Layer, Norm
from pipeline.conversion.families.architecture import (
    Architecture,
    Backbone,
    KerasLayer,
    activation_of,
    add_embeddings,
)
from pipeline.conversion.families.block_reader import BlockReader, same
from pipeline.conversion.keras_weights import KerasWeights, parameter_of


def map_gpt2(backbone: Backbone, weights: KerasWeights) -> Architecture:
    """GPT-2."""
    return _map_decoder(backbone, weights, backbone.position_embedding)


def map_opt(backbone: Backbone, weights: KerasWeights) -> Architecture:
    """OPT keeps its position embedding inside a joint embedding layer."""
    return _map_decoder(backbone, weights, backbone.embeddings.position_embedding)


def _map_decoder(backbone: Backbone, weights: KerasWeights, positions: KerasLayer) -> Architecture:
    embeddings = add_embeddings(backbone, weights)
    position_count, _ = weights.add_table(POSITION_EMBEDDING, parameter_of(positions.position_embeddings))
    reader = BlockReader(weights)
    for block in backbone.transformer_layers:
        if not block.normalize_first:
            raise UnsupportedArchitecture(
                "The model normalizes after its residuals, which the decoder cannot express; use one that normalizes"
                " first."
            )
        attention = block._self_attention_layer
        reader.add_norm("attention_norm", block._self_attention_layer_norm)
        reader.add_attention(
            attention._query_dense, attention._key_dense, attention._value_dense, attention._output_dense
        )
        reader.add_norm("feed_forward_norm", block._feedforward_layer_norm)
        reader.add_feed_forward(block._feedforward_intermediate_dense, block._feedforward_output_dense)
        reader.end_block(Layer())
    description = reader.describe(
        embeddings,
        query_heads=backbone.num_heads,
        key_value_heads=backbone.num_heads,
        head_size=embeddings.hidden_size // backbone.num_heads,
        final_norm=backbone.layer_norm,
        norm=Norm.LAYER,
        activation=same((activation_of(block.activation) for block in backbone.transformer_layers), "activation"),
    )
    return Architecture(replace(description, position_count=position_count), positions=position_count)
