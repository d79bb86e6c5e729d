"""Checkpoints of families that are newer than the release of Transformers in `requirements.lock`: family -> case ->
settings of its configuration class. `numpy_families.py` computes what they mean."""

SMALL = {
    "vocab_size": 61, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 128,
}  # fmt: skip
QWEN3 = {**SMALL, "head_dim": 12}
SMOLLM3 = {**SMALL, "num_hidden_layers": 5}
GEMMA3 = {**SMALL, "num_hidden_layers": 7, "head_dim": 12, "sliding_window": 7}
WINDOWS = ["sliding_attention", "full_attention", "sliding_attention"]
LLAMA3 = {
    "rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}  # fmt: skip
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
LINEAR = {"rope_type": "linear", "factor": 3.0}

CASES = {
    "qwen3": {
        "plain": QWEN3, "tied": QWEN3 | {"tie_word_embeddings": True}, "biased": QWEN3 | {"attention_bias": True},
        "epsilon": QWEN3 | {"rms_norm_eps": 0.1}, "base": QWEN3 | {"rope_theta": 100.0},
        "gelu": QWEN3 | {"hidden_act": "gelu"}, "one_head": QWEN3 | {"num_key_value_heads": 1},
        "all_heads": QWEN3 | {"num_key_value_heads": 4}, "narrow": QWEN3 | {"head_dim": 8},
        "wide": QWEN3 | {"intermediate_size": 40},
        "window": QWEN3 | {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1},
        "windows": QWEN3 | {"use_sliding_window": True, "sliding_window": 5, "layer_types": WINDOWS},
        "linear": QWEN3 | {"rope_scaling": LINEAR}, "yarn": QWEN3 | {"rope_scaling": YARN},
        "llama3": QWEN3 | {"rope_scaling": LLAMA3},
        "five": QWEN3 | {"rope_parameters": {"rope_type": "default", "rope_theta": 100.0}},
        "five_yarn": QWEN3 | {"rope_parameters": {**YARN, "rope_theta": 100.0}},
    },
    "smollm3": {
        "plain": SMOLLM3, "untied": SMOLLM3 | {"tie_word_embeddings": False},
        "biased": SMOLLM3 | {"attention_bias": True}, "mlp_bias": SMOLLM3 | {"mlp_bias": True},
        "epsilon": SMOLLM3 | {"rms_norm_eps": 0.1}, "base": SMOLLM3 | {"rope_theta": 100.0},
        "gelu": SMOLLM3 | {"hidden_act": "gelu_pytorch_tanh"}, "interval": SMOLLM3 | {"no_rope_layer_interval": 2},
        "turned": SMOLLM3 | {"no_rope_layers": [0, 1, 1, 0, 1]}, "one_head": SMOLLM3 | {"num_key_value_heads": 1},
        # The windows are those of the layers without rotation.
        "window": SMOLLM3 | {"use_sliding_window": True, "sliding_window": 5},
        "windows": SMOLLM3 | {"use_sliding_window": True, "sliding_window": 5, "layer_types": [*WINDOWS, *WINDOWS[:2]]},
        "linear": SMOLLM3 | {"rope_scaling": LINEAR}, "yarn": SMOLLM3 | {"rope_scaling": YARN},
        "five": SMOLLM3 | {"rope_parameters": {"rope_type": "default", "rope_theta": 100.0}},
    },
    "gemma3_text": {
        "plain": GEMMA3, "untied": GEMMA3 | {"tie_word_embeddings": False},
        "biased": GEMMA3 | {"attention_bias": True}, "epsilon": GEMMA3 | {"rms_norm_eps": 0.1},
        "relu": GEMMA3 | {"hidden_activation": "relu"}, "scalar": GEMMA3 | {"query_pre_attn_scalar": 9},
        "final_cap": GEMMA3 | {"final_logit_softcapping": 3.0}, "narrow": GEMMA3 | {"head_dim": 8},
        "one_head": GEMMA3 | {"num_key_value_heads": 1}, "window": GEMMA3 | {"sliding_window": 3},
        "pattern": GEMMA3 | {"sliding_window_pattern": 2}, "late_pattern": GEMMA3 | {"_sliding_window_pattern": 3},
        "windows": GEMMA3 | {"layer_types": [*WINDOWS, *WINDOWS, "full_attention"]},
        "base": GEMMA3 | {"rope_theta": 100.0}, "local_base": GEMMA3 | {"rope_local_base_freq": 100.0},
        "linear": GEMMA3 | {"rope_scaling": LINEAR}, "yarn": GEMMA3 | {"rope_scaling": YARN},
        "five": GEMMA3 | {"rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 50.0},
        }},
        "five_yarn": GEMMA3 | {"rope_parameters": {
            "full_attention": {**YARN, "rope_theta": 1000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
        }},
    },
}  # fmt: skip
