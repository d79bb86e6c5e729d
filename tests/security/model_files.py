"""Small model files made without Keras: a good preset and a good `.keras` file, and ways to change them."""

from __future__ import annotations

import copy
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from safetensors.numpy import save_file

Json = dict[str, Any]

VOCABULARY, HIDDEN, POSITIONS = 260, 8, 32


def keras_object(module: str, class_name: str, config: Json, registered: str | None) -> Json:
    return {"module": module, "class_name": class_name, "config": config, "registered_name": registered}


def hub_object(module: str, class_name: str, config: Json) -> Json:
    return keras_object(f"keras_hub.src.{module}", class_name, config, f"keras_hub>{class_name}")


def float_policy() -> Json:
    return keras_object("keras", "DTypePolicy", {"name": "float32"}, None)


def backbone() -> Json:
    config = {"name": "gpt2_backbone", "trainable": True, "dtype": float_policy(), "vocabulary_size": 260}
    config |= {"num_layers": 1, "num_heads": 1, "hidden_dim": 8, "intermediate_dim": 16, "max_sequence_length": 32}
    return hub_object("models.gpt2.gpt2_backbone", "GPT2Backbone", config)


def tokenizer() -> Json:
    config: dict[str, Any] = {
        "name": "gpt2_tokenizer",
        "dtype": keras_object("keras", "DTypePolicy", {"name": "int32"}, None),
    }
    config |= {
        "config_file": "tokenizer.json",
        "sequence_length": None,
        "unsplittable_tokens": ["<|endoftext|>", "</s>"],
    }
    return hub_object("models.gpt2.gpt2_tokenizer", "GPT2Tokenizer", config)


def preprocessor() -> Json:
    config = {"name": "p", "tokenizer": tokenizer(), "config_file": "preprocessor.json", "sequence_length": 32}
    return hub_object("models.gpt2.gpt2_causal_lm_preprocessor", "GPT2CausalLMPreprocessor", config)


def causal_lm() -> Json:
    config = {"backbone": backbone(), "preprocessor": preprocessor(), "name": "gpt2_causal_lm"}
    model = hub_object("models.gpt2.gpt2_causal_lm", "GPT2CausalLM", config)
    rate = keras_object("keras.optimizers.schedules", "CosineDecay", {"initial_learning_rate": 0.1}, None)
    model["compile_config"] = {
        "optimizer": keras_object("keras.optimizers", "Adam", {"name": "adam", "learning_rate": rate}, None),
        "loss": keras_object("keras.losses", "SparseCategoricalCrossentropy", {"from_logits": True}, None),
    }
    return model


def vocabulary() -> bytes:
    return json.dumps({f"t{number}": number for number in range(259)} | {"<|endoftext|>": 259}).encode()


def write_weights(path: Path, change: Callable[[h5py.File], None] | None = None) -> None:
    with h5py.File(path, "w") as file:
        layer = file.create_group("layers/dense/vars")
        layer.create_dataset("0", data=np.arange(64, dtype=np.float32).reshape(8, 8))
        # As many numbers as the backbone above asks for, and no fewer weights than it has layers.
        embeddings = file.create_group("layers/token_embedding/vars")
        embeddings.create_dataset("0", data=np.ones((VOCABULARY, HIDDEN), np.float32))
        file.create_group("layers/rest/vars").create_dataset("0", data=np.ones((64, HIDDEN), np.float32))
        file.create_group("vars")
        if change is not None:
            change(file)


def write_preset(folder: Path) -> None:
    (folder / "assets" / "tokenizer").mkdir(parents=True)
    documents = {"config": backbone(), "task": causal_lm(), "preprocessor": preprocessor(), "tokenizer": tokenizer()}
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document))
    (folder / "metadata.json").write_text(json.dumps({"keras_version": "3.15.1", "parameter_count": 64}))
    (folder / "assets" / "tokenizer" / "vocabulary.json").write_bytes(vocabulary())
    (folder / "assets" / "tokenizer" / "merges.txt").write_text("#version: 0.2\nt h\nh e\n")
    write_weights(folder / "model.weights.h5")


