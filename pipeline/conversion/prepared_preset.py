"""A preset as KerasHub of today reads it: what other versions, editors and trainings left in its JSON files is cleaned.

Byte order marks, the entries `weights` and `assets` of keras-nlp before 0.15, and the settings of training, which
KerasHub would load with the code behind them. KerasHub's Llama forgets in its configuration that output and embedding
are one; the weights tell. Weights are linked, never copied.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import h5py

from pipeline.models import jsonfile

Json = Any

# What Keras reads of a serialized object.
OBJECT_KEYS = frozenset({"module", "class_name", "config", "registered_name", "build_config"})
OBJECTS = ("config.json", "task.json", "preprocessor.json", "tokenizer.json")
WEIGHTS = "model.weights.h5"
FORGETFUL = frozenset({"LlamaBackbone", "Llama3Backbone"})
TIED = "tie_word_embeddings"
EMBEDDINGS = ("reversible_embedding", "token_embedding")


@contextmanager
def prepared_preset(source: Path) -> Iterator[Path]:
    """A folder with the preset's files, there as long as the context lasts."""
    with TemporaryDirectory(prefix="preset-") as name:
        folder = Path(name)
        tied = (source / WEIGHTS).is_file() and has_one_embedding(source / WEIGHTS)
        for path in sorted(source.rglob("*")):
            target = folder / path.relative_to(source)
            if path.is_dir():
                target.mkdir()
            elif path.suffix == ".json":
                target.write_text(json.dumps(_cleaned(path, tied), ensure_ascii=False))
            else:
                target.symlink_to(path.resolve())
        yield folder


def has_one_embedding(weights: Path | IO[bytes]) -> bool:
    """Whether the weights hold a token embedding that is the output matrix too; False for what is no whole file."""
    found: list[int] = []

    def look(name: str, member: Any) -> None:
        parent, _, last = name.rpartition("/")
        if last == "vars" and parent.rpartition("/")[2] in EMBEDDINGS:
            found.append(len(member))

    # Damage is found, and named, when the weights are loaded.
    with suppress(OSError), h5py.File(weights, "r") as file:
        file.visititems(look)
    return found == [1]


def state_tying(value: Json, tied: bool) -> None:
    """Say in every backbone that forgot it whether output and embedding are one, in place."""
    pending = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            settings = node.get("config")
            if node.get("class_name") in FORGETFUL and isinstance(settings, dict):
                settings.setdefault(TIED, tied)
            pending += node.values()
        elif isinstance(node, list):
            pending += node


def _cleaned(path: Path, tied: bool) -> Json:
    value = jsonfile.parse(path.read_bytes(), path.name, limit=jsonfile.VOCABULARY_BYTES)
    if path.name in OBJECTS and isinstance(value, dict):
        state_tying(value, tied)
        return {key: member for key, member in value.items() if key in OBJECT_KEYS}
    return value
