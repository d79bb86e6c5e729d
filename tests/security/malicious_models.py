"""Malicious model files: each attack by name, as a function that writes it into a source folder.

`canary` is a FIFO outside of the model: whoever opens it, in Python or in C, waits forever.
"""

from __future__ import annotations

import base64
import json
import marshal
import os
import pickle
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.security.model_files import (
    Json,
    backbone,
    causal_lm,
    hub_object,
    keras_object,
    preprocessor,
    tokenizer,
    vocabulary,
    with_value,
    write_checkpoint,
    write_keras,
    write_preset,
)

Attack = Callable[[Path, Path], None]
BACKBONE_NAME = "config.backbone.config.name"
LAYER = "config.backbone.config.extra_layer"
TOKENIZER = "config.preprocessor.config.tokenizer"


class _Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("echo executed",)


def objects(canary: str) -> dict[str, Json]:
    """`config.json` documents that must be refused, for a `.keras` file."""
    code = base64.b64encode(marshal.dumps(compile("__import__('os').system('id')", "x", "exec"))).decode()
    marshalled = {"class_name": "__lambda__", "config": {"code": code, "defaults": None, "closure": None}}
    lm = causal_lm()
    layer = {
        "lambda": keras_object("keras.layers", "Lambda", {"function": marshalled}, None),
        "lambda_by_source_module": keras_object("keras.src.layers.core.lambda_layer", "Lambda", {}, None),
        "lambda_of_tf_keras": keras_object("tensorflow.keras.layers", "Lambda", {}, None),
        "marshalled_function": marshalled,
        "saved_model_layer": keras_object("keras.layers", "TFSMLayer", {"filepath": canary}, None),
        "torch_module": keras_object("keras.layers", "TorchModuleWrapper", {"module": "x"}, None),
        "flax_layer": keras_object("keras.layers", "FlaxLayer", {}, None),
        "jax_layer": keras_object("keras.layers", "JaxLayer", {}, None),
        "string_lookup_file": keras_object("keras.layers", "StringLookup", {"vocabulary": canary}, None),
        "text_vectorization_file": keras_object("keras.layers", "TextVectorization", {"vocabulary": canary}, None),
        "os_system": keras_object("os", "function", {}, "function") | {"config": "system"},
        "builtins_eval": keras_object("builtins", "function", {}, "eval") | {"config": "eval"},
        "builtins_exec_as_class": keras_object("builtins", "exec", {"source": "1"}, None),
        "builtins_getattr": keras_object("builtins", "getattr", {}, "getattr"),
        "upload_function": keras_object("builtins", "function", {}, "x") | {"config": "keras_hub>upload_preset"},
        "keras_function_outside_list": keras_object("keras.utils", "function", {}, None) | {"config": "get_file"},
        "popen": keras_object("subprocess", "Popen", {"args": ["id"]}, None),
        "rmtree": keras_object("shutil", "rmtree", {"path": "x"}, None),
        "pickle_loads": keras_object("pickle", "loads", {}, None),
        "numpy_load": keras_object("numpy", "load", {"file": canary}, None),
        "custom_package": keras_object("evil.layers", "Thing", {}, "evil>Thing"),
        "custom_module_for_known_class": keras_object("evil", "GPT2Backbone", {}, None),
        "custom_module_registered": keras_object("evil", "GPT2Backbone", {}, "keras_hub>GPT2Backbone"),
        "module_beside_models": keras_object(
            "keras_hub.src.utils.preset_utils", "GPT2Backbone", {}, "keras_hub>GPT2Backbone"
        ),
        "module_with_path": keras_object("keras_hub.src.models/../x", "GPT2Backbone", {}, "keras_hub>GPT2Backbone"),
        "other_class_registered": keras_object("subprocess", "Popen", {}, "keras_hub>GPT2Backbone"),
        "registered_function_as_class": hub_object("utils.preset_utils", "upload_preset", {}),
        "unknown_hub_class": hub_object("models.gpt2.gpt2_backbone", "EvilBackbone", {}),
        "no_module": {"class_name": "Lambda", "config": {}},
        "registered_only": {"registered_name": "evil>Thing", "config": {}},
        "module_only": {"module": "os", "config": {"x": 1}},
        "class_as_list": {"module": "keras.layers", "class_name": ["Lambda"], "config": {}},
        "numpy_value": {"class_name": "__numpy__", "config": {"value": [0], "dtype": "object"}},
        "typespec": {"class_name": "__typespec__", "spec_name": "x", "module": "evil", "config": []},
        "lambda_in_a_list": {"layers": [1, [keras_object("keras.layers", "Lambda", {}, None)]]},
        "unlisted_optimizer": keras_object("keras.optimizers", "Evil", {}, None),
        "legacy_layer": keras_object("keras.legacy", "Layer", {}, None),
    }
    text = {
        "absolute_path": canary, "path_up": "../../../etc/passwd", "path_up_inside": "x/../../etc/passwd",
        "home": "~/.ssh/id_rsa", "url": "https://example.invalid/x", "bucket": "gs://bucket/x", "file_url": f"file://{canary}",
        "windows_path": "C:\\Windows\\win.ini", "share": "\\\\host\\share", "zero_byte": "a\x00b",
        "registered_as_text": "keras_hub>upload_preset",
    }  # fmt: skip
    hub = "models"
    tokenizers = {
        "parseq_vocabulary": hub_object(f"{hub}.parseq.parseq_tokenizer", "PARSeqTokenizer", {"vocabulary": canary}),
        "bpe_vocabulary": with_value(tokenizer(), "config.vocabulary", canary),
        "bpe_relative_vocabulary": with_value(tokenizer(), "config.vocabulary", "passwd"),
        "bpe_merges": with_value(tokenizer(), "config.merges", canary),
        "sentencepiece_proto": hub_object(f"{hub}.llama.llama_tokenizer", "LlamaTokenizer", {"proto": canary}),
        "sentencepiece_inline_proto": hub_object(f"{hub}.llama.llama_tokenizer", "LlamaTokenizer", {"proto": "AAAA"}),
        "wordpiece_vocabulary": hub_object(f"{hub}.bert.bert_tokenizer", "BertTokenizer", {"vocabulary": canary}),
        "rwkv_vocabulary": hub_object(f"{hub}.rwkv7.rwkv7_tokenizer", "RWKVTokenizer", {"vocabulary": canary}),
        "config_file_up": with_value(tokenizer(), "config.config_file", "../../x.json"),
        "config_file_absolute": with_value(tokenizer(), "config.config_file", canary),
    }
    whole = {
        "lambda_loss_of_the_backbone": with_value(lm, "config.backbone.compile_config", layer["marshalled_function"]),
        "path_in_build_config": with_value(lm, "build_config.input_path", canary),
        "sequential_with_lambda": keras_object("keras", "Sequential", {"layers": [layer["lambda"]]}, None),
        "whole_model_evil": keras_object("evil", "Model", {}, "evil>Model"),
        "too_many_values": with_value(lm, LAYER, list(range(300_000))),
    }
    return (
        {f"layer: {name}": with_value(lm, LAYER, value) for name, value in layer.items()}
        | {f"text: {name}": with_value(lm, BACKBONE_NAME, value) for name, value in text.items()}
        | {f"tokenizer: {name}": with_value(lm, TOKENIZER, value) for name, value in tokenizers.items()}
        | {f"model: {name}": value for name, value in whole.items()}
    )


