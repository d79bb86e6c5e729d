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

Json = dict[str, Any]


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
    config = {"name": "gpt2_tokenizer", "dtype": keras_object("keras", "DTypePolicy", {"name": "int32"}, None)}
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


def write_checkpoint(folder: Path, header: Json | bytes | None = None, data: bytes = bytes(16)) -> None:
    """A Transformers checkpoint."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(
        json.dumps({"model_type": "gpt2", "_name_or_path": "/home/a/gpt2", "n_embd": 8})
    )
    (folder / "vocab.json").write_bytes(vocabulary())
    (folder / "merges.txt").write_text("#version: 0.2\nt h\n")
    good = {"wte": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}, "__metadata__": {"format": "pt"}}
    write_safetensors(folder / "model.safetensors", good if header is None else header, data)
