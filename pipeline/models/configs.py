"""Serialized Keras objects: every class they name must be on a list, and no string may lead to a file.

Keras's own safe mode refuses lambdas only; a tokenizer whose vocabulary is the path of a host file loads it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from farm.errors import ModelDamaged, ModelUnsafe
from pipeline.models.families import known_classes

VALUES = 200_000
# No name of a class, module or function is longer, and no other text of a configuration.
LONGEST_NAME = 200
LONGEST_TEXT = 65_536
KERAS_HUB_MODULE = re.compile(
    r"keras_(hub|nlp)(\.src|\.api)?(\.(models|tokenizers|layers|samplers|metrics))(\.[a-z0-9_]+)*"
)
REGISTERED = re.compile(r"keras_(?:hub|nlp)>(\w+)")
# Keys whose value Keras or KerasHub opens as a file when it is text.
FILE_KEYS = frozenset(
    "vocabulary merges proto vocab vocab_file vocabulary_file merges_file filepath file_path filename path dir"
    " directory directory_path asset assets weights weights_path checkpoint url saved_model idf_weights".split()
)
# Lists of tokens: text that is compared with the user's, never opened.
TOKEN_KEYS = frozenset({"unsplittable_tokens", "special_tokens", "vocabulary", "merges"})
CONFIG_FILE_NAME = re.compile(r"[a-z0-9_]{1,64}\.json")
# One pass whatever the text: a scheme is known by its last letter.
LEADS_TO_FILE = re.compile(r"^(/|~|\\\\|[A-Za-z]:[\\/])|(^|[/\\])\.\.([/\\]|$)|[A-Za-z0-9+.-]://|\x00|^file:")
SHARD = re.compile(r"model_\d{5}\.weights\.h5")
PLAIN_CLASSES = frozenset({"__tuple__"})


def check_object(value: Any, name: str) -> str:
    """Check a whole serialized object; its class name. `name` is the file's, for the sentences."""
    if not isinstance(value, dict) or not isinstance(value.get("class_name"), str):
        raise ModelDamaged(f"{name} describes no Keras object (no class_name); save the model again.")
    _Check(name).visit(without_compilation(value), key="")
    return str(value["class_name"])


def without_compilation(value: dict[str, Any]) -> dict[str, Any]:
    """The object without the optimizer, loss and metrics of its training: a conversion never loads them."""
    return {key: member for key, member in value.items() if key != "compile_config"}


def check_preset(value: Any, name: str, own_files: Collection[str]) -> str:
    """Check the object in a preset's file; its class name.

    own_files: names of the preset's files. keras-nlp before 0.15 wrote down where a preset's weights and assets lie;
    KerasHub finds them by their names, and never reads these entries.
    """
    if not isinstance(value, dict):
        raise ModelDamaged(f"{name} describes no Keras object; save the model again.")
    for key in ("weights", "assets"):
        stated = value.get(key)
        for file in stated if isinstance(stated, list) else [stated]:
            if file is not None and file not in own_files:
                raise ModelUnsafe(
                    f"{name} names {str(file)[:60]!r} under {key}, which is none of the preset's files; the model is"
                    " refused, get it from a source you trust."
                )
    return check_object({key: member for key, member in value.items() if key not in ("weights", "assets")}, name)


def check_shards(value: Any, name: str) -> None:
    """Check the table that says which part of sharded weights lies in which file: only files beside it."""
    table = value.get("weight_map") if isinstance(value, dict) else None
    files = (
        [file for entry in table.values() for file in (entry if isinstance(entry, list) else [entry])]
        if (isinstance(table, dict))
        else [None]
    )
    for file in files:
        if not isinstance(file, str) or not SHARD.fullmatch(file):
            raise ModelUnsafe(f"{name} names {str(file)[:80]!r} as a part of the weights; the model is refused.")


class _Check:
    """One pass over a file's values."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._left = VALUES

    def visit(self, value: Any, key: str) -> None:
        self._left -= 1
        if self._left < 0:
            raise self._refusal(f"holds more than {VALUES} values")
        if isinstance(value, dict):
            self._object(value, key)
        elif isinstance(value, list):
            if key in TOKEN_KEYS and all(isinstance(item, str) for item in value):
                return
            for item in value:
                self.visit(item, key)
        elif isinstance(value, str):
            self._text(value, key)

    def _object(self, value: dict[str, Any], key: str) -> None:
        if key == "vocabulary" and all(isinstance(number, int) for number in value.values()):
            return  # token -> id
        if any(value.get(field) is not None for field in ("class_name", "registered_name")):
            self._named(value)
        elif isinstance(value.get("module"), str):
            raise self._refusal(f"names the module {value['module'][:60]!r} without a class")
        for field, member in value.items():
            if field not in ("module", "class_name", "registered_name"):
                self.visit(member, field)

    def _named(self, value: dict[str, Any]) -> None:
        class_name, module, registered = (value.get(field) for field in ("class_name", "module", "registered_name"))
        if not all(field is None or isinstance(field, str) for field in (class_name, module, registered)):
            raise self._refusal("names a class by something that is no text")
        if any(len(field) > LONGEST_NAME for field in (class_name, module, registered) if field is not None):
            raise self._refusal(f"names a class by more than {LONGEST_NAME} characters")
        if class_name in PLAIN_CLASSES and module in (None, "builtins") and registered in (None, class_name):
            return
        if class_name == "function":
            function = value.get("config")
            if isinstance(function, str) and len(function) > LONGEST_NAME:
                raise self._refusal(f"names a function by more than {LONGEST_NAME} characters")
            if not isinstance(function, str) or function not in known_classes().functions.get(module or "", ()):
                raise self._refusal(f"names the function {str(module)[:60]}.{str(function)[:60]}, which is not allowed")
            return
        if not _is_known(class_name or "", module, registered):
            shown = f"{module or '?'}.{class_name or '?'}"[:120]
            raise self._refusal(f"names the class {shown} ({str(registered)[:80]}), which is not allowed")

    def _text(self, value: str, key: str) -> None:
        if len(value) > LONGEST_TEXT:
            raise self._refusal(f"holds a text of {len(value)} characters under {key[:60]}")
        if key in FILE_KEYS:
            raise self._refusal(f"points to a file by {key}={value[:60]!r}")
        if key == "config_file" and not CONFIG_FILE_NAME.fullmatch(value):
            raise self._refusal(f"points to a file by {key}={value[:60]!r}")
        if LEADS_TO_FILE.search(value):
            raise self._refusal(f"points to a file or address by {key}={value[:60]!r}")
        if REGISTERED.fullmatch(value):
            raise self._refusal(f"names the registered object {value[:80]} as text")

    def _refusal(self, finding: str) -> ModelUnsafe:
        return ModelUnsafe(f"{self._name} {finding}; the model is refused unopened, get it from a source you trust.")


def _is_known(class_name: str, module: str | None, registered: str | None) -> bool:
    """Whether class, module and registered name are those of one allowed class; Keras looks it up by any of them."""
    known = known_classes()
    if registered and (match := REGISTERED.fullmatch(registered)):
        return (
            match[1] == class_name
            and class_name in known.keras_hub
            and module is not None
            and KERAS_HUB_MODULE.fullmatch(module) is not None
        )
    return registered in (None, "", class_name) and class_name in known.keras.get(module or "", ())
