"""Which files make up a local model, and their digest: the one answer for submit, fetch and the static check."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedReader
from pathlib import Path

from farm import adapter_files, digests
from farm.confined_files import HUB_BLOBS, ConfinedFolder, NotConfined, confined_model, hub_cache
from farm.errors import AdapterUnusable, ModelDamaged, ModelEmpty, ModelNotFound, ModelUnsafe
from farm.modelref import ModelKind, ModelRef

KERAS_FILE = "model.keras"
CONFIG = "config.json"
CONFIG_LIMIT = 16 << 20
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
ZIP = b"PK\x03\x04"
HEAD_BYTES = 16
# What is taken for a model: (mark, at which byte, what it is and what to hand in instead).
OTHER_FILES = (
    (b"GGUF", 0, "a GGUF file, which holds quantized weights; give the Keras model or the Transformers folder it was"
     " made from"),
    (b"\x89HDF\r\n\x1a\n", 0, "a file of weights alone (HDF5); give the whole model, as .keras file or preset"),
    (b"TFL3", 4, "a .tflite file already; farm inspect shows what is in it, farm run runs it"),
    (b"\x80\x02", 0, "a pickle, which runs code when it is read; save the model as .keras or as .safetensors"),
)  # fmt: skip

# All that KerasHub's `from_preset` reads of a folder that `save_to_preset` wrote.
PRESET_FILES = (
    CONFIG,
    "metadata.json",
    "task.json",
    "preprocessor.json",
    "tokenizer.json",
    "model.weights.h5",
    "task.weights.h5",
    "model.weights.json",
    "assets/tokenizer/vocabulary.json",
    "assets/tokenizer/merges.txt",
    "assets/tokenizer/vocabulary.spm",
    "assets/tokenizer/vocabulary.txt",
)
PRESET_SHARD = r"model_\d{5}\.weights\.h5"

# And of a Hugging Face Transformers checkpoint, which `from_preset` converts. It has no metadata.json of its own; its
# owner may put one there to tell the farm the mode and the template.
TRANSFORMERS_FILES = (
    CONFIG,
    "metadata.json",
    "generation_config.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "chat_template.json",
    "tokenizer.json",
    "tokenizer.model",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "model.safetensors",
    "model.safetensors.index.json",
)
# A whole model's weights, of Transformers and of a preset.
WHOLE = ("model.safetensors", "model.weights.h5")
TRANSFORMERS_SHARD = r"model-\d{5}-of-\d{5}\.safetensors"


def files(ref: ModelRef) -> dict[str, Path]:
    """The model's files by their names in the store, `/` between folders, with its adapter's; only what loading needs.

    `ref` must be of a local kind. ModelNotFound; ModelEmpty without a config.json; ModelUnsafe for what is no ordinary
    file or leads out of the folder; ModelDamaged when config.json is no JSON.
    """
    own = _own_files(ref)
    return own if ref.adapter is None else own | adapter_files.find(Path(ref.adapter))


def _own_files(ref: ModelRef) -> dict[str, Path]:
    path = Path(ref.value)
    if ref.kind is ModelKind.KERAS_FILE:
        if not path.exists():
            raise ModelNotFound(f"There is no model file {path}; check the path.")
        _refuse_special(path, path)
        _require_keras_file(path)
        return {KERAS_FILE: path}
    if not path.is_dir():
        raise ModelNotFound(f"There is no model folder {path}; check the path.")
    return _folder_files(path)


@contextmanager
def opened(ref: ModelRef) -> Iterator[dict[str, BufferedReader]]:
    """The model's files, its adapter's among them, open for reading, by their names in the store.

    Their content is what is to be read, once: the names may lead elsewhere at any time. Errors: see `files`.
    """
    path = Path(ref.value).resolve()
    # A .keras file its user may name by a link; behind that none is followed.
    start = path.parent if ref.kind is ModelKind.KERAS_FILE else path
    with ExitStack() as stack:
        folder = stack.enter_context(confined_model(start))
        listing = files(ref)
        if folder is None:
            raise ModelNotFound(f"There is no model {ref.value}; check the path.")
        streams = {}
        for name, shown in listing.items():
            if name not in adapter_files.NAMES:
                place = start / (path.name if ref.kind is ModelKind.KERAS_FILE else name)
                streams[name] = stack.enter_context(_open(folder, place, shown))
        adapter = {} if ref.adapter is None else stack.enter_context(adapter_files.opened(Path(ref.adapter)))
        yield streams | adapter


def _open(folder: ConfinedFolder, place: Path, shown: Path) -> BufferedReader:
    try:
        return folder.open_path(place)
    except NotConfined as error:
        if error.why == "outside":
            raise _leads_out(shown) from error
        if error.why == "special":
            raise _not_ordinary(shown) from error
        if error.why == "missing":
            raise ModelNotFound(f"The model's file {shown} is gone; submit the model once it is there.") from error
        raise ModelNotFound(f"The model's file {shown} cannot be read ({error.why}); let its reader do so.") from error


def places(ref: ModelRef) -> tuple[Path, ...]:
    """What of this machine a model is read from: a local model's file or folder with the files that a snapshot in a
    hub's cache links to, and the adapter's files."""
    adapter: tuple[Path, ...] = ()
    if ref.adapter is not None:
        # One that is gone is missed where the files are fetched, with its sentence.
        with suppress(AdapterUnusable):
            adapter = tuple(adapter_files.find(Path(ref.adapter)).values())
    if not ref.kind.local:
        return adapter
    path = Path(ref.value)
    model = hub_cache(path)
    return (path, *adapter) if model == path else (path, model / HUB_BLOBS, *adapter)


def digest(ref: ModelRef) -> str:
    """SHA-256 of the canonical JSON {name: {digest, size}}, the digest that the store gives the same files."""
    return digest_of(files(ref))


def digest_of(listing: dict[str, Path]) -> str:
    """The digest of files under their names."""
    return digest_of_listing(
        {name: {"digest": digests.of_file(path), "size": path.stat().st_size} for name, path in listing.items()}
    )


def digest_of_listing(listing: Mapping[str, Mapping[str, str | int]]) -> str:
    """The digest of files of which digest and size are known: {name: {"digest", "size"}}."""
    return digests.of_json(listing)


def belongs(name: str, *, transformers: bool) -> bool:
    """Whether a file of that name is part of a preset, or of a Transformers checkpoint, with an adapter or without."""
    names, shard = _names(transformers=transformers)
    return name in names or name in adapter_files.NAMES or re.fullmatch(shard, name) is not None


def is_transformers(config: object) -> bool:
    """Whether a config.json is that of a Transformers checkpoint; KerasHub tells the two apart by the same keys."""
    return isinstance(config, dict) and "registered_name" not in config and "model_type" in config


def _folder_files(folder: Path) -> dict[str, Path]:
    config = folder / CONFIG
    if not config.exists() and (folder / adapter_files.PEFT_CONFIG).exists():
        raise ModelEmpty(
            f"The folder {folder} holds a LoRA adapter without its base; submit the base model with --lora {folder}."
        )
    if not config.exists():
        raise ModelEmpty(
            f"The folder {folder} holds no Keras preset (there is no {CONFIG} in it); give a folder that save_to_preset"
            " wrote."
        )
    _refuse_special(config, folder)
    stated = _read_json(config)
    if _is_unzipped_model(stated):
        raise ModelDamaged(
            f"The folder {folder} is a .keras model that was saved with zipped=False; zip what is in it (zip -0 -r"
            f" ../model.keras . in that folder) and give the model.keras."
        )
    transformers = is_transformers(stated)
    _refuse_two_kinds(folder, transformers=transformers)
    names, shard = _names(transformers=transformers)
    shards = sorted(path.name for path in folder.iterdir() if re.fullmatch(shard, path.name))
    found = {name: folder / name for name in (*names, *shards) if _present(folder / name)}
    for path in found.values():
        _refuse_special(path, folder)
        _refuse_pointer(path)
    return dict(sorted(found.items()))


def _refuse_two_kinds(folder: Path, *, transformers: bool) -> None:
    """ModelDamaged where the weights of two models may lie: only one of them is that of config.json.

    Other formats of the same weights (`pytorch_model.bin`, `tf_model.h5`), as hubs have them, are passed over.
    """
    present = sorted(path.name for path in folder.iterdir() if is_weights(path.name))
    own = [name for name in present if is_weights(name, of_transformers=transformers)]
    other = [name for name in present if name not in own]
    whole, parts = [name for name in own if name in WHOLE], [name for name in own if name not in WHOLE]
    pair = (own, other) if other else (whole, parts)
    if own and all(pair):
        raise ModelDamaged(
            f"The folder {folder} holds {pair[0][0]} and {pair[1][0]}: which of them is the model cannot be told; leave"
            " one kind of weights in it."
        )


def is_weights(name: str, of_transformers: bool | None = None) -> bool:
    """Whether a file of that name holds a model's weights, for KerasHub, for Transformers or (None) for either."""
    kinds = (True, False) if of_transformers is None else (of_transformers,)
    return any(name == WHOLE[not kind] or re.fullmatch(_names(transformers=kind)[1], name) for kind in kinds)


