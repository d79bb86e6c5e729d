"""Transformers folders that lie or lead elsewhere: each attack by name, as a function that writes it into a folder.

`canary` is a FIFO outside of the model: whoever opens it waits forever.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from farm.adapter_files import FOLDER, PEFT_CONFIG, PEFT_WEIGHTS
from tests.security.model_files import (
    Json,
    gpt2_config,
    gpt2_tensors,
    tokenizer_json,
    vocabulary,
    write_checkpoint,
    write_safetensors,
)

Attack = Callable[[Path, Path], None]
INDEX = "model.safetensors.index.json"
PREFIX = "base_model.model."
# The one module that the adapters change.
ADAPTED = f"{PREFIX}transformer.h.0.mlp.c_fc"


def attacks(canary: Path) -> dict[str, Attack]:
    """All of them; every one must be refused with a sentence of the farm's own."""
    return (
        {f"config: {name}": _config(change) for name, change in _configs(str(canary)).items()}
        | {f"tokenizer: {name}": _tokenizer(change) for name, change in _tokenizers(str(canary)).items()}
        | {f"index: {name}": _index(table) for name, table in _indexes(str(canary)).items()}
        | {f"settings: {name}": _file(file, value) for name, (file, value) in _settings(str(canary)).items()}
        | {f"tensors: {name}": _tensors(change) for name, change in _weights().items()}
        | {f"header: {name}": _header(header) for name, header in _headers().items()}
        | {f"folder: {name}": _folder(change) for name, change in _folders().items()}
        | {f"adapter: {name}": _adapter(change) for name, change in _adapters().items()}
    )


