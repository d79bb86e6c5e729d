"""Every family against Keras's full forward pass.

The weights are random and large enough to matter: KerasHub's own first weights of 0.02 leave attention uniform and
norms at 1, which hides a wrong epsilon, window or group.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras_hub import models

from farm.errors import DescriptionMismatch, NotCausalLM, ReferenceMismatch, UnsupportedArchitecture, UnsupportedFamily
from farm.recipes import WeightFormat
from pipeline.conversion import decoder_check, graph, mapping, reference_plan, static_form
from pipeline.conversion.binding import bind
from pipeline.conversion.decoder_check import TOLERANCE, run_decoder
from pipeline.conversion.families import FAMILIES
from pipeline.conversion.full_forward import FullForward, continue_greedily
from pipeline.conversion.mapping import map_model
from pipeline.conversion.reference_plan import Plan, Prompt
from pipeline.inference.interpreter import open_token_model

VOCABULARY = 500
CONTEXT = 48
PROMPT = 13
GREEDY = 8

PLAIN: dict[str, Any] = {"vocabulary_size": VOCABULARY, "hidden_dim": 64, "intermediate_dim": 128}
# The epsilon is large, so that a wrong one shows.
GROUPED: dict[str, Any] = {
    **PLAIN,
    "num_layers": 3,
    "num_query_heads": 4,
    "num_key_value_heads": 2,
    "layer_norm_epsilon": 1e-2,
}
LEARNED: dict[str, Any] = {**PLAIN, "num_layers": 2, "num_heads": 4, "max_sequence_length": 128}
WINDOW: dict[str, Any] = {"use_sliding_window_attention": True, "sliding_window_size": 6}
LLAMA_3_1: dict[str, Any] = {
    "rope_max_wavelength": 500000,
    "rope_frequency_adjustment_factor": 8.0,
    "rope_low_freq_factor": 1.0,
    "rope_high_freq_factor": 4.0,
    "rope_pretraining_sequence_length": 64,
    "tie_word_embeddings": True,
}
SMOLLM3: dict[str, Any] = {
    "num_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "attention_bias": False,
    "attention_dropout": 0.0,
    "rope_layer_enabled_list": [True, True, True, False],
    "layer_types": ["full_attention"] * 4,
    "mlp_bias": False,
    "layer_norm_epsilon": 1e-2,
    "max_position_embeddings": 128,
    "rope_theta": 5e6,
    "partial_rotary_factor": 1.0,
}
GEMMA_2: dict[str, Any] = {
    "num_layers": 4,
    "head_dim": 24,
    "query_head_dim_normalize": False,
    "use_post_ffw_norm": True,
    "use_post_attention_norm": True,
    "attention_logit_soft_cap": 5.0,
    "final_logit_soft_cap": 3.0,
    **WINDOW,
}
GEMMA_3: dict[str, Any] = {
    "num_layers": 7,
    "head_dim": 24,
    "image_size": 16,
    "vision_encoder": None,
    "use_post_ffw_norm": True,
    "use_post_attention_norm": True,
    "global_rope_scaling_factor": 8.0,
    **WINDOW,
}
PHI_3_SU: dict[str, Any] = {
    "max_sequence_length": 8192,
    "rope_scaling_type": "su",
    "rope_scaling_short_factor": np.linspace(1, 1.5, 8).tolist(),
    "rope_scaling_long_factor": np.linspace(1, 30, 8).tolist(),
}
PARALLEL: dict[str, Any] = {
    **PLAIN,
    "num_layers": 3,
    "num_heads": 4,
    "rotary_percentage": 0.25,
    "layer_norm_epsilon": 1e-2,
}
ALIBI: dict[str, Any] = {**PLAIN, "hidden_dim": 96, "num_layers": 3, "layer_norm_epsilon": 1e-2}

# A CausalLM class of KerasHub, and what its backbone is made with.
CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "gpt2": (models.GPT2CausalLM, LEARNED),
    "opt": (models.OPTCausalLM, LEARNED),
    "llama": (models.LlamaCausalLM, {**GROUPED, "rope_position_scaling_factor": 2.0}),
    "llama3": (models.Llama3CausalLM, {**GROUPED, "rope_max_wavelength": 500000}),
    "llama3.1": (models.Llama3CausalLM, {**GROUPED, **LLAMA_3_1}),
    "mistral": (models.MistralCausalLM, {**GROUPED, "sliding_window": 6}),
    "mistral_scaled": (models.MistralCausalLM, {**GROUPED, "sliding_window": None, "rope_scaling_factor": 2.0}),
    "qwen": (models.QwenCausalLM, GROUPED),
    "qwen_window": (models.QwenCausalLM, {**GROUPED, **WINDOW, "tie_word_embeddings": False}),
    "qwen3": (models.Qwen3CausalLM, {**GROUPED, "head_dim": 24, "rope_max_wavelength": 1000000}),
    "qwen3_window": (models.Qwen3CausalLM, {**GROUPED, "head_dim": 24, "sliding_window_size": 6}),
    "gemma": (models.GemmaCausalLM, {**GROUPED, "num_key_value_heads": 1, "head_dim": 24}),
    "gemma2": (models.GemmaCausalLM, {**GROUPED, **GEMMA_2}),
    "gemma3": (models.Gemma3CausalLM, {**GROUPED, **GEMMA_3}),
    "phi3": (models.Phi3CausalLM, GROUPED),
    "phi3_su": (models.Phi3CausalLM, {**GROUPED, **PHI_3_SU}),
    "gpt_neo_x": (models.GPTNeoXCausalLM, PARALLEL),
    "bloom": (models.BloomCausalLM, {**ALIBI, "num_heads": 6}),
    "falcon": (models.FalconCausalLM, {**ALIBI, "num_attention_heads": 6}),
    "smollm3": (models.SmolLM3CausalLM, {**PLAIN, **SMOLLM3}),
}
# Through converter, binder and interpreter: learned positions, groups, windows and caps, fused and parallel.
WRITTEN = ("gpt2", "llama3", "gemma2", "gpt_neo_x")


def lively(case: str) -> Any:
    """The case's model with weights that make every setting count."""
    keras.utils.set_random_seed(0)
    causal_lm_class, settings = CASES[case]
    causal_lm = causal_lm_class(backbone=causal_lm_class.backbone_cls(**settings), preprocessor=None)
    random = np.random.default_rng(0)
    for variable in {id(variable): variable for variable in causal_lm.weights}.values():
        name, shape = variable.path.rsplit("/", 1)[-1], tuple(variable.shape)
        if "seed" in variable.path or name == "inv_freq":
            continue
        if name in ("gamma", "scale"):
            values = float(np.mean(variable.numpy())) + 0.3 * random.normal(size=shape)
        elif name in ("beta", "bias"):
            values = 0.3 * random.normal(size=shape)
        elif "embeddings" in name:
            # Small where tied, so that the model does not repeat its input.
            apart = "reverse" in name or "position" in variable.path
            values = (0.3 if apart else 0.05) * random.normal(size=shape)
        else:
            values = 1.5 * random.normal(size=shape) / 8
        variable.assign(values.astype(np.float32))
    return causal_lm


