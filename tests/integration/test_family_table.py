from __future__ import annotations

import pytest

from farm import locations
from pipeline.conversion import family_table
from pipeline.conversion.families import FAMILIES, family_name


@pytest.fixture(scope="module")
def rows() -> list[family_table.FamilyRow]:
    return family_table.find_rows()


def test_the_page_is_fresh() -> None:
    assert (locations.ROOT / "docs/families.md").read_text() == family_table.write_page()


def test_every_family_with_a_mapping_has_a_row_with_a_kind_and_a_stop(rows: list[family_table.FamilyRow]) -> None:
    mapped = {family_name(backbone) for backbone in FAMILIES}
    found = {row.family: row for row in rows}
    assert mapped <= found.keys()
    for name in mapped:
        assert found[name].stops, name
        assert found[name].tokenizer != "of another kind", name


def test_llama_3_and_gemma_3_stop_at_the_end_of_a_turn_too(rows: list[family_table.FamilyRow]) -> None:
    stops = {row.name: row.stops for row in rows}
    assert stops["Llama3CausalLM"] == ("<|end_of_text|>", "<|eot_id|>")
    assert stops["Gemma3CausalLM"] == ("<eos>", "<end_of_turn>")