def _configs(canary: str) -> dict[str, Json]:
    values: dict[str, tuple[Any, ...]] = {
        "n_layer": (10**9, 0, -1, 2, 1.0, True, "1", None, 10**30),
        "n_embd": (10**9, 16, -8, [8], 8.5),
        "n_head": (10**9, 3, 0),
        "n_positions": (10**12, 31, "32"),
        "vocab_size": (10**9, 1, 259, {}),
        "n_inner": (10**9, 31),
        "layer_norm_epsilon": (-1.0, "1e-5", 0, 10**400),
    }
    numbers = {f"{key}={value}": {key: value} for key, wrong in values.items() for value in wrong}
    return numbers | {
        "long_model_type": {"model_type": "gpt2" * 250_000},
        "model_type_list": {"model_type": ["gpt2"]},
        "model_type_path": {"model_type": canary},
        "unknown_type": {"model_type": "evil"},
        "long_activation": {"activation_function": "relu" * 250_000},
        "unknown_activation": {"activation_function": "exec"},
        "activation_path": {"activation_function": canary},
        "unknown_key": {"open_this": canary},
        "deep_unknown_key": {"more": {"and": {"more": [canary] * 100}}},
        "quantized": {"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}},
        "quantized_by_a_list": {"quantization_config": ["gptq"]},
        "compressed": {"compression_config": {"format": "x" * 1_000_000}},
        "cross_attention": {"add_cross_attention": True},
        "pruned": {"pruned_heads": {"0": [1]}},
        "flag_as_text": {"tie_word_embeddings": "false"},
    }


def _tokenizers(canary: str) -> dict[str, Callable[[Json], object]]:
    def model(**changes: Any) -> Callable[[Json], object]:
        return lambda value: value["model"].update(changes)

    def added(*tokens: Json) -> Callable[[Json], object]:
        return lambda value: value.update(added_tokens=list(tokens))

    token = {"id": 259, "content": "<|endoftext|>", "special": True}
    return {
        "merges_path": model(merges=canary),
        "vocabulary_path": model(vocab=canary),
        "merges_relative": model(merges="merges.txt"),
        "vocabulary_relative": model(vocab="../../etc/passwd"),
        "merges_of_numbers": model(merges=[1, 2]),
        "merges_of_three": model(merges=[["a", "b", "c"]]),
        "merges_object": model(merges={"a": "b"}),
        "long_merge": model(merges=["a" * 10_000 + " b"]),
        "vocabulary_of_texts": model(vocab={"a": "0"}),
        "vocabulary_negative": model(vocab={"a": -1}),
        "vocabulary_huge_id": model(vocab={"a": 1 << 60}),
        "vocabulary_fraction": model(vocab={"a": 0.5}),
        "long_token": model(vocab={"a" * 10_000: 0}),
        "unknown_model": model(type="Pickle"),
        "type_path": model(type=canary),
        "larger_than_embedding": model(vocab={f"t{number}": number for number in range(300)}),
        "no_model": lambda value: value.pop("model"),
        "model_path": lambda value: value.update(model=canary),
        "normalizer_path": lambda value: value.update(normalizer=canary),
        "pre_tokenizer_list": lambda value: value.update(pre_tokenizer=[canary]),
        "added_path": lambda value: value.update(added_tokens=canary),
        "added_without_id": added({"content": "x"}),
        "added_content_object": added({"id": 1, "content": {"path": canary}}),
        "added_beyond": added({**token, "id": 1 << 30}),
        "one_id_twice": added(token, {**token, "content": "<|other|>"}),
        "long_added": added({**token, "content": "a" * 100_000}),
    }


def _indexes(canary: str) -> dict[str, Any]:
    names = {
        "absolute": canary, "up": "../../../etc/shadow", "device": "/dev/zero", "proc": "/proc/self/environ",
        "url": "https://example.invalid/x.safetensors", "pickle": "pytorch_model.bin", "config": "config.json",
        "zero_byte": "model.safetensors\x00.txt", "backslash": "..\\model.safetensors", "home": "~/model.safetensors",
        "missing_part": "model-00001-of-00002.safetensors", "part_up": "../model-00001-of-00002.safetensors",
        "long": "m" * 1_000_000,
    }  # fmt: skip
    tables: dict[str, Any] = {name: {"weight_map": {"transformer.wte.weight": file}} for name, file in names.items()}
    return tables | {
        "list": {"weight_map": ["model.safetensors"]},
        "numbers": {"weight_map": {"transformer.wte.weight": 7}},
        "nested": {"weight_map": {"transformer.wte.weight": [canary]}},
        "no_map": {"metadata": {}},
        "text": canary,
        "unknown_tensor": {"weight_map": {"evil": "model.safetensors"}},
    }


def _settings(canary: str) -> dict[str, tuple[str, Any]]:
    template = "{% for x in range(10**9) %}{{ x }}{% endfor %}"
    return {
        "template_object": ("tokenizer_config.json", {"chat_template": {"path": canary}}),
        "template_of_megabytes": ("tokenizer_config.json", {"chat_template": template * 30_000}),
        "template_list_of_numbers": ("tokenizer_config.json", {"chat_template": [1]}),
        "token_number": ("tokenizer_config.json", {"eos_token": 5}),
        "token_object_path": ("tokenizer_config.json", {"eos_token": {"content": [canary]}}),
        "decoder_list": ("tokenizer_config.json", {"added_tokens_decoder": [canary]}),
        "not_an_object": ("tokenizer_config.json", canary),
        "end_token_text": ("generation_config.json", {"eos_token_id": canary}),
        "end_token_negative": ("generation_config.json", {"eos_token_id": -1}),
        "end_token_many": ("generation_config.json", {"eos_token_id": list(range(10_000))}),
        "generation_list": ("generation_config.json", []),
        "generation_of_megabytes": ("generation_config.json", {"note": "x" * (2 << 20)}),
        "added_tokens_path": ("added_tokens.json", {"<x>": canary}),
        "added_tokens_list": ("added_tokens.json", [canary]),
        "added_tokens_negative": ("added_tokens.json", {"<x>": -5}),
    }


def _weights() -> dict[str, Callable[[dict[str, np.ndarray]], object]]:
    word, bias = "transformer.wte.weight", "transformer.h.0.mlp.c_fc.bias"

    def replace(name: str, value: np.ndarray) -> Callable[[dict[str, np.ndarray]], object]:
        return lambda tensors: tensors.__setitem__(name, value)

    def poison(value: float) -> Callable[[dict[str, np.ndarray]], object]:
        return lambda tensors: tensors[word].__setitem__((3, 5), value)

    return {
        "codes": replace(word, np.zeros((260, 8), np.int8)),
        "whole_numbers": replace(bias, np.zeros(32, np.int64)),
        "truth_values": replace(bias, np.zeros(32, np.bool_)),
        "another_tensor": replace("transformer.h.0.adapter.weight", np.zeros((2, 2), np.float32)),
        "a_layer_too_many": replace("transformer.h.1.ln_1.weight", np.zeros(8, np.float32)),
        "scales_of_codes": replace("transformer.h.0.mlp.c_fc.SCB", np.zeros(32, np.float32)),
        "transposed": replace(word, np.zeros((8, 260), np.float32)),
        "flat": replace(word, np.zeros(2080, np.float32)),
        "empty": replace(word, np.zeros((0, 8), np.float32)),
        "missing": lambda tensors: tensors.pop(bias),
        "not_a_number": poison(float("nan")),
        "infinite": poison(float("-inf")),
        "other_output": replace("lm_head.weight", np.ones((260, 8), np.float32)),
    }


def _headers() -> dict[str, Any]:
    def entry(**changes: Any) -> Json:
        return {"wte": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]} | changes}

    return {
        "beyond_the_end": entry(shape=[4, 2], data_offsets=[0, 32]),
        "negative": entry(data_offsets=[-16, 0]),
        "fraction": entry(data_offsets=[0.0, 16.0]),
        "huge_shape": entry(shape=[1 << 40, 1 << 40]),
        "shape_and_offsets": entry(shape=[3, 2]),
        "unknown_type": entry(dtype="PICKLE"),
        "overlap": entry() | {"wpe": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}},
        "list": [],
        "no_json": b"\x80\x04cos\nsystem\n",
        "deep": b"[" * 100_000,
        "key_twice": b'{"a": {}, "a": {}}',
        "eight_bits": entry(dtype="F8_E4M3", shape=[4, 4]),
    }


