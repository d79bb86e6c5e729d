"""SmolLM3: a Llama in which some layers have no rotation."""

from __future__ import annotations

from pipeline.conversion.description import Activation, Layer, Norm, RotaryEmbedding
from pipeline.conversion.families.architecture import Architecture, Backbone, add_embeddings
from pipeline.conversion.families.block_reader import BlockReader
from pipeline.conversion.keras_weights import KerasWeights


def map_smollm3(backbone: Backbone, weights: KerasWeights) -> Architecture:
    """SmolLM3."""
    embeddings = add_embeddings(backbone, weights)
    head_size = embeddings.hidden_size // backbone.num_attention_heads
    reader = BlockReader(weights)
    for block in backbone.transformer_layers:
        attention = block.self_attn
        reader.add_norm("attention_norm", block.input_layernorm)
        reader.add_attention(attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj)
        reader.add_norm("feed_forward_norm", block.post_attention_layernorm)
        reader.add_feed_forward(block.mlp.up_proj, block.mlp.down_proj, gate=block.mlp.gate_proj)
        rotary_layer = attention.rotary_embedding
        weights.mark_derived(rotary_layer.inv_freq)
        turned = int(head_size * rotary_layer.partial_rotary_factor)
        rotary = RotaryEmbedding(float(rotary_layer.rope_theta), turned) if attention.use_rope else None
        reader.end_block(Layer(rotary))
    description = reader.describe(
        embeddings,
        query_heads=backbone.num_attention_heads,
        key_value_heads=backbone.num_key_value_heads,
        head_size=head_size,
        final_norm=backbone.norm,
        norm=Norm.RMS,
        activation=Activation.SILU,
    )
    return Architecture(description, positions=backbone.max_position_embeddings)
