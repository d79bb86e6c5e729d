"""`adapter_config.json` of a PEFT adapter: every key is read, or known not to change the result, or refused by name."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farm.adapter_files import PEFT_CONFIG
from farm.errors import AdapterUnusable
from pipeline.models import jsonfile

CONFIG_BYTES = 1 << 20
LONGEST_PATTERN, MOST_PATTERNS, MOST_RANK = 500, 10_000, 1 << 16
# What training alone, or PEFT itself, needs to know.
NEUTRAL = frozenset(
    "auto_mapping base_model_name_or_path revision inference_mode lora_dropout task_type peft_version megatron_config"
    " megatron_core loftq_config eva_config corda_config runtime_config qalora_group_size"
    " ensure_weight_tying".split()
)
# With these values a key changes nothing; with another the adapter is refused.
WITHOUT_EFFECT: Mapping[str, tuple[Any, ...]] = {
    "bias": ("none",), "use_dora": (False,), "lora_bias": (False,), "modules_to_save": ([],),
    "layer_replication": ([],), "trainable_token_indices": ([], {}), "target_parameters": ([],),
    "alora_invocation_tokens": ([],),
    "use_qalora": (False,), "use_bdlora": (False,),
    # The others change the base's weights too, which the adapter's files do not hold.
    "init_lora_weights": (True, False, "gaussian", "eva", "orthogonal"),
}  # fmt: skip
READ = frozenset(
    "peft_type r lora_alpha use_rslora fan_in_fan_out rank_pattern alpha_pattern target_modules layers_to_transform"
    " layers_pattern exclude_modules".split()
)
# Repetition of a group can take a regular expression forever.
ENDLESS = re.compile(r"\)[*+{?]|\(\?")


@dataclass(frozen=True)
class AdapterConfig:
    """A checked configuration. base: the name of the model that it was trained on, for people. targets: names of
    modules, or one regular expression of whole paths. transposed: the base keeps its matrices [in, out]."""

    base: str
    rank: int
    alpha: float
    by_root: bool
    transposed: bool
    ranks: Mapping[str, int]
    alphas: Mapping[str, float]
    targets: tuple[str, ...] | str
    layers: tuple[int, ...] | None

    def rank_of(self, module: str) -> int:
        """The rank of a module's matrices."""
        return int(_of_pattern(self.ranks, module, self.rank))

    def scale_of(self, module: str) -> float:
        """What the product of a module's matrices is multiplied by."""
        rank = self.rank_of(module)
        return _of_pattern(self.alphas, module, self.alpha) / (math.sqrt(rank) if self.by_root else rank)

    def is_target(self, module: str) -> bool:
        """Whether the adapter is meant to change a module, by its whole path."""
        if isinstance(self.targets, str):
            meant = re.fullmatch(self.targets, module) is not None
        else:
            meant = any(module == name or module.endswith(f".{name}") for name in self.targets)
        if not meant or self.layers is None:
            return meant
        numbers = re.findall(r"\.(\d+)\.", module)
        return bool(numbers) and int(numbers[0]) in self.layers