def _folders() -> dict[str, Callable[[Path, Path], object]]:
    def link(name: str) -> Callable[[Path, Path], object]:
        def change(folder: Path, canary: Path) -> None:
            (folder / name).unlink()
            (folder / name).symlink_to(canary)

        return change

    return {
        "linked_tokenizer": link("tokenizer.json"),
        "linked_weights": link("model.safetensors"),
        "linked_generation_config": link("generation_config.json"),
        "fifo": lambda folder, _: os.mkfifo(folder / "added_tokens.json"),
        "code": lambda folder, _: (folder / "modeling_gpt2.py").write_text("import os"),
        "nested": lambda folder, _: (folder / "original").mkdir(),
        "two_kinds_of_weights": lambda folder, _: (folder / "model-00001-of-00001.safetensors").write_bytes(
            (folder / "model.safetensors").read_bytes()
        ),
        "no_weights": lambda folder, _: (folder / "model.safetensors").unlink(),
        "empty_weights": lambda folder, _: (folder / "model.safetensors").write_bytes(b""),
        "cut_weights": lambda folder, _: (folder / "model.safetensors").write_bytes(
            (folder / "model.safetensors").read_bytes()[:-100]
        ),
        "no_utf8": lambda folder, _: (folder / "tokenizer_config.json").write_bytes(b'{"a": "\xff\xfe"}'),
        "no_json": lambda folder, _: (folder / "tokenizer.json").write_bytes(vocabulary()[:-5]),
        "spm_of_zeros": lambda folder, _: (folder / "tokenizer.model").write_bytes(b""),
    }


