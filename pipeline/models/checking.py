"""The static check of a model's files: refuses what is unsafe, damaged or not convertible before TensorFlow starts."""

from __future__ import annotations

import json
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py

from farm import adapter_files, sources
from farm.errors import AdapterUnusable, ModelDamaged, ModelEmpty, ModelUnsafe, NotCausalLM, UnsupportedFamily
from pipeline.conversion.checkpoints import reading
from pipeline.conversion.checkpoints.reading import Checkpoint
from pipeline.models import (
    archives,
    assets,
    checkpoint_files,
    configs,
    families,
    hdf5,
    jsonfile,
    metadata,
    safetensors,
    sizes,
)
from pipeline.models.hdf5 import Totals
from pipeline.models.keras_adapter_file import read_layers
from pipeline.tokenizers import document

FOLDERS = frozenset({"assets", "assets/tokenizer", adapter_files.FOLDER})
# A preset's files that describe Keras objects.
PRESET_OBJECTS = ("config.json", "task.json", "preprocessor.json", "tokenizer.json")


@dataclass(frozen=True)
class Checked:
    """What a model's files are. form: `preset` or `keras`; backbone: KerasHub's class; `bytes` of all files."""

    form: str
    backbone: str
    files: int
    bytes: int

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self)))


def check(folder: Path, scratch: Path) -> Checked:
    """Check a source folder: a preset's files, or one `model.keras`.

    ModelUnsafe, ModelDamaged, ModelEmpty, NotCausalLM, UnsupportedFamily. `scratch` takes what is unpacked.
    """
    listing = _listing(folder)
    if sources.KERAS_FILE in listing:
        if not listing.keys() <= {sources.KERAS_FILE, *adapter_files.NAMES}:
            raise ModelUnsafe(
                f"The model holds other files beside {sources.KERAS_FILE}; it is refused, give one form only."
            )
        form, backbone = "keras", _check_keras_file(listing[sources.KERAS_FILE], scratch)
    else:
        form, backbone = "preset", _check_preset(folder, listing)
    if form == "keras" or not reading.is_checkpoint(folder):
        _check_adapter(folder)
    metadata.read(folder)
    _require_supported(backbone)
    return Checked(form, backbone, len(listing), sum(path.stat().st_size for path in listing.values()))


def _check_adapter(folder: Path) -> None:
    """An adapter beside a KerasHub model is KerasHub's, and whole. PEFT's is merged where a checkpoint is read."""
    place = folder / adapter_files.FOLDER
    keras_file = place / adapter_files.KERAS_FILE
    if not place.is_dir():
        return
    if not keras_file.is_file():
        raise AdapterUnusable(
            "A PEFT adapter fits a Transformers folder, and the base is a KerasHub model; give the folder that the"
            " adapter was trained on."
        )
    hdf5.check(keras_file, adapter_files.KERAS_FILE)
    with h5py.File(keras_file, "r", locking=False) as file:
        read_layers(file)


def _listing(folder: Path) -> dict[str, Path]:
    """The files by name; only ordinary files in the folders that a preset has."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode) and name in FOLDERS:
            continue
        if not stat.S_ISREG(mode):
            raise ModelUnsafe(f"The model holds {name[:80]!r}, which is no ordinary file; the model is refused.")
        found[name] = path
    if not found:
        raise ModelEmpty("The model has no files; give a folder that save_to_preset wrote, or a .keras file.")
    return found


def _check_preset(folder: Path, listing: dict[str, Path]) -> str:
    """The backbone's class."""
    if sources.CONFIG not in listing:
        raise ModelEmpty(f"The model has no {sources.CONFIG}; give a folder that save_to_preset wrote.")
    config = _json(listing, sources.CONFIG)
    transformers = sources.is_transformers(config)
    for name, path in listing.items():
        if not sources.belongs(name, transformers=transformers):
            raise ModelUnsafe(f"The model holds {name[:80]!r}, a file that no preset has; the model is refused.")
        _check_member(name, path, transformers=transformers)
    if transformers:
        return _check_checkpoint(folder, config, listing)
    if not any(name.endswith(".weights.h5") for name in listing):
        raise ModelDamaged("The preset has no model.weights.h5; save or copy the model again.")
    totals = _totals(listing)
    documents = {name: _json(listing, name) for name in PRESET_OBJECTS if name in listing}
    for name, described in documents.items():
        configs.check_preset(described, name, listing)
    _check_sizes(config, totals, _vocabulary(listing))
    return str(config["class_name"])


def _totals(listing: dict[str, Path]) -> Totals:
    """What the preset's weight files hold together."""
    found = [hdf5.check(path, name) for name, path in listing.items() if name.endswith(".weights.h5")]
    return Totals(sum(one.datasets for one in found), sum(one.elements for one in found))


def _check_sizes(backbone: dict[str, Any], totals: Totals, tokens: int | None) -> None:
    _require_supported(str(backbone["class_name"]))
    settings = backbone.get("config")
    if not isinstance(settings, dict):
        raise ModelDamaged("config.json describes a backbone without settings; save the model again.")
    sizes.check_sizes(str(backbone["class_name"]), settings, totals.datasets, totals.elements)
    rows = settings.get("vocabulary_size")
    if tokens is not None and type(rows) is int and tokens > rows:
        raise sizes.tokenizer_larger(tokens, rows)