def _names(*, transformers: bool) -> tuple[tuple[str, ...], str]:
    """The file names, and the pattern of the names of parts of the weights."""
    return (TRANSFORMERS_FILES, TRANSFORMERS_SHARD) if transformers else (PRESET_FILES, PRESET_SHARD)


def _present(path: Path) -> bool:
    """Whether there is anything of that name, be it a symbolic link that leads nowhere."""
    return path.exists() or path.is_symlink()


def _refuse_special(path: Path, root: Path) -> None:
    """Only ordinary files; symbolic links only to files inside `root` (a model file may itself be reached by one)."""
    real = path.resolve()
    root = hub_cache(root.resolve())
    if not real.exists():
        raise ModelNotFound(f"The model's file {path} is a symbolic link that leads nowhere; fix the link.")
    if not real.is_relative_to(root):
        raise _leads_out(path)
    if not stat.S_ISREG(real.stat().st_mode):
        raise _not_ordinary(path)


def _leads_out(path: Path) -> ModelUnsafe:
    return ModelUnsafe(f"The model's file {path} is a symbolic link out of the model's folder; copy the file itself.")


def _not_ordinary(path: Path) -> ModelUnsafe:
    return ModelUnsafe(f"The model's file {path} is not an ordinary file; give the model as ordinary files.")