def _member(name: str, *, mode: int = stat.S_IFREG | 0o644, method: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("x")
    info.filename = info.orig_filename = name
    info.external_attr = mode << 16
    info.compress_type = method
    return info


ASSET = "assets/preprocessor/tokenizer/vocabulary.json"


def archives() -> dict[str, Attack]:
    """Attacks by the zip container."""
    members: dict[str, dict[str | zipfile.ZipInfo, bytes]] = {
        "path_up": {_member("../evil.json"): b"{}"},
        "path_up_in_assets": {_member("assets/../../merges.txt"): b""},
        "absolute": {_member("/etc/cron.d/x"): b""},
        "backslashes": {_member("..\\..\\evil"): b""},
        "drive": {_member("C:evil"): b""},
        "zero_byte_in_name": {_member("config.json\x00.txt"): b"{}"},
        "second_config": {_member("config.json"): b"{}"},
        "other_case": {_member("CONFIG.json"): b"{}"},
        "symbolic_link": {_member(ASSET, mode=stat.S_IFLNK | 0o777): b"/etc/passwd"},
        "device": {_member(ASSET, mode=stat.S_IFCHR | 0o666): b""},
        "pickle": {_member("model.pkl"): pickle.dumps(_Runs())},
        "python": {_member("assets/evil.py"): b"import os"},
        "shared_library": {_member("assets/tokenizer/evil.so"): b"\x7fELF"},
        "npz_weights": {_member("model.weights.npz"): b"PK"},
        "bomb": {_member(ASSET, method=zipfile.ZIP_DEFLATED): b" " * (32 << 20)},
        "lzma": {_member(ASSET, method=zipfile.ZIP_LZMA): vocabulary()},
        "long_name": {_member("assets/" + "a" * 300 + "/merges.txt"): b""},
        "many_members": {_member(f"assets/a{number}/merges.txt"): b"" for number in range(10_001)},
    }
    return {f"zip: {name}": _keras_with(members=entries) for name, entries in members.items()} | {
        "zip: encrypted": _encrypted,
        "zip: shards_elsewhere": _keras_with(
            members={"model.weights.json": json.dumps({"weight_map": {"/a": "../../etc/passwd"}}).encode()}
        ),
        "json: deep": _keras_with(config_bytes=b'{"class_name":"A","config":' + b"[" * 5000 + b"]" * 5000 + b"}"),
        "json: whitespace": _keras_with(config_bytes=b" " * (17 << 20) + json.dumps(causal_lm()).encode()),
        "json: key_twice": _keras_with(
            config_bytes=json.dumps(causal_lm())[:-1].encode() + b', "class_name": "Lambda"}'
        ),
    }


def _keras_with(**changes: Any) -> Attack:
    return lambda folder, _canary: write_keras(folder, **changes)


def _encrypted(folder: Path, _canary: Path) -> None:
    write_keras(folder)
    path = folder / "model.keras"
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.find(signature)
        data[start + offset] |= 1
    path.write_bytes(data)


def hdf5_files(canary: str) -> dict[str, Callable[[h5py.File], None]]:
    """Changes of the weight file that must be refused."""

    def external_storage(file: h5py.File) -> None:
        file.create_dataset("passwd", shape=(64,), dtype="u1", external=[(canary, 0, 64)])

    def virtual(file: h5py.File) -> None:
        layout = h5py.VirtualLayout(shape=(64,), dtype="u1")
        layout[:] = h5py.VirtualSource(canary, "data", shape=(64,))
        file.create_virtual_dataset("passwd", layout)

    def deep(file: h5py.File) -> None:
        file.create_group("/".join("g" * 60))

    def claims_much(file: h5py.File) -> None:
        file.create_dataset("huge", shape=(1 << 40,), dtype="f4", chunks=(1 << 20,), compression="gzip")

    def many_claims(file: h5py.File) -> None:
        for number in range(100):
            file.create_dataset(f"big{number}", shape=(4 << 20,), dtype="f4", chunks=(1 << 20,))

    def committed_type(file: h5py.File) -> None:
        file["type"] = np.dtype("f4")

    def large_attribute(file: h5py.File) -> None:
        group = file.create_group("attributes", track_order=True)
        group.attrs.create("big", np.zeros(2 << 20, np.uint8))

    return {
        "external_link": lambda file: file.__setitem__("x", h5py.ExternalLink(canary, "/data")),
        "soft_link": lambda file: file.__setitem__("x", h5py.SoftLink("/layers/dense")),
        "dangling_soft_link": lambda file: file.__setitem__("x", h5py.SoftLink("/nowhere")),
        "external_storage": external_storage,
        "virtual_dataset": virtual,
        "strings": lambda file: file.create_dataset("x", data="text") and None,
        "references": lambda file: file.create_dataset("x", data=[file.ref], dtype=h5py.ref_dtype) and None,
        "compound": lambda file: file.create_dataset("x", data=np.zeros(2, dtype=[("a", "f4"), ("b", "S90")])) and None,
        "deep_groups": deep,
        "huge_claim": claims_much,
        "many_claims": many_claims,
        "committed_type": committed_type,
        "large_attribute": large_attribute,
    }


def _preset_with(change: Callable[[Path, Path], object]) -> Attack:
    def write(folder: Path, canary: Path) -> None:
        write_preset(folder)
        change(folder, canary)

    return write


def _link(name: str) -> Callable[[Path, Path], None]:
    def change(folder: Path, canary: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(canary)

    return change


def _link_assets(folder: Path, canary: Path) -> None:
    (folder / "assets").rename(folder.parent / f"{folder.name}-assets")
    (folder / "assets").symlink_to(folder.parent / f"{folder.name}-assets", target_is_directory=True)


def _document(name: str, document: Callable[[str], Json]) -> Callable[[Path, Path], None]:
    def change(folder: Path, canary: Path) -> None:
        (folder / name).write_text(json.dumps(document(str(canary))))

    return change


def _checkpoint_with(name: str, data: bytes) -> Attack:
    def write(folder: Path, _canary: Path) -> None:
        write_checkpoint(folder)
        (folder / name).write_bytes(data)

    return write


def folders() -> dict[str, Attack]:
    """Attacks by a preset folder or a Transformers checkpoint."""
    lambda_layer = keras_object("keras.layers", "Lambda", {}, None)
    changes: dict[str, Callable[[Path, Path], object]] = {
        "pickle": lambda folder, _: (folder / "model.pkl").write_bytes(pickle.dumps(_Runs())),
        "python": lambda folder, _: (folder / "__init__.py").write_text("import os"),
        "nested_folder": lambda folder, _: (folder / "assets" / "more").mkdir(),
        "hidden_file": lambda folder, _: (folder / ".netrc").write_text(""),
        "linked_config": _link("config.json"),
        "linked_weights": _link("model.weights.h5"),
        "linked_vocabulary": _link("assets/tokenizer/vocabulary.json"),
        "linked_assets": _link_assets,
        "fifo": lambda folder, _: os.mkfifo(folder / "task.weights.h5"),
        "second_model": lambda folder, _: (folder / "model.keras").write_bytes(b"PK"),
        "shards_elsewhere": lambda folder, canary: (folder / "model.weights.json").write_text(
            json.dumps({"weight_map": {"/a": [str(canary)]}})
        ),
        "lambda_backbone": _document("config.json", lambda _: with_value(backbone(), "config.layer", lambda_layer)),
        "evil_backbone": _document("config.json", lambda _: keras_object("evil", "GPT2Backbone", {}, "evil>B")),
        "lambda_task": _document("task.json", lambda _: with_value(causal_lm(), LAYER, lambda_layer)),
        "tokenizer_path": _document("tokenizer.json", lambda canary: with_value(tokenizer(), "config.merges", canary)),
        "parseq": _document(
            "tokenizer.json",
            lambda canary: hub_object("models.parseq.parseq_tokenizer", "PARSeqTokenizer", {"vocabulary": canary}),
        ),
        "preprocessor_path": _document(
            "preprocessor.json", lambda canary: with_value(preprocessor(), "config.path", canary)
        ),
        "large_config": lambda folder, _: (folder / "config.json").write_text(" " * (17 << 20) + "{}"),
        "long_token": lambda folder, _: (folder / "assets/tokenizer/merges.txt").write_text("a" * 10_000),
    }
    return {f"preset: {name}": _preset_with(change) for name, change in changes.items()} | {
        "checkpoint: remote_code": _checkpoint_with("modeling_evil.py", b"import os"),
        "checkpoint: pickle": _checkpoint_with("pytorch_model.bin", pickle.dumps(_Runs())),
        "checkpoint: deep": _checkpoint_with("tokenizer.json", b"[" * 100_000),
        "checkpoint: huge_header": lambda folder, _: write_checkpoint(folder, b" " * (65 << 20), b""),
    }


def attacks(canary: Path) -> dict[str, Attack]:
    """All of them; every one must be refused as ModelUnsafe."""
    by_objects = {f"config {name}": _keras_with(config=document) for name, document in objects(str(canary)).items()}
    by_weights = {f"hdf5: {name}": _keras_with(weights=change) for name, change in hdf5_files(str(canary)).items()}
    return by_objects | archives() | by_weights | folders()
