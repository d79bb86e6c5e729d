from __future__ import annotations

from typing import Any

import pytest

from farm.errors import ModelDamaged, ModelUnsafe
from pipeline.models import configs
from tests.security.model_files import backbone, causal_lm, keras_object, tokenizer, with_value


def test_the_class_is_given_back() -> None:
    assert configs.check_object(causal_lm(), "config.json") == "GPT2CausalLM"


@pytest.mark.parametrize(
    "package",
    [
        "keras_hub.src.models.gpt2.gpt2_backbone",
        "keras_nlp.src.models.gpt2.gpt2_backbone",
        "keras_nlp.models.gpt2.gpt2_backbone",
        "keras_nlp.models",
    ],
)
@pytest.mark.parametrize("registered", ["keras_hub>GPT2Backbone", "keras_nlp>GPT2Backbone"])
def test_both_packages_are_known(package: str, registered: str) -> None:
    document = {**backbone(), "module": package, "registered_name": registered}
    assert configs.check_object(document, "config.json") == "GPT2Backbone"


@pytest.mark.parametrize("value", [{"a": 0, "/etc/passwd": 1, "class_name": 2}, ["/", "..", "https://x"], None])
def test_vocabularies_in_place_are_data(value: object) -> None:
    configs.check_object(with_value(tokenizer(), "config.vocabulary", value), "tokenizer.json")


def test_special_tokens_may_look_like_anything() -> None:
    configs.check_object(with_value(tokenizer(), "config.unsplittable_tokens", ["/s", "..", "C:\\"]), "tokenizer.json")


def test_tuples_are_data() -> None:
    value = {"class_name": "__tuple__", "items": [1, 2]}
    configs.check_object(with_value(backbone(), "config.shape", value), "config.json")


def test_activations_may_be_functions_of_the_list() -> None:
    good = {"module": "builtins", "class_name": "function", "config": "gelu_approximate", "registered_name": "x"}
    configs.check_object(with_value(backbone(), "config.activation", good), "config.json")
    with pytest.raises(ModelUnsafe, match="names the function"):
        configs.check_object(with_value(backbone(), "config.activation", good | {"config": "eval"}), "config.json")


@pytest.mark.parametrize("value", [None, [], {}, {"class_name": 3}, "GPT2Backbone"])
def test_what_describes_no_object_is_damaged(value: object) -> None:
    with pytest.raises(ModelDamaged, match="describes no Keras object"):
        configs.check_object(value, "config.json")


def test_the_sentence_names_the_file_and_the_class() -> None:
    bad = with_value(backbone(), "config.layer", keras_object("keras.layers", "Lambda", {}, None))
    with pytest.raises(ModelUnsafe, match=r"config\.json names the class keras\.layers\.Lambda"):
        configs.check_object(bad, "config.json")


def test_the_parts_of_sharded_weights_lie_beside_the_table() -> None:
    good = {"weight_map": {"/a": "model_00000.weights.h5", "/b": ["model_00000.weights.h5", "model_00001.weights.h5"]}}
    configs.check_shards(good, "model.weights.json")
    wrong: tuple[Any, ...] = ({"weight_map": {"/a": "../model_00000.weights.h5"}}, {"weight_map": {"/a": [3]}}, {}, [])
    for bad in wrong:
        with pytest.raises(ModelUnsafe, match="as a part of the weights"):
            configs.check_shards(bad, "model.weights.json")