def _read_json(path: Path) -> object:
    if path.stat().st_size > CONFIG_LIMIT:
        raise ModelUnsafe(f"The model's {path} is larger than {CONFIG_LIMIT >> 20} MiB; a model's config is small.")
    try:
        # Editors on Windows begin a text with a byte order mark.
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ModelDamaged(f"The model's {path} is not valid JSON; save or copy the model again.") from error


def _is_unzipped_model(config: object) -> bool:
    """Whether a folder's config.json is that of a whole language model, as a .keras file holds it."""
    settings = config.get("config") if isinstance(config, dict) else None
    return isinstance(settings, dict) and isinstance(settings.get("backbone"), dict)


def _refuse_pointer(path: Path) -> None:
    """ModelDamaged for what Git LFS leaves in the place of a file that was not fetched."""
    with path.open("rb") as stream:
        if stream.read(len(LFS_POINTER)) == LFS_POINTER:
            raise ModelDamaged(
                f"The model's file {path} is a pointer of Git LFS and not the file itself; run git lfs pull in the"
                " model's folder."
            )


def _require_keras_file(path: Path) -> None:
    """ModelDamaged names what a file is that is no .keras file, and what to hand in instead."""
    _refuse_pointer(path)
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if head.startswith(ZIP):
        return
    if path.name.endswith(adapter_files.KERAS_SUFFIX):
        raise ModelDamaged(
            f"The file {path} is a LoRA adapter without its base; submit the base model with --lora {path}."
        )
    kind = next((what for mark, place, what in OTHER_FILES if head[place : place + len(mark)] == mark), None)
    if kind is None and path.name.endswith(".safetensors"):
        kind = "a file of weights alone; give the folder that holds it with its config.json"
    if kind is None and path.suffix == ".keras":
        return  # damaged, as the check will say
    if kind is None:
        kind = "no .keras file; give a file that Keras 3 saved, or a model's folder"
    raise ModelDamaged(f"The file {path} is {kind}.")