def _adapters() -> dict[str, Callable[[Path, Path], object]]:
    """Of the folder that holds a sound adapter."""

    def setting(key: str, value: Any) -> Callable[[Path, Path], object]:
        def change(place: Path, canary: Path) -> None:
            config = json.loads((place / PEFT_CONFIG).read_text()) | {key: value}
            (place / PEFT_CONFIG).write_text(json.dumps(config))

        return change

    def text(content: bytes) -> Callable[[Path, Path], object]:
        return lambda place, _: (place / PEFT_CONFIG).write_bytes(content)

    def linked(place: Path, canary: Path) -> None:
        (place / PEFT_WEIGHTS).unlink()
        (place / PEFT_WEIGHTS).symlink_to(canary)

    return {
        "endless_targets": setting("target_modules", "(a|aa)+$" * 20),
        "endless_ranks": setting("rank_pattern", {"(.*a){30}": 2}),
        "no_expression": setting("alpha_pattern", {"(": 2}),
        "greatest_rank": setting("r", 1 << 40),
        "no_number": setting("lora_alpha", 10**400),
        "layers_of_text": setting("layers_to_transform", ["/etc/passwd"]),
        "unknown_kind": setting("peft_type", "LOHA"),
        "own_modules": setting("modules_to_save", ["wte"]),
        "unknown_key": setting("on_load", "import os"),
        "deep": text(b"[" * 100_000),
        "no_json": text(b"{"),
        "a_list": text(b"[]"),
        "large": text(b'{"a": "' + b"x" * (2 << 20) + b'"}'),
        "linked_weights": linked,
        "fifo": lambda place, _: os.mkfifo(place / "adapter.lora.h5"),
        "no_weights": lambda place, _: (place / PEFT_WEIGHTS).unlink(),
        "no_config": lambda place, _: (place / PEFT_CONFIG).unlink(),
        "code": lambda place, _: (place / "adapter.py").write_text("import os"),
        "pickle": lambda place, _: (place / "adapter_model.bin").write_bytes(b"\x80\x02."),
        "cut_weights": lambda place, _: (place / PEFT_WEIGHTS).write_bytes((place / PEFT_WEIGHTS).read_bytes()[:-9]),
        "of_another_base": lambda place, _: save_file(
            {f"{ADAPTED}.lora_A.weight": np.ones((2, 3), np.float32),
             f"{ADAPTED}.lora_B.weight": np.ones((3, 2), np.float32)}, str(place / PEFT_WEIGHTS),
        ),
    }  # fmt: skip


def _config(change: Json) -> Attack:
    return _file("config.json", gpt2_config() | change)


def _tokenizer(change: Callable[[Json], object]) -> Attack:
    value = tokenizer_json()
    change(value)
    return _file("tokenizer.json", value)


def _index(table: Any) -> Attack:
    return _file(INDEX, table)


def _file(name: str, value: Any) -> Attack:
    def write(folder: Path, _canary: Path) -> None:
        write_checkpoint(folder)
        (folder / name).write_text(json.dumps(value))

    return write


def _tensors(change: Callable[[dict[str, np.ndarray]], object]) -> Attack:
    def write(folder: Path, _canary: Path) -> None:
        write_checkpoint(folder)
        tensors = gpt2_tensors()
        change(tensors)
        save_file(tensors, str(folder / "model.safetensors"))

    return write


def _header(header: Any) -> Attack:
    def write(folder: Path, _canary: Path) -> None:
        write_checkpoint(folder)
        write_safetensors(folder / "model.safetensors", header, bytes(16))

    return write


def _folder(change: Callable[[Path, Path], object]) -> Attack:
    def write(folder: Path, canary: Path) -> None:
        write_checkpoint(folder)
        change(folder, canary)

    return write


def _adapter(change: Callable[[Path, Path], object]) -> Attack:
    def write(folder: Path, canary: Path) -> None:
        write_checkpoint(folder)
        write_adapter(folder)
        change(folder / FOLDER, canary)

    return write


def write_adapter(folder: Path) -> None:
    """A sound adapter beside the checkpoint that `write_checkpoint` writes."""
    place = folder / FOLDER
    place.mkdir()
    out, inputs = gpt2_tensors()[f"{ADAPTED.removeprefix(PREFIX)}.weight"].shape[::-1]
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["c_fc"], "fan_in_fan_out": True}
    (place / PEFT_CONFIG).write_text(json.dumps(config))
    save_file(
        {f"{ADAPTED}.lora_A.weight": np.ones((2, inputs), np.float32),
         f"{ADAPTED}.lora_B.weight": np.ones((out, 2), np.float32)}, str(place / PEFT_WEIGHTS),
    )  # fmt: skip
