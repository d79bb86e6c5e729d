"""The checkpoints that Transformers writes for the tests: family -> case -> settings of its configuration class."""

SMALL = {"vocab_size": 61, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
LLAMA = {**SMALL, "intermediate_size": 48, "num_key_value_heads": 2, "max_position_embeddings": 128}
GEMMA = {**LLAMA, "head_dim": 12}
GPT2 = {"vocab_size": 61, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64}
OPT = {**SMALL, "ffn_dim": 40, "max_position_embeddings": 64, "word_embed_proj_dim": 32}
NEOX = {**SMALL, "intermediate_size": 48, "max_position_embeddings": 64}
BLOOM = {"vocab_size": 61, "hidden_size": 32, "n_layer": 3, "n_head": 4}
FALCON = {**SMALL, "max_position_embeddings": 64}
LLAMA3 = {
    "rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}  # fmt: skip

# Configuration class: {case: settings}. Each case changes the result of its family's plain one.
CASES = {
    "GPT2": {
        "plain": GPT2, "relu": GPT2 | {"activation_function": "relu"}, "gelu": GPT2 | {"activation_function": "gelu"},
        "tanh": GPT2 | {"activation_function": "tanh"}, "quick": GPT2 | {"activation_function": "quick_gelu"},
        "inner": GPT2 | {"n_inner": 50}, "epsilon": GPT2 | {"layer_norm_epsilon": 0.1},
        "unscaled": GPT2 | {"scale_attn_weights": False}, "by_layer": GPT2 | {"scale_attn_by_inverse_layer_idx": True},
        "untied": GPT2 | {"tie_word_embeddings": False}, "odd_heads": GPT2 | {"n_head": 2},
    },
    "Llama": {
        "plain": LLAMA, "biased": LLAMA | {"attention_bias": True}, "mlp_bias": LLAMA | {"mlp_bias": True},
        "epsilon": LLAMA | {"rms_norm_eps": 0.1}, "tied": LLAMA | {"tie_word_embeddings": True},
        "gelu": LLAMA | {"hidden_act": "gelu"}, "base": LLAMA | {"rope_theta": 100.0},
        "linear": LLAMA | {"rope_scaling": {"type": "linear", "factor": 3.0}},
        "dynamic": LLAMA | {"rope_scaling": {"type": "dynamic", "factor": 2.0}},
        "llama3": LLAMA | {"rope_scaling": LLAMA3}, "all_heads": LLAMA | {"num_key_value_heads": 4},
        "one_head": LLAMA | {"num_key_value_heads": 1}, "slices": LLAMA | {"pretraining_tp": 2, "vocab_size": 60},
        "yarn": LLAMA | {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}},
    },
    "Mistral": {
        "plain": LLAMA | {"sliding_window": None}, "window": LLAMA | {"sliding_window": 5},
        "head_dim": LLAMA | {"sliding_window": None, "head_dim": 12}, "act": LLAMA | {"hidden_act": "relu"},
        "epsilon": LLAMA | {"rms_norm_eps": 0.1},
    },
    "Qwen2": {
        "plain": LLAMA, "tied": LLAMA | {"tie_word_embeddings": True},
        "epsilon": LLAMA | {"rms_norm_eps": 0.1}, "base": LLAMA | {"rope_theta": 100.0},
    },
    "Gemma": {
        "plain": GEMMA, "act": GEMMA | {"hidden_activation": "gelu"}, "biased": GEMMA | {"attention_bias": True},
        "epsilon": GEMMA | {"rms_norm_eps": 0.1}, "ignored_act": GEMMA | {"hidden_act": "relu"},
    },
    "Gemma2": {
        "plain": GEMMA, "window": GEMMA | {"sliding_window": 5}, "caps": GEMMA | {"attn_logit_softcapping": 2.0},
        "final_cap": GEMMA | {"final_logit_softcapping": 3.0}, "no_caps": GEMMA | {"final_logit_softcapping": None},
        "scalar": GEMMA | {"query_pre_attn_scalar": 9}, "act": GEMMA | {"hidden_activation": "relu"},
    },
    "Phi3": {
        # Its window is left out: this release computes it on GPUs alone.
        "plain": LLAMA | {"pad_token_id": 0}, "epsilon": LLAMA | {"pad_token_id": 0, "rms_norm_eps": 0.1},
        "act": LLAMA | {"pad_token_id": 0, "hidden_act": "gelu"},
        "long": LLAMA | {
            "pad_token_id": 0, "original_max_position_embeddings": 64,
            "rope_scaling": {"type": "longrope", "short_factor": [1.0, 1.5, 2.0, 2.5], "long_factor": [4.0] * 4},
        },
    },
    "OPT": {
        "plain": OPT, "after": OPT | {"do_layer_norm_before": False}, "projected": OPT | {"word_embed_proj_dim": 20},
        "350m": OPT | {"word_embed_proj_dim": 20, "do_layer_norm_before": False},
        "unbiased": OPT | {"enable_bias": False}, "not_affine": OPT | {"layer_norm_elementwise_affine": False},
        "no_final": OPT | {"_remove_final_layer_norm": True}, "gelu": OPT | {"activation_function": "gelu"},
        "untied": OPT | {"tie_word_embeddings": False},
    },
    "GPTNeoX": {
        "plain": NEOX, "sequential": NEOX | {"use_parallel_residual": False}, "all_turned": NEOX | {"rotary_pct": 1.0},
        "half_turned": NEOX | {"rotary_pct": 0.5}, "tied": NEOX | {"tie_word_embeddings": True},
        "base": NEOX | {"rotary_pct": 1.0, "rotary_emb_base": 100}, "epsilon": NEOX | {"layer_norm_eps": 0.1},
        "tanh": NEOX | {"hidden_act": "gelu_new"}, "unbiased": NEOX | {"attention_bias": False},
        "linear": NEOX | {"rope_scaling": {"type": "linear", "factor": 3.0}},
    },
    "Bloom": {
        "plain": BLOOM, "from_norm": BLOOM | {"apply_residual_connection_post_layernorm": True},
        "epsilon": BLOOM | {"layer_norm_epsilon": 0.1}, "six_heads": BLOOM | {"hidden_size": 36, "n_head": 6},
    },
    "Falcon": {
        "plain": FALCON, "alibi": FALCON | {"alibi": True, "multi_query": False, "parallel_attn": False, "bias": True},
        "sequential": FALCON | {"parallel_attn": False}, "all_heads": FALCON | {"multi_query": False},
        "new": FALCON | {"new_decoder_architecture": True, "num_kv_heads": 2},
        "one_norm": FALCON | {"new_decoder_architecture": True, "num_kv_heads": 2, "num_ln_in_parallel_attn": 1},
        "biased": FALCON | {"bias": True}, "base": FALCON | {"rope_theta": 100.0},
        "wide": FALCON | {"ffn_hidden_size": 48}, "relu": FALCON | {"activation": "relu"},
    },
}  # fmt: skip
