from __future__ import annotations

import pytest

from farm import recipes
from farm.errors import UnknownRecipe
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.runtimes import APP_RUNTIME, FLEX_APP_RUNTIME, Runtime
from tests.fixtures import farm_copy


@pytest.mark.parametrize("recipe", recipes.RECIPES, ids=lambda recipe: recipe.alias)
def test_found_by_name_and_by_alias(recipe: recipes.Recipe) -> None:
    assert recipes.find(recipe.name) is recipe
    assert recipes.find(recipe.alias) is recipe


@pytest.mark.parametrize(("typed", "meant"), [("in8", "int8"), ("fp6", "fp16"), ("dynamic_wi8", "dynamic_wi8_afp32")])
def test_an_unknown_name_is_refused_with_the_closest(typed: str, meant: str) -> None:
    with pytest.raises(UnknownRecipe, match=f"did you mean '{meant}'"):
        recipes.find(typed)


def test_a_name_that_is_close_to_none_lists_all() -> None:
    with pytest.raises(UnknownRecipe) as caught:
        recipes.find("zzzz")
    for recipe in recipes.RECIPES:
        assert recipe.alias in caught.value.sentence


def test_names_and_aliases_are_unique() -> None:
    words = [word for recipe in recipes.RECIPES for word in {recipe.name, recipe.alias}]
    assert len(words) == len(set(words))


def test_only_float32_promises_every_token() -> None:
    exact = [recipe.alias for recipe in recipes.RECIPES if recipe.limits.greedy_agreement == 1.0]
    assert exact == ["none"]


@pytest.mark.parametrize("alias", ["int8", "int8-plain"])
def test_one_scale_for_a_matrix_has_limits_of_its_own(alias: str) -> None:
    recipe = recipes.find(alias)
    assert recipe.limits_on(FLEX_APP_RUNTIME).divergence > recipe.limits_on(APP_RUNTIME).divergence
    assert recipe.limits_on(APP_RUNTIME) == recipe.limits


def test_other_recipes_have_the_same_limits_on_every_runtime() -> None:
    recipe = recipes.find("none")
    assert {recipe.limits_on(runtime) for runtime in Runtime} == {recipe.limits}


def test_the_recipe_of_the_documentation_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/how-to/extend.md: a row of the table is all that a recipe needs."""
    [row] = farm_copy.blocks("Add a recipe")
    recipe = eval(row, vars(recipes))  # noqa: S307  our own page
    monkeypatch.setattr(recipes, "RECIPES", (*recipes.RECIPES, recipe))
    spec = JobSpec(model_kind=ModelKind.PRESET, model="gpt2_base_en", recipe="int8-turned")
    assert spec.recipe == recipe.name
    assert not recipe.calibrated, "as the page says"
    assert recipes.find("int8-turned") is recipe