def random_tokens(count: int, seed: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    return np.random.default_rng(seed).integers(1, VOCABULARY, count).astype(np.int32)


def greedy_path(forward: FullForward) -> tuple[list[int], tuple[int, ...]]:
    """A random prompt and Keras's own continuation."""
    prompt = random_tokens(PROMPT, seed=1)
    plan = Plan((Prompt("", tuple(prompt.tolist())),), GREEDY, GREEDY, prompt, (prompt,))
    (continuation,) = continue_greedily(forward, plan, stop_tokens=())
    assert len(continuation.tokens) == GREEDY
    return prompt.tolist(), continuation.tokens


def test_every_family_has_a_case() -> None:
    assert {causal_lm_class.backbone_cls.__name__ for causal_lm_class, _ in CASES.values()} == set(FAMILIES)


@pytest.mark.parametrize("case", CASES)
def test_the_decoder_computes_what_keras_computes(case: str) -> None:
    causal_lm = lively(case)
    model, forward = map_model(causal_lm), FullForward(causal_lm)
    forced = random_tokens(40, seed=2)
    expected = forward.logits([forced.tolist()])[0]
    decoder_check.require_equal(decoder_check.run_decoder(model.description, model.weights, forced), expected)

    prompt, greedy = greedy_path(forward)
    logits = run_decoder(model.description, model.weights, np.array([*prompt, *greedy], np.int32))
    assert tuple(logits[PROMPT - 1 : -1].argmax(-1)) == greedy


def test_greedy_tokens_do_not_depend_on_guesses() -> None:
    """One token a pass by plain calls, without drafts, gives the same path."""
    causal_lm = lively("gpt2")
    prompt, greedy = greedy_path(FullForward(causal_lm))
    plain = list(prompt)
    for _ in range(GREEDY):
        tokens = np.array([plain], np.int32)
        logits = np.asarray(causal_lm({"token_ids": tokens, "padding_mask": np.ones_like(tokens)}))
        plain.append(int(logits[0, -1].argmax()))
    assert tuple(plain[PROMPT:]) == greedy
    assert len(set(greedy)) > 1


@pytest.mark.parametrize("case", WRITTEN)
def test_the_written_file_computes_what_keras_computes(case: str, tmp_path: Path) -> None:
    causal_lm = lively(case)
    mapped, forward = map_model(causal_lm), FullForward(causal_lm)
    prompt, greedy = greedy_path(forward)
    forced = random_tokens(30, seed=2).tolist()
    expected = forward.logits([forced])[0]
    dynamic = tmp_path / "dynamic.tflite"
    dynamic.write_bytes(graph.convert(mapped.description))
    static = tmp_path / "static.tflite"
    static.write_bytes(static_form.fix_lengths(dynamic.read_bytes(), mapped.description, CONTEXT, (4, 8)))
    for weightless in (dynamic, static):
        written = tmp_path / f"{weightless.stem}-bound.tflite"
        bind(weightless, mapped.weights, WeightFormat.FLOAT32, written)
        model = open_token_model(written, context=CONTEXT)
        assert model.contract.prefill == (() if model.contract.dynamic else (4, 8))

        tokens, logits = list(prompt), [model.read(prompt)]
        for _ in range(GREEDY):
            tokens.append(int(logits[-1].argmax()))
            logits.append(model.step(tokens[-1]))
        assert tuple(tokens[PROMPT:]) == greedy

        model.rewind()
        model.prefill(forced[:12])
        actual = np.stack([model.step(token) for token in forced[12:]])
        assert np.abs(actual - expected[12:]).max() <= TOLERANCE * np.abs(expected).max()
    assert xnnpack_parts(tmp_path / "dynamic-bound.tflite") == len(mapped.description.layers) + 2


def xnnpack_parts(path: Path) -> int:
    """Into how many parts XNNPACK's delegate cuts a graph; only the writing of the caches must interrupt it."""
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    return sum(operator["op_name"] == "DELEGATE" for operator in interpreter._get_ops_details())


def test_lora_is_merged() -> None:
    causal_lm = lively("gpt2")
    plain = run_decoder(*_described(causal_lm), random_tokens(20, seed=2))
    causal_lm.backbone.enable_lora(4)
    random = np.random.default_rng(5)
    changed = 0
    for variable in causal_lm.weights:
        if "lora" in variable.path:
            variable.assign(0.2 * random.normal(size=tuple(variable.shape)))
            changed += 1
    assert changed > 0
    model, forced = map_model(causal_lm), random_tokens(20, seed=2)
    expected = FullForward(causal_lm).logits([forced.tolist()])[0]
    decoder_check.require_equal(decoder_check.run_decoder(model.description, model.weights, forced), expected)
    assert np.abs(expected - plain).max() > 0.01 * np.abs(plain).max()


def test_a_wrong_description_does_not_pass_the_gate() -> None:
    causal_lm = lively("mistral")
    model, forced = map_model(causal_lm), random_tokens(30, seed=2)
    expected = FullForward(causal_lm).logits([forced.tolist()])[0]
    layers = tuple(replace(layer, attention_window=7) for layer in model.description.layers)
    actual = decoder_check.run_decoder(replace(model.description, layers=layers), model.weights, forced)
    with pytest.raises(ReferenceMismatch, match="logits differ by"):
        decoder_check.require_equal(actual, expected)


def test_a_window_that_is_ignored_shows_far_on_alone() -> None:
    causal_lm = lively("mistral")
    model, forward = map_model(causal_lm), FullForward(causal_lm)
    tokens = reference_plan.long_probe(model.description, context=48)
    assert tokens is not None
    assert len(tokens) == 48
    decoder_check.require_equal_far_on(model.description, model.weights, forward, tokens)
    ignored = replace(
        model.description, layers=tuple(replace(layer, attention_window=None) for layer in model.description.layers)
    )
    inside = tokens[:6]
    actual = decoder_check.run_decoder(ignored, model.weights, inside)
    decoder_check.require_equal(actual, forward.logits_after(inside))
    with pytest.raises(ReferenceMismatch, match="over 16 random tokens the logits differ by"):
        decoder_check.require_equal_far_on(ignored, model.weights, forward, tokens)
    assert reference_plan.long_probe(model.description, context=40) is None
    wide = replace(ignored, layers=(replace(ignored.layers[0], attention_window=400), *ignored.layers[1:]))
    probes = [reference_plan.long_probe(wide, context) for context in (300, 410, 1000)]
    lengths = [len(probe) for probe in probes if probe is not None]
    assert lengths == [256, 410, 400 + reference_plan.LAST_TOKENS]


def test_a_parameter_that_no_mapping_knows_is_refused() -> None:
    causal_lm = lively("gpt2")
    adapter = keras.Variable(np.zeros(3, np.float32), name="adapter")
    with pytest.raises(DescriptionMismatch, match=r"adapter \(0 of 3 elements used\)"):
        map_model(SimpleNamespace(backbone=causal_lm.backbone, weights=[*causal_lm.weights, adapter]))


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method:UserWarning")
def test_a_model_quantized_by_keras_is_refused() -> None:
    causal_lm = lively("llama3")
    causal_lm.quantize("int8")
    with pytest.raises(UnsupportedArchitecture, match="was quantized"):
        map_model(causal_lm)


def test_scaling_that_the_decoder_lacks_is_refused() -> None:
    causal_lm = lively("qwen")
    causal_lm.backbone.transformer_layers[1]._self_attention_layer.rotary_embedding_layer.rope_type = "yarn"
    with pytest.raises(UnsupportedArchitecture, match="yarn scaling"):
        map_model(causal_lm)


def test_layers_that_differ_are_refused() -> None:
    causal_lm = lively("gpt2")
    causal_lm.backbone.transformer_layers[1]._self_attention_layer_norm.epsilon = 1e-3
    with pytest.raises(UnsupportedArchitecture, match="norm epsilon"):
        map_model(causal_lm)


def test_another_family_is_refused_with_the_known_ones() -> None:
    mixture = models.MixtralBackbone(
        vocabulary_size=20,
        num_layers=1,
        num_query_heads=2,
        hidden_dim=8,
        intermediate_dim=8,
        num_key_value_heads=1,
        num_experts=2,
        top_k=1,
    )
    with pytest.raises(UnsupportedFamily, match=r"family Mixtral yet.*GPT2, OPT, Llama"):
        map_model(models.MixtralCausalLM(mixture))


def test_a_model_without_backbone_is_refused() -> None:
    with pytest.raises(NotCausalLM):
        map_model(keras.Sequential([keras.layers.Dense(2)]))


def _described(causal_lm: Any) -> tuple[Any, Any]:
    model: mapping.MappedModel = map_model(causal_lm)
    return model.description, model.weights