def read(path: Path) -> AdapterConfig:
    """Read and check; AdapterUnusable names key and value."""
    if path.stat().st_size > CONFIG_BYTES:
        raise AdapterUnusable(f"{PEFT_CONFIG} is larger than {CONFIG_BYTES >> 10} KiB; give the adapter's own file.")
    values = jsonfile.parse(path.read_bytes(), PEFT_CONFIG)
    if not isinstance(values, dict):
        raise AdapterUnusable(f"{PEFT_CONFIG} is no table of settings; save the adapter again.")
    if values.get("peft_type") != "LORA":
        raise _refused("peft_type", values.get("peft_type"), "only LORA can be merged")
    for key, value in values.items():
        if key in NEUTRAL or key in READ or value is None:
            continue
        if key not in WITHOUT_EFFECT:
            raise _refused(key, value, "the farm does not know it; remove the key if it does not change the result")
        if value not in WITHOUT_EFFECT[key]:
            raise _refused(key, value, "it cannot be merged; merge the adapter into its base with PEFT and submit that")
    layers = values.get("layers_to_transform")
    if values.get("layers_pattern") not in (None, "", [], "layers", "h"):
        raise _refused("layers_pattern", values["layers_pattern"], "only the model's own layers can be counted")
    return AdapterConfig(
        base=_base(str(values.get("base_model_name_or_path") or "")),
        rank=_rank("r", values.get("r")),
        alpha=_number("lora_alpha", values.get("lora_alpha", 8)),
        by_root=_flag("use_rslora", values.get("use_rslora")),
        transposed=_flag("fan_in_fan_out", values.get("fan_in_fan_out")),
        ranks={pattern: _rank("rank_pattern", value) for pattern, value in _patterns("rank_pattern", values)},
        alphas={pattern: _number("alpha_pattern", value) for pattern, value in _patterns("alpha_pattern", values)},
        # What was excluded by another pattern is missing on purpose.
        targets=_targets(values.get("target_modules")) if not values.get("exclude_modules") else (),
        layers=None if layers is None else _layers(layers),
    )


def _base(stated: str) -> str:
    """A hub's name as it is, of a folder of its owner's machine the last part."""
    name = stated.rstrip("/")
    return (name if name.count("/") <= 1 and not name.startswith((".", "/", "~")) else name.rpartition("/")[2])[:100]


def _of_pattern(table: Mapping[str, float], module: str, default: float) -> float:
    return next((value for key, value in table.items() if re.fullmatch(rf"(?:.*\.)?(?:{key})", module)), default)


def _patterns(key: str, values: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    table = values.get(key) or {}
    if not isinstance(table, dict) or len(table) > MOST_PATTERNS:
        raise _refused(key, table, "a table of modules is needed")
    return ((_pattern(key, pattern), value) for pattern, value in table.items())


def _pattern(key: str, pattern: str) -> str:
    """A regular expression that ends in time."""
    endless = ENDLESS.search(pattern) or sum(map(pattern.count, "*+{?")) > 3
    if len(pattern) > LONGEST_PATTERN or endless:
        raise _refused(key, pattern, "the pattern is too long or repeats too much; name the modules one by one")
    try:
        re.compile(pattern)
    except re.error as error:
        raise _refused(key, pattern, "it is no regular expression") from error
    return pattern


def _targets(value: Any) -> tuple[str, ...] | str:
    if isinstance(value, str) and value:
        return _pattern("target_modules", ".*" if value == "all-linear" else value)
    if not isinstance(value, list) or not value or not all(isinstance(name, str) and name for name in value):
        raise _refused("target_modules", value, "names of modules are needed")
    return tuple(value)


def _layers(value: Any) -> tuple[int, ...]:
    numbers = value if isinstance(value, list) else [value]
    if not all(type(number) is int for number in numbers):
        raise _refused("layers_to_transform", value, "numbers of layers are needed")
    return tuple(numbers)


def _rank(key: str, value: Any) -> int:
    if type(value) is not int or not 1 <= value <= MOST_RANK:
        raise _refused(key, value, f"a rank from 1 to {MOST_RANK} is needed")
    return value


def _number(key: str, value: Any) -> float:
    if type(value) not in (int, float) or not 0 < value < 1e9:
        raise _refused(key, value, "a number above 0 is needed")
    return float(value)


def _flag(key: str, value: Any) -> bool:
    if value is not None and type(value) is not bool:
        raise _refused(key, value, "true or false is needed")
    return bool(value)


def _refused(key: str, value: Any, why: str) -> AdapterUnusable:
    shown = json.dumps(value, default=str)
    shown = shown if len(shown) <= 60 else f"{shown[:60]}..."
    return AdapterUnusable(f"{PEFT_CONFIG} sets {key[:60]} to {shown}: {why}.")
