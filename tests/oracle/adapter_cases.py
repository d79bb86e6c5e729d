"""The adapters that PEFT writes for the tests: case -> family, its case in `cases.py`, settings of LoraConfig."""

QKV = ["q_proj", "v_proj"]
ADAPTERS = {
    "plain": ("Llama", "plain", {"r": 4, "lora_alpha": 12, "target_modules": QKV}),
    "by_root": ("Llama", "tied", {"r": 4, "lora_alpha": 12, "target_modules": QKV, "use_rslora": True}),
    "all_linear": ("Llama", "biased", {"r": 3, "lora_alpha": 6, "target_modules": "all-linear"}),
    "patterns": ("Llama", "plain", {
        "r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "k_proj", "down_proj"],
        "rank_pattern": {"down_proj": 2, r"model.layers.1.self_attn.q_proj": 6},
        "alpha_pattern": {r"layers\.\d\.self_attn\.k_proj": 40},
    }),
    "layers": ("Qwen2", "plain", {"r": 2, "lora_alpha": 16, "target_modules": QKV, "layers_to_transform": [0, 2]}),
    "pattern": ("Mistral", "plain", {"r": 2, "lora_alpha": 8, "target_modules": r"model\.layers\.[12]\.mlp\.up_proj"}),
    "head": ("Gemma2", "plain", {"r": 2, "lora_alpha": 8, "target_modules": ["o_proj", "gate_proj"]}),
    "conv1d": ("GPT2", "plain", {"r": 4, "lora_alpha": 8, "target_modules": ["c_attn", "c_proj"]}),
    "untied_head": ("GPT2", "untied", {"r": 4, "lora_alpha": 8, "target_modules": ["lm_head"]}),
    "fused": ("Phi3", "plain", {"r": 4, "lora_alpha": 8, "target_modules": ["qkv_proj", "gate_up_proj"]}),
    "neox": ("GPTNeoX", "plain", {"r": 4, "lora_alpha": 8, "target_modules": ["query_key_value"]}),
    "falcon": ("Falcon", "plain", {"r": 4, "lora_alpha": 8, "target_modules": ["query_key_value", "dense"]}),
    "opt": ("OPT", "plain", {"r": 4, "lora_alpha": 8, "target_modules": ["fc1", "out_proj"]}),
}  # fmt: skip
