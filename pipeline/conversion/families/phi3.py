"""Phi-3 with short contexts: its "su" scaling changes all positions once a sequence gets longer than pretraining."""

from __future__ import annotations

from farm.errors import UnsupportedArchitecture
from pipeline.conversion.description import Layer, Norm, RotaryEmbedding
from pipeline.conversion.families.architecture import (
    Architecture,
    Backbone,
    KerasLayer,
    activation_of,
    add_embeddings,
    plain_rotary,
)
from pipeline.conversion.families.block_reader import BlockReader, same
from pipeline.conversion.keras_weights import KerasWeights


def map_phi3(backbone: Backbone, weights: KerasWeights) -> Architecture:
    """Phi-3 mini, small and medium."""
    embeddings = add_embeddings(backbone, weights)
    head_size = embeddings.hidden_size // backbone.num_query_heads
    blocks = backbone.transformer_layers
    reader = BlockReader(weights)
    for block in blocks:
        attention = block.attention
        reader.add_norm("attention_norm", block.pre_attention_layernorm)
        reader.add_attention(attention.query_dense, attention.key_dense, attention.value_dense, attention.output_dense)
        reader.add_norm("feed_forward_norm", block.post_attention_layernorm)
        reader.add_feed_forward(
            block.feedforward_intermediate_dense, block.feedforward_output_dense, gate=block.feedforward_gate_dense
        )
        reader.end_block(Layer(_rotary(attention.rotary_embedding_layer, head_size, backbone.rope_scaling_type)))
    description = reader.describe(
        embeddings,
        query_heads=backbone.num_query_heads,
        key_value_heads=backbone.num_key_value_heads,
        head_size=head_size,
        final_norm=backbone.layer_norm,
        norm=Norm.RMS,
        activation=same((activation_of(block.activation) for block in blocks), "activation"),
    )
    positions = backbone.max_sequence_length
    if backbone.rope_scaling_type is not None:
        positions = blocks[0].attention.rotary_embedding_layer.pretraining_sequence_length
    return Architecture(description, positions=int(positions))


def _rotary(layer: KerasLayer, size: int, scaling: str | None) -> RotaryEmbedding:
    if scaling is None:
        return plain_rotary(layer, size)
    if scaling != "su":
        raise UnsupportedArchitecture(
            f"The model uses {scaling} scaling of its rotary embedding, which the decoder cannot express; use a Phi-3"
            " with the scaling su or none."
        )
    return RotaryEmbedding(
        base=float(layer.max_wavelength),
        size=size,
        position_scale=float(layer.scaling_factor),
        frequency_divisors=tuple(float(factor) for factor in layer.inverese_freq_short_factor),
        amplitude=float(layer.embedding_scaling_factor),
    )
