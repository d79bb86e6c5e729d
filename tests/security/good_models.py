"""Models as people have them, which the check must accept: each by name, as a function that writes it into a folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

from tests.security import model_files
from tests.security.hostile_checkpoints import write_adapter
from tests.security.model_files import (
    Json,
    backbone,
    causal_lm,
    gpt2_config,
    gpt2_tensors,
    keras_object,
    tokenizer,
    tokenizer_json,
    with_value,
    write_checkpoint,
    write_keras,
    write_preset,
)

Writer = Callable[[Path], None]
INDEX = "model.safetensors.index.json"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def models() -> dict[str, Writer]:
    """All of them, each a GPT-2."""
    return {
        "a preset": write_preset,
        "a .keras file": lambda folder: write_keras(folder),
        "a checkpoint": lambda folder: write_checkpoint(folder),
        "a checkpoint with an adapter": _checkpoint(write_adapter),
        **{f"checkpoint: {name}": _checkpoint(change) for name, change in _checkpoints().items()},
        **{f"config: {name}": _config(change) for name, change in _configs().items()},
        **{f"tokenizer: {name}": _tokenizer(change) for name, change in _tokenizers().items()},
        **{f"tokenizer_config: {name}": _settings(value) for name, value in _tokenizer_configs().items()},
        **{f"weights: {name}": _weights(change) for name, change in _tensors().items()},
        **{f"preset: {name}": _preset(change) for name, change in _presets().items()},
        **{f"keras: {name}": _keras(document) for name, document in _documents().items()},
        "keras: weights of half precision": lambda folder: write_keras(folder, weights=_half),
        "keras: optimizer with NaN": lambda folder: write_keras(folder, weights=_optimizer),
    }


def _checkpoints() -> dict[str, Callable[[Path], object]]:
    def drop(name: str) -> Callable[[Path], object]:
        return lambda folder: (folder / name).unlink()

    return {
        "without tokenizer.json": drop("tokenizer.json"),
        "without generation_config.json": drop("generation_config.json"),
        "without tokenizer_config.json": drop("tokenizer_config.json"),
        "with added_tokens.json": lambda folder: (folder / "added_tokens.json").write_text('{"<|endoftext|>": 259}'),
        "several end ids": lambda folder: (folder / "generation_config.json").write_text('{"eos_token_id": [1, 259]}'),
        "byte order marks": _mark,
        "in parts": lambda folder: _split(folder, index=True),
        "in parts without index": lambda folder: _split(folder, index=False),
        "index of one file": _index_one,
    }


def _configs() -> dict[str, Json]:
    return {
        "relu": {"activation_function": "relu"},
        "unscaled": {"scale_attn_weights": False},
        "scaled by layer": {"scale_attn_by_inverse_layer_idx": True},
        "epsilon": {"layer_norm_epsilon": 1e-6},
        "inner width": {"n_inner": 32},
        "tied": {"tie_word_embeddings": True},
        "old keys": {"n_ctx": 32, "initializer_range": 0.02, "resid_pdrop": 0.1, "summary_type": "cls_index"},
        "new keys": {"dtype": "float32", "transformers_version": "5.0.0"},
        "sampling": {"task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}}},
        "nulls": {"n_inner": None, "quantization_config": None},
        "several end ids": {"eos_token_id": [258, 259]},
        "no flags of its own": {"add_cross_attention": False, "pruned_heads": {}, "is_encoder_decoder": False},
        "gelu": {"activation_function": "gelu"},
        "four heads": {"n_head": 4},
        "untied by name, one matrix": {"tie_word_embeddings": False},
    }


def _tokenizers() -> dict[str, Callable[[Json], object]]:
    added = [{"id": 258, "content": "<|user|>", "special": True}, {"id": 259, "content": "<|endoftext|>"}]
    return {
        "merges as pairs": lambda value: value["model"].update(merges=[["t", "h"], ["h", "e"]]),
        "no merges": lambda value: value["model"].update(merges=[]),
        "ignore_merges": lambda value: value["model"].update(ignore_merges=True),
        "added tokens": lambda value: value.update(added_tokens=added),
        "a placeholder for images beyond the embedding": lambda value: value["added_tokens"].append(
            {"id": 260, "content": "<image_soft_token>", "special": True}
        ),
        "no added tokens": lambda value: value.update(added_tokens=[]),
        "a normalizer": lambda value: value.update(normalizer={"type": "NFC"}),
        "no pre-tokenizer": lambda value: value.update(pre_tokenizer=None),
        "a template": lambda value: value.update(
            post_processor={"type": "TemplateProcessing", "single": [], "pair": []}
        ),
    }


def _tokenizer_configs() -> dict[str, Json]:
    token = {"content": "<|endoftext|>", "lstrip": False, "normalized": False, "__type": "AddedToken"}
    return {
        "chat template": {"chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}"},
        "two chat templates": {
            "chat_template": [{"name": "default", "template": "a"}, {"name": "rag", "template": "b"}]
        },
        "token objects": {"eos_token": token, "bos_token": token, "unk_token": None},
        "decoder": {"added_tokens_decoder": {"259": token}},
        "no length": {"model_max_length": 1000000000000000019884624838656},
        "paths of others": {"name_or_path": "/home/a/model", "tokenizer_file": "/root/.cache/tokenizer.json"},
    }


def _tensors() -> dict[str, Callable[[dict[str, Any]], object]]:
    def cast(kind: Any) -> Callable[[dict[str, Any]], object]:
        return lambda tensors: tensors.update({name: values.astype(kind) for name, values in tensors.items()})

    def bare(tensors: dict[str, Any]) -> None:
        for name in list(tensors):
            tensors[name.removeprefix("transformer.")] = tensors.pop(name)

    mask = np.tril(np.ones((1, 1, 32, 32), np.uint8))
    return {
        "bfloat16": cast(ml_dtypes.bfloat16),
        "float16": cast(np.float16),
        "float64": cast(np.float64),
        "without prefix": bare,
        "with masks": lambda tensors: tensors.__setitem__("transformer.h.0.attn.bias", mask),
        "tied output written too": lambda tensors: tensors.__setitem__(
            "lm_head.weight", tensors["transformer.wte.weight"].copy()
        ),
        "a branch of zeros": lambda tensors: tensors.__setitem__(
            "transformer.h.0.mlp.c_proj.weight", np.zeros((32, 8), np.float32)
        ),
    }


def _presets() -> dict[str, Callable[[Path], object]]:
    def document(name: str, value: Json) -> Callable[[Path], object]:
        return lambda folder: (folder / name).write_text(json.dumps(value))

    assets = ["assets/tokenizer/vocabulary.json", "assets/tokenizer/merges.txt"]
    return {
        "as keras-nlp 0.9 wrote it": lambda folder: (
            document("config.json", backbone() | {"assets": [], "weights": "model.weights.h5"})(folder),
            document("tokenizer.json", tokenizer() | {"assets": assets, "weights": None})(folder),
        ),
        "a task compiled with its owner's loss": document("task.json", own_loss()),
        "byte order marks": _mark,
        "without task": lambda folder: (folder / "task.json").unlink(),
        "without preprocessor": lambda folder: (folder / "preprocessor.json").unlink(),
        "without metadata": lambda folder: (folder / "metadata.json").unlink(),
    }


def own_loss() -> Json:
    """A causal language model that was compiled with a loss and a metric of its owner's."""
    loss = keras_object("mine.losses", "function", {}, "mine>smooth_loss") | {"config": "smooth_loss"}
    compiled = with_value(causal_lm(), "compile_config.loss", loss)
    return with_value(compiled, "compile_config.metrics", [keras_object("mine", "Metric", {}, "mine>Metric")])


