"""The static check of a model's files: refuses what is unsafe, damaged or not convertible before TensorFlow starts."""

from __future__ import annotations

import json
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from farm import sources
from farm.errors import ModelDamaged, ModelEmpty, ModelUnsafe, NotCausalLM, UnsupportedFamily
from pipeline.models import archives, assets, configs, families, hdf5, jsonfile, metadata, safetensors

FOLDERS = frozenset({"assets", "assets/tokenizer"})


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
        if len(listing) > 1:
            raise ModelUnsafe(
                f"The model holds other files beside {sources.KERAS_FILE}; it is refused, give one form only."
            )
        form, backbone = "keras", _check_keras_file(listing[sources.KERAS_FILE], scratch)
    else:
        form, backbone = "preset", _check_preset(listing)
    metadata.read(folder)
    _require_supported(backbone)
    return Checked(form, backbone, len(listing), sum(path.stat().st_size for path in listing.values()))


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


def _check_preset(listing: dict[str, Path]) -> str:
    """The backbone's class."""
    if sources.CONFIG not in listing:
        raise ModelEmpty(f"The model has no {sources.CONFIG}; give a folder that save_to_preset wrote.")
    config = _json(listing, sources.CONFIG)
    transformers = sources.is_transformers(config)
    for name, path in listing.items():
        if not sources.belongs(name, transformers=transformers):
            raise ModelUnsafe(f"The model holds {name[:80]!r}, a file that no preset has; the model is refused.")
        _check_member(name, path)
    if transformers:
        return _backbone_of(config, listing)
    if not any(name.endswith(".weights.h5") for name in listing):
        raise ModelDamaged("The preset has no model.weights.h5; save or copy the model again.")
    for name in ("config.json", "task.json", "preprocessor.json", "tokenizer.json"):
        if name in listing:
            configs.check_object(_json(listing, name), name)
    return str(config["class_name"])


def _check_member(name: str, path: Path) -> None:
    if name.endswith(".h5"):
        hdf5.check(path, name)
    elif name.endswith(".safetensors"):
        safetensors.check(path, name)
    elif name.startswith("assets/") or name in ("vocab.json", "merges.txt", "tokenizer.model"):
        assets.check(_bounded(path, name, jsonfile.VOCABULARY_BYTES), name)
    elif name == "model.weights.json":
        configs.check_shards(_json({name: path}, name), name)
    else:
        jsonfile.parse(_bounded(path, name, jsonfile.VOCABULARY_BYTES), name, limit=jsonfile.VOCABULARY_BYTES)


def _backbone_of(config: dict[str, Any], listing: dict[str, Path]) -> str:
    """The KerasHub class that a Transformers checkpoint is converted to."""
    if not any(name.endswith(".safetensors") for name in listing):
        raise ModelDamaged("The Transformers checkpoint has no .safetensors file; save it with safe serialization.")
    for family in families.supported().values():
        if config["model_type"] in family.model_types:
            return family.backbone
    raise UnsupportedFamily(
        f"There is no mapping for Transformers checkpoints of the type {str(config['model_type'])[:60]!r}; supported"
        f" families: {families.supported_names()}."
    )


def _check_keras_file(path: Path, scratch: Path) -> str:
    """The backbone's class."""
    name = sources.KERAS_FILE
    with archives.open_archive(path, name) as archive:
        config = jsonfile.parse(archive.read("config.json", jsonfile.CONFIG_BYTES), f"config.json in {name}")
        class_name = configs.check_object(config, f"config.json in {name}")
        for member in archive.members:
            _check_archived(archive, member, scratch)
        if not any(member.endswith(".h5") for member in archive.members):
            raise ModelDamaged(f"{name} holds no weights; save the model again.")
    if class_name not in families.known_classes().causal_lms:
        raise NotCausalLM(
            f"The model is a {class_name[:60]}, not a KerasHub CausalLM; give a language model such as a GPT2CausalLM."
        )
    backbone = config["config"].get("backbone") if isinstance(config.get("config"), dict) else None
    if not isinstance(backbone, dict) or not isinstance(backbone.get("class_name"), str):
        raise ModelDamaged(f"config.json in {name} describes a {class_name} without a backbone; save the model again.")
    return str(backbone["class_name"])


def _check_archived(archive: archives.KerasArchive, member: str, scratch: Path) -> None:
    shown = f"{member} in {sources.KERAS_FILE}"
    if member.endswith(".h5"):
        unpacked = scratch / "unpacked.h5"
        try:
            archive.extract(member, unpacked)
            hdf5.check(unpacked, shown)
        finally:
            unpacked.unlink(missing_ok=True)
    elif member.startswith("assets/"):
        assets.check(archive.read(member, jsonfile.VOCABULARY_BYTES), shown)
    elif member == "model.weights.json":
        configs.check_shards(jsonfile.parse(archive.read(member, jsonfile.CONFIG_BYTES), shown), shown)
    elif member != "config.json":
        jsonfile.parse(archive.read(member, jsonfile.CONFIG_BYTES), shown)


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


def _json(listing: dict[str, Path], name: str) -> Any:
    return jsonfile.parse(_bounded(listing[name], name, jsonfile.CONFIG_BYTES), name)


def _bounded(path: Path, name: str, limit: int) -> bytes:
    """A file's content, its size looked at first."""
    size = path.stat().st_size
    if size > limit:
        raise jsonfile.too_large(name, size, limit)
    return path.read_bytes()
