"""Tiny checkpoints of Gemma 3, Qwen 3 and SmolLM 3, and what these families compute with them, in NumPy.

The release of Transformers that writes the other families' cases does not have these three. Written from the families'
published definitions in float64; shares no code with the farm.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from scipy.special import erf

SEED = 20261130
TOKENS = 24
Values = NDArray[np.float64]
Tensors = dict[str, NDArray[np.float32]]
Config = dict[str, Any]

# What the configuration classes take where config.json is silent.
DEFAULTS: dict[str, Config] = {
    "qwen3": {
        "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "tie_word_embeddings": False, "attention_bias": False,
        "mlp_bias": False, "hidden_act": "silu", "use_sliding_window": False, "sliding_window": 4096,
        "max_window_layers": 28,
    },
    "smollm3": {
        "rms_norm_eps": 1e-6, "rope_theta": 2000000.0, "tie_word_embeddings": True, "attention_bias": False,
        "mlp_bias": False, "hidden_act": "silu", "use_sliding_window": False, "sliding_window": None,
        "no_rope_layer_interval": 4,
    },
    "gemma3_text": {
        "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "rope_local_base_freq": 10000.0, "tie_word_embeddings": True,
        "attention_bias": False, "mlp_bias": False, "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": 256, "sliding_window": 4096, "final_logit_softcapping": None,
    },
}  # fmt: skip


def write(family: str, settings: Config, folder: Path) -> None:
    """One checkpoint with lively weights, and its logits after each of some tokens."""
    folder.mkdir(parents=True)
    tensors = random_tensors(family, settings)
    tokens = np.random.default_rng(SEED + 1).integers(0, settings["vocab_size"], TOKENS)
    (folder / "config.json").write_text(json.dumps({"model_type": family, **settings}))
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    np.save(folder / "tokens.npy", tokens)
    np.save(folder / "logits.npy", logits(family, settings, tensors, tokens))


def random_tensors(family: str, settings: Config) -> Tensors:
    """A checkpoint's tensors under the names that the family gives them."""
    config = DEFAULTS[family] | settings
    random = np.random.default_rng(SEED)
    hidden, inner, size = config["hidden_size"], config["intermediate_size"], head_size(config)
    queries, keys = config["num_attention_heads"] * size, config["num_key_value_heads"] * size
    found: Tensors = {}

    def matrix(name: str, rows: int, columns: int, *, bias: bool = False) -> None:
        found[f"{name}.weight"] = random.normal(0, 0.25, (rows, columns)).astype(np.float32)
        if bias:
            found[f"{name}.bias"] = random.normal(0, 0.25, rows).astype(np.float32)

    def norm(name: str, length: int) -> None:
        middle = 0.0 if family == "gemma3_text" else 1.0
        found[f"{name}.weight"] = (middle + random.normal(0, 0.2, length)).astype(np.float32)

    matrix("model.embed_tokens", config["vocab_size"], hidden)
    if not config["tie_word_embeddings"]:
        matrix("lm_head", config["vocab_size"], hidden)
    for index in range(config["num_hidden_layers"]):
        layer = f"model.layers.{index}"
        for name, rows in (("q", queries), ("k", keys), ("v", keys)):
            matrix(f"{layer}.self_attn.{name}_proj", rows, hidden, bias=config["attention_bias"])
        matrix(f"{layer}.self_attn.o_proj", hidden, queries, bias=config["attention_bias"])
        for name in ("gate", "up"):
            matrix(f"{layer}.mlp.{name}_proj", inner, hidden, bias=config["mlp_bias"])
        matrix(f"{layer}.mlp.down_proj", hidden, inner, bias=config["mlp_bias"])
        for name in ("input_layernorm", "post_attention_layernorm"):
            norm(f"{layer}.{name}", hidden)
        if family == "gemma3_text":
            norm(f"{layer}.pre_feedforward_layernorm", hidden)
            norm(f"{layer}.post_feedforward_layernorm", hidden)
        if family != "smollm3":
            norm(f"{layer}.self_attn.q_norm", size)
            norm(f"{layer}.self_attn.k_norm", size)
    norm("model.norm", hidden)
    return found