def _documents() -> dict[str, Json]:
    lm = causal_lm()
    half = keras_object("keras", "DTypePolicy", {"name": "mixed_float16"}, None)
    policies = keras_object(
        "keras.dtype_policies", "DTypePolicyMap",
        {"default_policy": half, "policy_map": {"transformer_layer_0": model_files.float_policy()}}, None,
    )  # fmt: skip
    return {
        "compiled with its owner's loss": own_loss(),
        "never compiled": {key: value for key, value in lm.items() if key != "compile_config"},
        "half precision": with_value(lm, "config.backbone.config.dtype", half),
        "half precision by layer": with_value(lm, "config.backbone.config.dtype", policies),
        "another name": with_value(lm, "config.backbone.config.name", "gpt2_backbone_7"),
    }


def _half(file: h5py.File) -> None:
    file.create_group("layers/half/vars").create_dataset("0", data=np.ones((4, 4), ml_dtypes.bfloat16).view("V2"))


def _optimizer(file: h5py.File) -> None:
    file.create_group("optimizer/vars").create_dataset("0", data=np.array([np.nan], np.float32))


def _mark(folder: Path) -> None:
    for path in folder.glob("*.json"):
        path.write_bytes(BYTE_ORDER_MARK + path.read_bytes())


def _split(folder: Path, *, index: bool) -> None:
    (folder / "model.safetensors").unlink()
    tensors = gpt2_tensors()
    names, table = sorted(tensors), dict[str, str]()
    for number in (1, 2):
        file = f"model-{number:05}-of-00002.safetensors"
        part = names[number - 1 :: 2]
        save_file({name: tensors[name] for name in part}, str(folder / file))
        table |= dict.fromkeys(part, file)
    if index:
        (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": table}))


def _index_one(folder: Path) -> None:
    table = dict.fromkeys(gpt2_tensors(), "model.safetensors")
    (folder / INDEX).write_text(json.dumps({"weight_map": table}))


def _checkpoint(change: Callable[[Path], object]) -> Writer:
    def write(folder: Path) -> None:
        write_checkpoint(folder)
        change(folder)

    return write


def _config(change: Json) -> Writer:
    return _checkpoint(lambda folder: (folder / "config.json").write_text(json.dumps(gpt2_config() | change)))


def _settings(value: Json) -> Writer:
    return _checkpoint(lambda folder: (folder / "tokenizer_config.json").write_text(json.dumps(value)))


def _tokenizer(change: Callable[[Json], object]) -> Writer:
    value = tokenizer_json()
    change(value)
    return _checkpoint(lambda folder: (folder / "tokenizer.json").write_text(json.dumps(value)))


def _weights(change: Callable[[dict[str, Any]], object]) -> Writer:
    tensors: dict[str, Any] = dict(gpt2_tensors())
    change(tensors)
    return _checkpoint(lambda folder: save_file(tensors, str(folder / "model.safetensors")))


def _preset(change: Callable[[Path], object]) -> Writer:
    def write(folder: Path) -> None:
        write_preset(folder)
        change(folder)

    return write


def _keras(document: Json) -> Writer:
    return lambda folder: write_keras(folder, document)