def write_keras(
    folder: Path,
    config: Any = None,
    *,
    members: dict[str | zipfile.ZipInfo, bytes] | None = None,
    weights: Callable[[h5py.File], None] | None = None,
    config_bytes: bytes | None = None,
) -> None:
    """A `.keras` file; `members` come on top of the usual ones."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = folder.parent / f"{folder.name}.h5"
    write_weights(plain, weights)
    with warnings.catch_warnings(), zipfile.ZipFile(folder / "model.keras", "w") as archive:
        warnings.filterwarnings("ignore", "Duplicate name", UserWarning)  # what an attacker does on purpose
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        archive.writestr("config.json", config_bytes or json.dumps(causal_lm() if config is None else config))
        archive.write(plain, "model.weights.h5")
        archive.writestr("assets/preprocessor/tokenizer/merges.txt", "#version: 0.2\nt h\n")
        for member, data in (members or {"assets/preprocessor/tokenizer/vocabulary.json": vocabulary()}).items():
            archive.writestr(member, data)
    plain.unlink()


def with_value(document: Json, path: str, value: Any) -> Json:
    """A copy with the value at a dotted path replaced or added."""
    changed = copy.deepcopy(document)
    holder: Any = changed
    *parents, last = path.split(".")
    for parent in parents:
        holder = holder.setdefault(parent, {})
    holder[last] = value
    return changed


def write_safetensors(path: Path, header: Json | bytes, data: bytes) -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def gpt2_config() -> Json:
    """`config.json` of a GPT-2 of one layer."""
    return {
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "_name_or_path": "/home/a/gpt2",
        "vocab_size": VOCABULARY, "n_embd": HIDDEN, "n_layer": 1, "n_head": 2, "n_positions": POSITIONS,
        "eos_token_id": 259,
    }  # fmt: skip


def gpt2_tensors() -> dict[str, np.ndarray]:
    """The tensors of that GPT-2."""
    random = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {"wte.weight": (VOCABULARY, HIDDEN), "wpe.weight": (POSITIONS, HIDDEN)}
    for norm in ("h.0.ln_1", "h.0.ln_2", "ln_f"):
        shapes |= {f"{norm}.weight": (HIDDEN,), f"{norm}.bias": (HIDDEN,)}
    for name, inputs, outputs in (
        ("attn.c_attn", HIDDEN, 3 * HIDDEN), ("attn.c_proj", HIDDEN, HIDDEN), ("mlp.c_fc", HIDDEN, 4 * HIDDEN),
        ("mlp.c_proj", 4 * HIDDEN, HIDDEN),
    ):  # fmt: skip
        shapes |= {f"h.0.{name}.weight": (inputs, outputs), f"h.0.{name}.bias": (outputs,)}
    return {f"transformer.{name}": random.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}


def tokenizer_json() -> Json:
    """`tokenizer.json` of the tokens of `vocabulary`."""
    return {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": None,
        "added_tokens": [
            {"id": 259, "content": "<|endoftext|>", "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True},
        ],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "vocab": json.loads(vocabulary()), "merges": ["t h", "h e"], "unk_token": None},
    }  # fmt: skip


def write_checkpoint(folder: Path, header: Json | bytes | None = None, data: bytes = bytes(16)) -> None:
    """A Transformers checkpoint; with a header of one's own, that and the data are all that its weight file holds."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(gpt2_config()))
    (folder / "vocab.json").write_bytes(vocabulary())
    (folder / "merges.txt").write_text("#version: 0.2\nt h\n")
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_json()))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|endoftext|>", "model_max_length": 32}))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 259}))
    if header is not None:
        write_safetensors(folder / "model.safetensors", header, data)
        return
    save_file(gpt2_tensors(), str(folder / "model.safetensors"), metadata={"format": "pt"})
