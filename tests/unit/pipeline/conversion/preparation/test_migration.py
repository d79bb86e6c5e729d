from __future__ import annotations

import numpy as np

from farm.recipes import WeightFormat
from pipeline.conversion.numpy_forward import NumpyForward
from pipeline.conversion.preparation import migration
from pipeline.conversion.preparation.changes import ChangedWeights
from pipeline.conversion.preparation.layer_work import LayerWork
from pipeline.conversion.preparation.products import ProductName, layer_products
from pipeline.conversion.quantization.rounding import round_activations, round_weights
from tests.fixtures.decoders import LLAMA, OPT, random_weights, viewed

TOKENS = np.random.default_rng(5).integers(0, 96, (6, 20)).tolist()


def work_of(description=LLAMA) -> LayerWork:
    weights = viewed(random_weights(description))
    seen = next(NumpyForward(description, weights).inputs_by_layer(TOKENS))
    formats = dict.fromkeys(ProductName, WeightFormat.INT8_PER_ROW)
    blocks = dict.fromkeys(ProductName, 0)
    return LayerWork(description, ChangedWeights(weights), layer_products(description, 0), formats, blocks, seen, seen)


def test_the_output_s_error_falls_for_each_product() -> None:
    work = work_of()

    def errors() -> dict[str, float]:
        found: dict[str, float] = {}
        for product in work.products:
            x, w = work.inputs(product), work.matrix_rows(product)
            rounded = round_activations(x) @ round_weights(w, WeightFormat.INT8_PER_ROW, "w").T
            found[product.name] = float(np.square(rounded - x @ w.T).mean())
        return found

    plain = errors()
    migration.migrate(work)
    after = errors()
    assert set(after) == {"qkv", "attention_output", "feed_forward", "down"}
    assert all(after[name] <= plain[name] for name in after)
    # Some features stand out behind its norms.
    assert after["qkv"] < 0.7 * plain["qkv"]


def test_query_heads_of_a_group_divide_their_values_by_the_same() -> None:
    work = work_of()
    migration.migrate(work)
    columns = work.weights.changes["layer_0_attention_output_weight"].columns
    assert columns is not None
    heads = columns.reshape(LLAMA.key_value_heads, -1, LLAMA.head_size)
    np.testing.assert_array_equal(heads, np.broadcast_to(heads[:, :1], heads.shape))
    assert len(np.unique(columns)) > 1


def test_an_input_that_others_read_too_is_left_alone() -> None:
    work = work_of(OPT)
    migration.migrate(work)
    assert [name for name in work.weights.changes if "norm" in name] == []
    assert "layer_0_down_weight" not in work.weights.changes
    assert "layer_0_attention_output_weight" in work.weights.changes
