"""What is known about Keras's and KerasHub's classes without importing them: read from the data files beside this."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

DATA_FILES = ("pipeline/models/families.json", "pipeline/models/classes.json", "pipeline/models/presets.json")

FAMILIES = Path(__file__).with_name("families.json")
CLASSES = Path(__file__).with_name("classes.json")
PRESETS = Path(__file__).with_name("presets.json")


@dataclass(frozen=True)
class Family:
    """A family with a mapping to the decoder. model_types: the same family's names in Transformers checkpoints."""

    backbone: str
    name: str
    model_types: tuple[str, ...]


@dataclass(frozen=True)
class KnownClasses:
    """The classes and functions that a model file may name. keras and functions: by module."""

    keras: dict[str, frozenset[str]]
    keras_hub: frozenset[str]
    causal_lms: dict[str, str]
    functions: dict[str, frozenset[str]]


@dataclass(frozen=True)
class Preset:
    """A KerasHub preset: its backbone class and where it lies on Kaggle."""

    backbone: str
    handle: str


@functools.cache
def supported() -> dict[str, Family]:
    """The families that can be converted, by backbone class."""
    table = json.loads(FAMILIES.read_bytes())
    return {backbone: Family(backbone, entry["name"], tuple(entry["model_types"])) for backbone, entry in table.items()}


def supported_names() -> str:
    """The families for a sentence."""
    return ", ".join(sorted(family.name for family in supported().values()))


@functools.cache
def known_classes() -> KnownClasses:
    """The lists of allowed classes; `scripts/model-classes` writes them."""
    table = json.loads(CLASSES.read_bytes())
    return KnownClasses(
        keras={module: frozenset(names) for module, names in table["keras"].items()},
        keras_hub=frozenset(table["keras_hub"]),
        causal_lms=table["causal_lms"],
        functions={module: frozenset(names) for module, names in table["functions"].items()},
    )


@functools.cache
def presets() -> dict[str, Preset]:
    """Every preset name that KerasHub knows; `scripts/model-classes` writes them."""
    return {name: Preset(**entry) for name, entry in json.loads(PRESETS.read_bytes()).items()}