def _vocabulary(listing: dict[str, Path]) -> int | None:
    """The tokens of a preset's vocabulary.json; None for a tokenizer of another kind."""
    name = "assets/tokenizer/vocabulary.json"
    return 1 + max(_json(listing, name, jsonfile.VOCABULARY_BYTES).values()) if name in listing else None


def _check_member(name: str, path: Path, *, transformers: bool) -> None:
    if name.endswith(".h5"):
        return  # looked at below, with what it holds
    if name.endswith(".safetensors"):
        safetensors.check(path, name)
    elif name.startswith("assets/") or name in ("vocab.json", "merges.txt", "tokenizer.model"):
        assets.check(_bounded(path, name, jsonfile.VOCABULARY_BYTES), name)
    elif name == "model.weights.json":
        configs.check_shards(_json({name: path}, name), name)
    else:
        limit = checkpoint_files.LIMITS.get(name, jsonfile.VOCABULARY_BYTES)
        value = jsonfile.parse(_bounded(path, name, limit), name, limit=limit)
        if transformers:
            checkpoint_files.check_file(name, value)


def _check_checkpoint(folder: Path, config: dict[str, Any], listing: dict[str, Path]) -> str:
    """The backbone's class. The checkpoint is read as the conversion will read it."""
    if not any(name.endswith(".safetensors") for name in listing):
        raise ModelDamaged("The Transformers checkpoint has no .safetensors file; save it with safe serialization.")
    read = reading.read_checkpoint(folder)
    _require_room(read, listing)
    read.tensors.require_finite()
    return next(
        family.backbone for family in families.supported().values() if config["model_type"] in family.model_types
    )


def _require_room(read: Checkpoint, listing: dict[str, Path]) -> None:
    """Every token of the tokenizer has a row in the embedding."""
    if "tokenizer.json" not in listing:
        return
    stated = _json(listing, "tokenizer.json", jsonfile.VOCABULARY_BYTES)
    if isinstance(stated["model"]["vocab"], dict):
        document.within(stated, read.description.vocabulary_size)


def _check_keras_file(path: Path, scratch: Path) -> str:
    """The backbone's class."""
    name = sources.KERAS_FILE
    with archives.open_archive(path, name) as archive:
        config = jsonfile.parse(archive.read("config.json", jsonfile.CONFIG_BYTES), f"config.json in {name}")
        class_name = configs.check_object(config, f"config.json in {name}")
        found = [_check_archived(archive, member, scratch) for member in archive.members]
        if not any(member.endswith(".h5") for member in archive.members):
            raise ModelDamaged(f"{name} holds no weights; save the model again.")
    if class_name not in families.known_classes().causal_lms:
        raise NotCausalLM(
            f"The model is a {class_name[:60]}, not a KerasHub CausalLM; give a language model such as a GPT2CausalLM."
        )
    backbone = config["config"].get("backbone") if isinstance(config.get("config"), dict) else None
    if not isinstance(backbone, dict) or not isinstance(backbone.get("class_name"), str):
        raise ModelDamaged(f"config.json in {name} describes a {class_name} without a backbone; save the model again.")
    held = [one for one in found if one is not None]
    _check_sizes(backbone, Totals(sum(one.datasets for one in held), sum(one.elements for one in held)), None)
    return str(backbone["class_name"])


def _check_archived(archive: archives.KerasArchive, member: str, scratch: Path) -> Totals | None:
    """What a member with weights holds."""
    shown = f"{member} in {sources.KERAS_FILE}"
    if member.endswith(".h5"):
        unpacked = scratch / "unpacked.h5"
        try:
            archive.extract(member, unpacked)
            return hdf5.check(unpacked, shown)
        finally:
            unpacked.unlink(missing_ok=True)
    if member.startswith("assets/"):
        assets.check(archive.read(member, jsonfile.VOCABULARY_BYTES), shown)
    elif member == "model.weights.json":
        configs.check_shards(jsonfile.parse(archive.read(member, jsonfile.CONFIG_BYTES), shown), shown)
    elif member != "config.json":
        jsonfile.parse(archive.read(member, jsonfile.CONFIG_BYTES), shown)
    return None


def _require_supported(backbone: str) -> None:
    if backbone in families.supported():
        return
    if backbone in families.known_classes().causal_lms.values():
        raise UnsupportedFamily(
            f"There is no mapping for {backbone[:60]} yet; supported families: {families.supported_names()}."
        )
    raise NotCausalLM(
        f"The model's backbone is a {backbone[:60]}, for which KerasHub has no CausalLM; give a model of one of"
        f" these families: {families.supported_names()}."
    )


def _json(listing: dict[str, Path], name: str, limit: int = jsonfile.CONFIG_BYTES) -> Any:
    return jsonfile.parse(_bounded(listing[name], name, limit), name, limit=limit)


def _bounded(path: Path, name: str, limit: int) -> bytes:
    """A file's content, its size looked at first."""
    size = path.stat().st_size
    if size > limit:
        raise jsonfile.too_large(name, size, limit)
    return path.read_bytes()
