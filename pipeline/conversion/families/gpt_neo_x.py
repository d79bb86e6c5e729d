"""GPT-NeoX: queries, keys and values in one kernel, attention and feed-forward in parallel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pipeline.conversion.description import Layer, Norm
from pipeline.conversion.families.architecture import (
    Architecture,
    Backbone,
    KerasLayer,
    activation_of,
    add_embeddings,
    plain_rotary,
)
from pipeline.conversion.families.block_reader import BlockReader, same
from pipeline.conversion.keras_weights import KerasWeights, kernel_parameter, parameter_of
from pipeline.conversion.viewed_weights import Array, Parameter


def map_gpt_neo_x(backbone: Backbone, weights: KerasWeights) -> Architecture:
    """GPT-NeoX and Pythia."""
    embeddings = add_embeddings(backbone, weights)
    head_size = embeddings.hidden_size // backbone.num_heads
    blocks = backbone.transformer_layers
    reader = BlockReader(weights)
    for block in blocks:
        attention = block._self_attention_layer
        reader.add_norm("attention_norm", block._self_attention_layer_norm)
        reader.add_fused_qkv(*_take_apart(attention._qkv_dense, head_size))
        reader.add_attention_output(attention._output_dense)
        reader.add_norm("feed_forward_norm", block._feedforward_layer_norm)
        reader.add_feed_forward(block._feedforward_intermediate_dense, block._feedforward_output_dense)
        reader.end_block(Layer(plain_rotary(attention.rotary_embedding_layer, attention.rotary_dim)))
    description = reader.describe(
        embeddings,
        query_heads=backbone.num_heads,
        key_value_heads=backbone.num_heads,
        head_size=head_size,
        final_norm=backbone.layer_norm,
        norm=Norm.LAYER,
        activation=same((activation_of(block.activation) for block in blocks), "activation"),
    )
    return Architecture(replace(description, parallel_residual=True), positions=backbone.max_sequence_length)


def _take_apart(layer: KerasLayer, head_size: int) -> tuple[list[tuple[Parameter, int]], list[Parameter | None]]:
    """From the kernel [in, heads, 3 * size] and its bias [heads, 3 * size] all queries, all keys, all values."""
    kernel, bias = kernel_parameter(layer), parameter_of(layer.bias)
    kernels: list[tuple[Parameter, int]] = []
    biases: list[Parameter | None] = []
    for third in range(3):
        part = slice(third * head_size, (third + 1) * head_size)
        kernels.append((kernel.select(_kernel_part(part), share=3), 2))
        biases.append(bias.select(_bias_part(part), share=3))
    return kernels, biases


def _kernel_part(part: slice) -> Callable[[Array], Array]:
    return lambda kernel: kernel[:, :, part].transpose(1, 2, 0)


def _bias_part(part: slice) -> Callable[[Array], Array]:
    return lambda bias: bias[:, part]
