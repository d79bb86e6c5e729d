"""From the files in `source/` to a KerasHub CausalLM in float32, whatever version and precision wrote them."""

from __future__ import annotations

import json
import sys
import tempfile
import traceback
import warnings
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import keras
import keras_hub

from farm.errors import ModelDamaged, NotCausalLM, UnsupportedArchitecture
from pipeline.conversion import prepared_preset
from pipeline.conversion.families import FAMILIES
from pipeline.conversion.mapping import unsupported_family
from pipeline.conversion.quick_loading import quick_loading
from pipeline.models import jsonfile

CausalLM = Any
Json = Any

KERAS_FILE = "model.keras"
PRESET_CONFIG = "config.json"
FLOAT32 = "float32"
OTHER_FLOATS = frozenset({"float16", "bfloat16", "mixed_float16", "mixed_bfloat16"})
QUANTIZED_POLICIES = frozenset({"QuantizedDTypePolicy", "QuantizedFloat8DTypePolicy", "GPTQDTypePolicy"})
POLICY_MAP = "DTypePolicyMap"
# What Keras, h5py and zipfile raise on files that are truncated or do not belong together.
READING_FAILURES = (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile)


def load_causal_lm(source: Path) -> CausalLM:
    """Load a preset folder, or the file `model.keras` in it.

    NotCausalLM, UnsupportedFamily and UnsupportedArchitecture before any weight is read where the configuration shows
    it; ModelDamaged when the files cannot be read.
    """
    keras_file = source / KERAS_FILE
    config = _read_keras_config(keras_file) if keras_file.is_file() else _read_preset_config(source)
    _refuse_quantized(config)
    _offer_keras_nlp_modules()
    with quick_loading() as assigned, warnings.catch_warnings():
        # Keras says so of every KerasHub task; its layers are built by their own call.
        warnings.filterwarnings("ignore", message=r"`build\(\)` was called on layer", category=UserWarning)
        # What it leaves unread is found below.
        warnings.filterwarnings("ignore", message="Skipping nested container", category=UserWarning)
        model = _load_keras_file(keras_file, config) if keras_file.is_file() else _load_preset(source, config)
    if not isinstance(model, keras_hub.models.CausalLM):
        raise NotCausalLM(
            f"The model is a {type(model).__name__} and not a KerasHub CausalLM; save the CausalLM that generates text."
        )
    require_weights(model, assigned)
    return model


def require_weights(model: CausalLM, assigned: Collection[int]) -> None:
    """ModelDamaged when a matrix was in none of the files: quick loading leaves zeros where Keras would draw."""
    for variable in model.weights:
        if len(variable.shape) >= 2 and "lora" not in variable.path and id(variable) not in assigned:
            raise ModelDamaged(
                f"The model's files hold no values for {variable.path}; save the model again or copy all its files."
            )


def _read_preset_config(source: Path) -> Json:
    try:
        return jsonfile.parse((source / PRESET_CONFIG).read_bytes(), PRESET_CONFIG)
    except OSError as error:
        raise ModelDamaged(f"{PRESET_CONFIG} cannot be read; save the preset again.") from error


def _read_keras_config(path: Path) -> Json:
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read(PRESET_CONFIG))
    except READING_FAILURES as error:
        raise ModelDamaged(
            "The .keras file cannot be read, it is cut or damaged; save the model again or copy the file again."
        ) from error


def _load_preset(source: Path, config: Json) -> CausalLM:
    class_name = str(config.get("class_name", "")) if isinstance(config, dict) else ""
    if class_name and class_name not in FAMILIES:
        generating = {cls.backbone_cls.__name__ for cls in _causal_lm_classes() if cls.backbone_cls is not None}
        if class_name in generating:
            raise unsupported_family(class_name)
        raise NotCausalLM(
            f"The preset holds a {class_name}, for which KerasHub has no CausalLM; give a model that generates text."
        )
    with prepared_preset.prepared_preset(source) as folder:
        try:
            return keras_hub.models.CausalLM.from_preset(str(folder), dtype=FLOAT32)
        except READING_FAILURES:
            # The tokenizer may be what KerasHub cannot load again: the backbone is tried alone.
            traceback.print_exc()
        try:
            backbone = keras_hub.models.Backbone.from_preset(str(folder), dtype=FLOAT32)
            return _task_of(backbone)(backbone=backbone, preprocessor=None)
        except READING_FAILURES as error:
            raise ModelDamaged(
                "The preset cannot be loaded: its weights do not fit its configuration, or are of a version of KerasHub"
                f" that {keras_hub.__version__} does not read; save it again with save_to_preset."
            ) from error


