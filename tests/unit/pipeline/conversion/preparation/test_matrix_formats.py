from __future__ import annotations

from dataclasses import replace

from farm import recipes
from farm.recipes import WeightFormat
from farm.runtimes import APP_RUNTIME, FLEX_APP_RUNTIME
from pipeline.conversion.preparation.matrix_formats import choose_formats
from pipeline.conversion.preparation.products import ProductName
from tests.fixtures.decoders import LLAMA, NEOX, ODD, OPT

INT8, INT4 = WeightFormat.INT8_PER_ROW, WeightFormat.INT4_BLOCKS_OF_32


def test_one_format_needs_no_names() -> None:
    chosen = choose_formats(LLAMA, recipes.find("int8"), APP_RUNTIME)
    assert (chosen.default, dict(chosen.by_name), chosen.notes) == (INT8, {}, ())
    older = choose_formats(LLAMA, recipes.find("int8"), FLEX_APP_RUNTIME)
    assert set(older.products.values()) == {WeightFormat.INT8_PER_TENSOR}


def test_the_embedding_of_int4_is_int8() -> None:
    wide = replace(NEOX, intermediate_size=64)
    chosen = choose_formats(wide, recipes.find("int4"), APP_RUNTIME)
    assert dict(chosen.by_name) == {"token_embedding": INT8, "output_embedding": INT8}
    assert chosen.products[ProductName.LOGITS] is INT8
    assert chosen.products[ProductName.DOWN] is INT4
    assert chosen.notes == ()
    assert dict(choose_formats(wide, recipes.find("int4-small"), APP_RUNTIME).by_name) == {}


def test_rows_that_no_block_divides_are_int8_and_said_to_be() -> None:
    chosen = choose_formats(ODD, recipes.find("int4"), APP_RUNTIME)
    assert {name for name in chosen.by_name if "layer_1" in name} == {
        "layer_1_attention_output_weight", "layer_1_down_weight",
    }  # fmt: skip
    assert chosen.notes == (
        "The matrices attention_output are stored as int8-per-row: their rows of 24 values are no multiple of 32.",
        "The matrices down are stored as int8-per-row: their rows of 44 values are no multiple of 32.",
    )
    small = choose_formats(OPT, recipes.find("int4-small"), APP_RUNTIME)
    assert small.by_name["token_embedding"] is INT8
    assert "rows of 16 values" in small.notes[-1]
