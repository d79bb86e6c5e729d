"""Llama, Llama 3, Mistral, Qwen 2 and Qwen 3: one decoder block with the same attribute names."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.conversion.description import Layer, Llama3Scaling, Norm, RotaryEmbedding
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

Rotary = Callable[[KerasLayer, int], RotaryEmbedding]
Window = Callable[[KerasLayer], int | None]


def map_llama(backbone: Backbone, weights: KerasWeights) -> Architecture:
    """Llama 1 to 3.2."""
    return _map_block(backbone, weights, _llama_rotary, lambda _block: None)


def map_mistral(backbone: Backbone, weights: KerasWeights) -> Architecture:
    """Mistral: one attention window in all layers, or none."""
    return _map_block(backbone, weights, plain_rotary, lambda block: block.sliding_window)


def map_qwen(backbone: Backbone, weights: KerasWeights) -> Architecture:
    """Qwen 2 and 2.5."""
    return _map_block(
        backbone,
        weights,
        plain_rotary,
        lambda block: block.sliding_window_size if block.use_sliding_window_attention else None,
    )


def map_qwen3(backbone: Backbone, weights: KerasWeights) -> Architecture:
    """Qwen 3: queries and keys are normalized."""
    return _map_block(backbone, weights, plain_rotary, lambda block: block.sliding_window_size or None)


def _llama_rotary(layer: KerasLayer, size: int) -> RotaryEmbedding:
    # The layer's position_scaling_factor is not read by its forward pass, so it is left out here too.
    scaling = None
    if layer.low_freq_factor is not None:
        scaling = Llama3Scaling(
            factor=float(layer.frequency_adjustment_factor),
            low_frequency_factor=float(layer.low_freq_factor),
            high_frequency_factor=float(layer.high_freq_factor),
            pretraining_length=int(layer.pretraining_sequence_length),
        )
    return RotaryEmbedding(float(layer.max_wavelength), size, llama3=scaling)


def _map_block(backbone: Backbone, weights: KerasWeights, rotary: Rotary, window: Window) -> Architecture:
    embeddings = add_embeddings(backbone, weights)
    blocks = backbone.transformer_layers
    head_size = int(blocks[0]._self_attention_layer._query_dense.kernel.shape[-1])
    reader = BlockReader(weights)
    for block in blocks:
        attention = block._self_attention_layer
        reader.add_norm("attention_norm", block._self_attention_layernorm)
        reader.add_attention(
            attention._query_dense, attention._key_dense, attention._value_dense, attention._output_dense
        )
        if hasattr(attention, "_query_dense_layer_norm"):
            reader.add_query_key_norm(attention._query_dense_layer_norm, attention._key_dense_layer_norm)
        reader.add_norm("feed_forward_norm", block._feedforward_layernorm)
        reader.add_feed_forward(
            block._feedforward_intermediate_dense, block._feedforward_output_dense, gate=block._feedforward_gate_dense
        )
        reader.end_block(Layer(rotary(attention.rotary_embedding_layer, head_size), window(block)))
    description = reader.describe(
        embeddings,
        query_heads=backbone.num_query_heads,
        key_value_heads=backbone.num_key_value_heads,
        head_size=head_size,
        final_norm=backbone.layer_norm,
        norm=Norm.RMS,
        activation=same((activation_of(block.activation) for block in blocks), "activation"),
    )
    return Architecture(description)