def _task_of(backbone: Any) -> type[Any]:
    """The class of language models with that backbone."""
    return next(cls for cls in _causal_lm_classes() if cls.backbone_cls is type(backbone))


def _load_keras_file(path: Path, config: Json) -> CausalLM:
    with tempfile.TemporaryDirectory(prefix="keras-") as folder:
        try:
            if any([_widen_floats(config), _state_tying(path, config)]):
                path = _with_config(path, config, Path(folder) / KERAS_FILE)
            return keras.saving.load_model(path, compile=False, safe_mode=True)
        except READING_FAILURES as error:
            raise ModelDamaged(
                "The .keras file cannot be loaded: its weights do not fit its configuration, or are of a version of"
                f" Keras that {keras.__version__} does not read; save the model again with Keras 3."
            ) from error


def _state_tying(path: Path, config: Json) -> bool:
    """Whether the configuration had to be told that output and embedding are one."""
    backbone = config["config"].get("backbone") if isinstance(config.get("config"), dict) else None
    if not isinstance(backbone, dict) or backbone.get("class_name") not in prepared_preset.FORGETFUL:
        return False
    with zipfile.ZipFile(path) as archive:
        if prepared_preset.WEIGHTS not in archive.namelist():
            return False
        with archive.open(prepared_preset.WEIGHTS) as weights:
            prepared_preset.state_tying(config, prepared_preset.has_one_embedding(weights))
    return True


def _causal_lm_classes() -> Iterator[type[Any]]:
    pending = [keras_hub.models.CausalLM]
    while pending:
        cls = pending.pop()
        yield cls
        pending += cls.__subclasses__()


def _nodes(value: Json) -> Iterator[dict[str, Any]]:
    """Every object in a JSON value."""
    pending = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            yield node
            pending += node.values()
        elif isinstance(node, list):
            pending += node


def _refuse_quantized(config: Json) -> None:
    for node in _nodes(config):
        if node.get("class_name") in QUANTIZED_POLICIES:
            raise UnsupportedArchitecture(
                "The model was quantized by Keras, whose codes are not the weights; give the model before quantization"
                " and let the recipe quantize it."
            )


def _widen_floats(config: Json) -> bool:
    """Set every dtype policy of a shorter float to float32, in place; whether there was one. A map of policies by layer
    becomes one policy.

    The reference must not be computed in less precision than the decoder has.
    """
    changed = False
    for node in _nodes(config):
        if node.get("class_name") == POLICY_MAP:
            node.update(module="keras", class_name="DTypePolicy", config={"name": FLOAT32}, registered_name=None)
            changed = True
        elif node.get("class_name") == "DTypePolicy" and node["config"]["name"] in OTHER_FLOATS:
            node["config"]["name"] = FLOAT32
            changed = True
        if isinstance(node.get("dtype"), str) and node["dtype"] in OTHER_FLOATS:
            node["dtype"] = FLOAT32
            changed = True
    return changed


def _with_config(path: Path, config: Json, copy: Path) -> Path:
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(copy, "w") as target:
        for member in archive.infolist():
            if member.filename == PRESET_CONFIG:
                target.writestr(PRESET_CONFIG, json.dumps(config))
                continue
            with archive.open(member) as reader, target.open(member.filename, "w", force_zip64=True) as writer:
                while chunk := reader.read(1 << 20):
                    writer.write(chunk)
    return copy


def _offer_keras_nlp_modules() -> None:
    """Let configurations find KerasHub's modules under KerasNLP's names.

    KerasHub registers its classes under both packages' names; only where a file gives no registered name does Keras
    import the module, which was `keras_nlp.models...` and later `keras_nlp.src.models...`.
    """
    if "keras_nlp" in sys.modules:
        return
    for name, module in list(sys.modules.items()):
        package, _, rest = name.partition(".")
        if package == "keras_hub":
            sys.modules[f"keras_nlp.{rest}" if rest else "keras_nlp"] = module
            if rest.startswith("src."):
                sys.modules.setdefault(f"keras_nlp.{rest.removeprefix('src.')}", module)
