"""A checkpoint's `config.json`: every key is read by the family, or known not to change the result, or refused."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from farm.errors import ModelDamaged, UnsupportedArchitecture

DATA_FILES = ("pipeline/conversion/checkpoints/neutral_keys.toml",)

NEUTRAL_KEYS = Path(__file__).with_name("neutral_keys.toml")
MOST = 1 << 31
# Whole numbers in JSON may be larger than any float.
LARGEST = 1e12
_MISSING = object()


class Settings:
    """Reads keys and remembers which. place: where it stands in the file, for the sentences."""

    def __init__(self, values: Mapping[str, Any], place: str = "config.json") -> None:
        self._values = dict(values)
        self._place = place
        self._read: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return self._values.get(key) is not None

    def states(self, key: str) -> bool:
        """Whether the key is there, be it null."""
        return key in self._values

    def value(self, key: str, default: Any = _MISSING) -> Any:
        """The key's value, the default where it is absent or null; ModelDamaged where there is no default either."""
        self._read.add(key)
        found = self._values.get(key)
        if found is not None:
            return found
        if default is _MISSING:
            raise ModelDamaged(f"{self._place} does not say {key}; copy the model's own config.json.")
        return default

    def natural(self, key: str, default: Any = _MISSING) -> int:
        """A whole number from 1 on."""
        found = self.value(key, default)
        if type(found) is not int or not 1 <= found < MOST:
            raise self._wrong(key, found, f"a whole number from 1 to {MOST - 1}")
        return found

    def number(self, key: str, default: Any = _MISSING) -> float:
        """A number above 0."""
        found = self.value(key, default)
        if type(found) not in (int, float) or not 0 < found < LARGEST:
            raise self._wrong(key, found, "a number above 0")
        return float(found)

    def flag(self, key: str, default: Any = _MISSING) -> bool:
        """True or false."""
        found = self.value(key, default)
        if type(found) is not bool:
            raise self._wrong(key, found, "true or false")
        return found

    def text(self, key: str, default: Any = _MISSING) -> str:
        """A string."""
        found = self.value(key, default)
        if not isinstance(found, str) or len(found) > 100:
            raise self._wrong(key, found, "a short text")
        return found

    def table(self, key: str) -> Settings | None:
        """A table of its own, None where there is none."""
        found = self.value(key, None)
        if found is None:
            return None
        if not isinstance(found, dict):
            raise self._wrong(key, found, "a table")
        return Settings(found, f"{key} in {self._place}")

    def items(self, key: str, count: int) -> list[Any] | None:
        """A list with one entry a layer, or what else `count` counts; None where there is none."""
        found = self.value(key, None)
        if found is None:
            return None
        if not isinstance(found, list) or len(found) != count:
            raise self._wrong(key, found, f"a list of {count} entries")
        return found

    def require(self, key: str, wanted: Any, default: Any) -> None:
        """UnsupportedArchitecture unless the key has that value, the only one that the decoder can express."""
        found = self.value(key, default)
        if found != wanted:
            raise self.unsupported(key, found)

    def unsupported(self, key: str, value: Any) -> UnsupportedArchitecture:
        """The refusal of a setting by key and value."""
        return UnsupportedArchitecture(
            f"{self._place} sets {key} to {_shown(value)}, which the farm cannot express; give a model without it."
        )

    def disputed(self, key: str, why: str) -> UnsupportedArchitecture:
        """The refusal of a setting that does not mean one thing: why, and what to do."""
        return UnsupportedArchitecture(f"{self._place} sets {key} to {_shown(self._values.get(key))}: {why}.")

    def finish(self) -> None:
        """UnsupportedArchitecture names the first key that nothing reads and that may change the result."""
        for key, value in self._values.items():
            if key not in self._read and value is not None and not _neutral(key, value):
                raise UnsupportedArchitecture(
                    f"{self._place} sets {key[:80]} to {_shown(value)}, which the farm does not know: the result could"
                    " be another model; remove the key if it does not change the model's result."
                )

    def _wrong(self, key: str, found: Any, wanted: str) -> ModelDamaged:
        return ModelDamaged(f"{self._place} gives {_shown(found)} for {key}, where {wanted} is needed; correct it.")


def _neutral(key: str, value: Any) -> bool:
    """Whether the key never changes the result, or not with that value."""
    table = neutral_keys()
    return key in table["always"] or (key in table["with_value"] and table["with_value"][key]["value"] == value)


@cache
def neutral_keys() -> dict[str, dict[str, Any]]:
    """The table of keys that do not change the result: always, and with one value."""
    return tomllib.loads(NEUTRAL_KEYS.read_text())


def _shown(value: Any) -> str:
    shown = json.dumps(value, default=str)
    return shown if len(shown) <= 60 else f"{shown[:60]}..."
