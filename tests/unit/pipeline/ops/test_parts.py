from __future__ import annotations

import pytest

from pipeline.ops.parts import PartFinder, scope_of, weight_part


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("decode/layer_3_up_weight*layer_3_feed_forward_norm_scale", "layer 3 up"),
        ("decode_w__layer_12_attention_output_bias:0", "layer 12 attention output"),
        ("decode/token_embedding", "token embedding"),
        ("decode/final_norm_scale", "final norm"),
        ("gpt2_causal_lm/transformer_layer_3/query/kernel", None),
        ("Reshape_1", None),
    ],
)
def test_weights_of_the_farms_graphs(name: str, part: str | None) -> None:
    assert weight_part(name) == part


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("a/b/c/d/MatMul;x/y", "b/c/d"),
        ("StatefulPartitionedCall/while/body_12/norm/mul", "norm"),
        ("Reshape_1", ""),
        ("", ""),
    ],
)
def test_scopes_of_other_graphs(name: str, scope: str) -> None:
    assert scope_of(name) == scope


def test_what_reads_no_weight_belongs_to_the_layer_it_follows() -> None:
    names = ["x", "decode/layer_0_qkv_weight", "decode/layer_1_up_weight", "a", "b", "c", "d"]
    parts = PartFinder(names.__getitem__)
    assert parts.part([0], [3]) == ""
    assert parts.part([3, 1], [4]) == "layer 0 qkv"
    assert parts.part([4], [5]) == "layer 0"
    assert parts.part([5, 2], [6]) == "layer 1 up"
    assert parts.part([4, 6], [3]) == "layer 1"
