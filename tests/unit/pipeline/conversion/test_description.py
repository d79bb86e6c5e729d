from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from farm.errors import DescriptionMismatch
from pipeline.conversion import description as d
from pipeline.conversion.weights import Float32


@dataclass(frozen=True)
class Shapes:
    """A weight source that has shapes only."""

    shapes: dict[str, tuple[int, ...]]

    def names(self) -> Sequence[str]:
        return list(self.shapes)

    def shape(self, name: str) -> tuple[int, ...]:
        return self.shapes[name]

    def rows(self, name: str, start: int, stop: int) -> Float32:
        return np.zeros((stop - start, *self.shapes[name][1:]), np.float32)


GPT2 = d.DecoderDescription(
    vocabulary_size=50,
    hidden_size=8,
    intermediate_size=16,
    query_heads=2,
    key_value_heads=2,
    head_size=4,
    layers=(d.Layer(), d.Layer()),
    norm=d.Norm.LAYER,
    norm_epsilon=1e-5,
    final_norm_epsilon=1e-5,
    activation=d.Activation.GELU_TANH,
    query_scale=0.5,
    norm_bias=True,
    qkv_bias=True,
    attention_output_bias=True,
    feed_forward_bias=True,
    position_count=32,
)
ROTARY = d.RotaryEmbedding(1e4, 4, llama3=d.Llama3Scaling(8.0, 1.0, 4.0, 64), frequency_divisors=(1.0, 2.0))
GROUPED = replace(
    GPT2,
    key_value_heads=1,
    norm=d.Norm.RMS,
    norm_bias=False,
    gated_feed_forward=True,
    query_key_norm_epsilon=1e-6,
    attention_output_norm=True,
    feed_forward_output_norm=True,
    position_count=None,
    tied_embedding=False,
    layers=(d.Layer(ROTARY, 6), d.Layer()),
    alibi_slopes=(0.5, 0.25),
)


@pytest.mark.parametrize("description", [GPT2, GROUPED])
def test_the_canonical_form_can_be_read_back(description: d.DecoderDescription) -> None:
    assert d.from_json(json.loads(description.canonical_json())) == description


def test_the_canonical_form_tells_architectures_apart() -> None:
    assert GPT2.canonical_json() == replace(GPT2).canonical_json()
    assert GPT2.canonical_json() != replace(GPT2, norm_epsilon=1e-6).canonical_json()


def test_gpt2_takes_these_weights() -> None:
    shapes = GPT2.weight_shapes()
    assert shapes["token_embedding"] == (50, 8)
    assert shapes["position_embedding"] == (32, 8)
    assert shapes["layer_1_qkv_weight"] == (24, 8)
    assert shapes["layer_1_qkv_bias"] == (24,)
    assert shapes["layer_0_up_weight"] == (16, 8)
    assert shapes["layer_0_down_weight"] == (8, 16)
    assert shapes["final_norm_bias"] == (8,)
    assert "layer_0_gate_weight" not in shapes
    assert "output_embedding" not in shapes


def test_grouped_heads_norms_and_gates_add_their_weights() -> None:
    shapes = GROUPED.weight_shapes()
    assert shapes["layer_0_qkv_weight"] == ((2 + 1 + 1) * 4, 8)
    assert shapes["layer_0_query_norm_scale"] == (4,)
    assert shapes["layer_1_attention_output_norm_scale"] == (8,)
    assert shapes["layer_1_feed_forward_output_norm_scale"] == (8,)
    assert shapes["layer_1_gate_weight"] == (16, 8)
    assert shapes["output_embedding"] == (50, 8)
    assert "layer_0_attention_norm_bias" not in shapes


def test_fitting_weights_pass() -> None:
    GPT2.check(Shapes(GPT2.weight_shapes()))


def test_every_misfit_is_named() -> None:
    shapes = GPT2.weight_shapes()
    del shapes["layer_1_down_weight"]
    shapes["layer_0_up_weight"] = (17, 8)
    shapes["layer_2_up_weight"] = (16, 8)
    with pytest.raises(DescriptionMismatch) as caught:
        GPT2.check(Shapes(shapes))
    assert "layer_1_down_weight is missing" in caught.value.sentence
    assert "layer_2_up_weight is left over" in caught.value.sentence
    assert "layer_0_up_weight is [17, 8] instead of [16, 8]" in caught.value.sentence


@pytest.mark.parametrize(
    ("description", "fault"),
    [
        (replace(GPT2, alibi_slopes=(0.5,)), "1 ALiBi slopes for 2 heads"),
        (replace(GPT2, query_heads=3, key_value_heads=2), "3 query heads cannot share 2"),
    ],
)
def test_contradictions_are_refused(description: d.DecoderDescription, fault: str) -> None:
    with pytest.raises(DescriptionMismatch, match=fault):
        description.check(Shapes(description.weight_shapes()))