def logits(family: str, settings: Config, tensors: Tensors, tokens: NDArray[np.int64]) -> Values:
    """Logits [N,V] after each of the tokens [N]."""
    return _Model(family, DEFAULTS[family] | settings, tensors).logits(tokens)


def head_size(config: Config) -> int:
    """The features of one head."""
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])


class _Model:
    def __init__(self, family: str, config: Config, tensors: Tensors) -> None:
        self.family, self.config = family, config
        self.tensors = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}

    def logits(self, tokens: NDArray[np.int64]) -> Values:
        gemma = self.family == "gemma3_text"
        table = self.tensors["model.embed_tokens.weight"]
        x = table[tokens] * (math.sqrt(self.config["hidden_size"]) if gemma else 1.0)
        for index in range(self.config["num_hidden_layers"]):
            layer = f"model.layers.{index}"
            attended = self.attention(index, self.norm(f"{layer}.input_layernorm", x))
            if gemma:
                x = x + self.norm(f"{layer}.post_attention_layernorm", attended)
                inner = self.network(layer, self.norm(f"{layer}.pre_feedforward_layernorm", x))
                x = x + self.norm(f"{layer}.post_feedforward_layernorm", inner)
            else:
                x = x + attended
                x = x + self.network(layer, self.norm(f"{layer}.post_attention_layernorm", x))
        head = table if self.config["tie_word_embeddings"] else self.tensors["lm_head.weight"]
        found: Values = self.norm("model.norm", x) @ head.T
        cap = self.config.get("final_logit_softcapping")
        return found if cap is None else np.tanh(found / cap) * cap

    def linear(self, name: str, x: Values) -> Values:
        found: Values = x @ self.tensors[f"{name}.weight"].T
        bias = self.tensors.get(f"{name}.bias")
        return found if bias is None else found + bias

    def norm(self, name: str, x: Values) -> Values:
        scale = self.tensors[f"{name}.weight"] + (1.0 if self.family == "gemma3_text" else 0.0)
        found: Values = x / np.sqrt(np.mean(x**2, -1, keepdims=True) + self.config["rms_norm_eps"]) * scale
        return found

    def network(self, layer: str, x: Values) -> Values:
        act = ACTIVATIONS[self.config.get("hidden_activation") or self.config["hidden_act"]]
        gated = act(self.linear(f"{layer}.mlp.gate_proj", x)) * self.linear(f"{layer}.mlp.up_proj", x)
        return self.linear(f"{layer}.mlp.down_proj", gated)

    def attention(self, index: int, x: Values) -> Values:
        place = f"model.layers.{index}.self_attn"
        size, count = head_size(self.config), len(x)
        groups = self.config["num_attention_heads"] // self.config["num_key_value_heads"]
        queries, keys, values = (self.linear(f"{place}.{name}_proj", x).reshape(count, -1, size) for name in "qkv")
        if self.family != "smollm3":
            queries, keys = self.norm(f"{place}.q_norm", queries), self.norm(f"{place}.k_norm", keys)
        rotation = self.rotation(index, size)
        if rotation is not None:
            queries, keys = rotate(queries, *rotation), rotate(keys, *rotation)
        window = self.window(index)
        scale = self.config.get("query_pre_attn_scalar", size) ** -0.5
        mixed = np.zeros((count, self.config["num_attention_heads"], size))
        for head in range(self.config["num_attention_heads"]):
            for query in range(count):
                first = 0 if window is None else max(0, query - window + 1)
                scores = keys[first : query + 1, head // groups] @ queries[query, head] * scale
                weights = np.exp(scores - scores.max())
                mixed[query, head] = weights / weights.sum() @ values[first : query + 1, head // groups]
        return self.linear(f"{place}.o_proj", mixed.reshape(count, -1))

    def window(self, index: int) -> int | None:
        """How many tokens the layer sees, itself included; None for all."""
        config = self.config
        kinds = config.get("layer_types")
        if self.family == "gemma3_text":
            pattern = config.get("sliding_window_pattern", config.get("_sliding_window_pattern", 6))
            slides = kinds[index] == "sliding_attention" if kinds else (index + 1) % pattern != 0
        elif not config["use_sliding_window"] or config["sliding_window"] is None:
            return None
        elif kinds:
            slides = kinds[index] == "sliding_attention"
        elif self.family == "qwen3":
            slides = index >= config["max_window_layers"]
        else:
            slides = not self.turns(index)
        return int(config["sliding_window"]) if slides else None

    def turns(self, index: int) -> bool:
        """Whether the layer of SmolLM 3 has a rotary embedding."""
        stated = self.config.get("no_rope_layers")
        return bool(stated[index]) if stated else (index + 1) % self.config["no_rope_layer_interval"] != 0

    def rotation(self, index: int, size: int) -> tuple[Values, float] | None:
        """Angles per position [size / 2] and the factor on cosine and sine; None for no rotation."""
        config, five = self.config, self.config.get("rope_parameters")
        if self.family == "smollm3" and not self.turns(index):
            return None
        if self.family == "gemma3_text":
            kind = "full_attention" if self.window(index) is None else "sliding_attention"
            if five is not None:
                return frequencies(five[kind], five[kind]["rope_theta"], size, config)
            if kind == "sliding_attention":
                return frequencies({}, config["rope_local_base_freq"], size, config)
        if five is not None:
            return frequencies(five, five["rope_theta"], size, config)
        return frequencies(config.get("rope_scaling") or {}, config["rope_theta"], size, config)


def frequencies(scaling: Config, base: float, size: int, config: Config) -> tuple[Values, float]:
    """Angles per position [size / 2] of a kind of rotary embedding, and the factor on cosine and sine."""
    plain = np.array([base ** (-2 * index / size) for index in range(size // 2)])
    match scaling.get("rope_type", "default"):
        case "linear":
            return plain / scaling["factor"], 1.0
        case "llama3":
            return np.array([_llama3(frequency, scaling) for frequency in plain]), 1.0
        case "yarn":
            trained = scaling.get("original_max_position_embeddings") or config["max_position_embeddings"]

            def dimension(turns: float) -> float:
                # Of the frequency that makes so many turns over the trained length.
                return size * math.log(trained / (turns * 2 * math.pi)) / (2 * math.log(base))

            low, high = max(math.floor(dimension(32)), 0), min(math.ceil(dimension(1)), size - 1)
            ramp = np.clip((np.arange(size // 2) - low) / max(high - low, 0.001), 0, 1)
            return plain * (1 - ramp) + plain / scaling["factor"] * ramp, 0.1 * math.log(scaling["factor"]) + 1
        case _:
            return plain, 1.0


def _llama3(frequency: float, scaling: Config) -> float:
    length, turns = 2 * math.pi / frequency, scaling["original_max_position_embeddings"]
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    if length < turns / high:
        return frequency
    if length > turns / low:
        return float(frequency / scaling["factor"])
    share = (turns / length - low) / (high - low)
    return float((1 - share) * frequency / scaling["factor"] + share * frequency)


def rotate(x: Values, angles: Values, amplitude: float) -> Values:
    """Turn the pairs (i, i + size / 2) of each head [N, heads, size] by the position's angles."""
    turned = np.zeros_like(x)
    half = x.shape[-1] // 2
    for position in range(len(x)):
        cosine, sine = np.cos(position * angles) * amplitude, np.sin(position * angles) * amplitude
        first, second = x[position, :, :half], x[position, :, half:]
        turned[position, :, :half] = first * cosine - second * sine
        turned[position, :, half:] = second * cosine + first * sine
    return turned


ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "gelu": lambda x: x * (1 + erf(x / math.sqrt(2))) / 2,
    "gelu_pytorch_tanh": lambda x: x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
}
