"""LoRA adapters are merged into what their own library computes with them, or refused with the reason."""

from __future__ import annotations

import json
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from farm import adapter_files, sources
from farm.errors import AdapterUnusable, FarmError
from farm.jobspec import TokenizerGraph
from farm.modelref import ModelKind, ModelRef
from pipeline.conversion import decoder_check
from pipeline.conversion.checkpoints.reading import read_checkpoint
from pipeline.conversion.opening import open_model
from pipeline.models import checking, fetching
from tests.fixtures.known_logits import TOLERANCE, require_logits
from tests.integration.conftest import ORACLE
from tests.integration.test_model_variants import TOKENS, gpt2, logits, pytestmark, tied_llama

__all__ = ["pytestmark"]
ADAPTERS = runpy.run_path(str(ORACLE / "adapter_cases.py"))["ADAPTERS"]
Change = Callable[[dict[str, Any], dict[str, np.ndarray]], None]


def joined(written: Path, adapters: Path, case: str, folder: Path, base: str | None = None) -> Path:
    """A checkpoint with an adapter beside it, as the fetch stage leaves it."""
    family, own, _ = ADAPTERS[case]
    reference = ModelRef(ModelKind.FOLDER, str(written / (base or f"{family}-{own}")), str(adapters / case / "adapter"))
    fetching.fetch(reference, folder, digest=None, scratch=folder, report=lambda _share, _activity: None)
    return folder


@pytest.mark.parametrize("case", ADAPTERS)
def test_a_merged_adapter_computes_what_peft_does(
    written: Path, adapters_written: Path, tmp_path: Path, case: str
) -> None:
    folder = joined(written, adapters_written, case, tmp_path / "source")
    (tmp_path / "scratch").mkdir()
    checking.check(folder, tmp_path / "scratch")
    base = written / "-".join(ADAPTERS[case][:2])
    expected, plain = np.load(adapters_written / case / "logits.npy"), np.load(base / "logits.npy")
    allowed = TOLERANCE * np.abs(expected).max()
    assert np.abs(plain - expected).max() > 100 * allowed
    checkpoint = read_checkpoint(folder)
    tokens = np.load(base / "tokens.npy").astype(np.int32)
    require_logits(checkpoint, tokens, expected)
    assert "LoRA adapter" in checkpoint.notes[-1]


def setting(key: str, value: object) -> Change:
    return lambda config, _tensors: config.update({key: value})


def cut(name: str) -> Change:
    def change(_config: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        del tensors[next(each for each in tensors if name in each)]

    return change


def renamed(config: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    for name in [each for each in tensors if "layers.1." in each]:
        tensors[name.replace("layers.1.", "layers.7.")] = tensors.pop(name)


def narrowed(config: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    """As of a base with smaller layers."""
    for name in [each for each in tensors if "lora_A" in each]:
        tensors[name] = tensors[name][:, :16].copy()


def spoilt(config: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    next(iter(tensors.values()))[0, 0] = np.nan


def coded(config: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    name = next(iter(tensors))
    tensors[name] = np.ones(tensors[name].shape, np.int8)


def another_part(config: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    tensors["base_model.model.model.embed_tokens.lora_embedding_A"] = np.ones((4, 61), np.float32)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (setting("peft_type", "IA3"), "IA3"), (setting("use_dora", True), "use_dora"),
        (setting("bias", "all"), "bias"), (setting("modules_to_save", ["lm_head"]), r"modules_to_save to ..lm_head"),
        (setting("init_lora_weights", "pissa"), "pissa"), (setting("of_a_later_version", 1), "of_a_later_version"),
        (setting("r", 0), "sets r to 0"), (setting("r", 8), "ranks differ: adapter_config.json says 8"),
        (setting("lora_alpha", "16"), "lora_alpha"), (setting("rank_pattern", {"(a+)+": 4}), "repeats too much"),
        (setting("target_modules", None), "target_modules"), (setting("target_modules", ["q_proj", "v_proj", "k_proj"]),
        "holds nothing"), (setting("trainable_token_indices", [1]), "trainable_token_indices"),
        (cut("lora_B"), "only lora_A"), (cut("layers.2.self_attn.v_proj.lora_A"), "only lora_B"),
        (renamed, r"does not have, first .*layers\.7"), (narrowed, r"\[32, 16\].*\[32, 32\].*another model"),
        (spoilt, "NaN"), (coded, "I8"), (another_part, "lora_embedding_A"),
    ],
)  # fmt: skip
def test_an_adapter_that_does_not_fit_is_refused(
    written: Path, adapters_written: Path, tmp_path: Path, change: Change, named: str
) -> None:
    folder = joined(written, adapters_written, "plain", tmp_path / "source")
    place = folder / adapter_files.FOLDER
    config = json.loads((place / adapter_files.PEFT_CONFIG).read_text())
    tensors = load_file(place / adapter_files.PEFT_WEIGHTS)
    change(config, tensors)
    (place / adapter_files.PEFT_CONFIG).write_text(json.dumps(config))
    save_file(tensors, place / adapter_files.PEFT_WEIGHTS)
    with pytest.raises(FarmError, match=named) as refused:
        checking.check(folder, tmp_path)
    assert not refused.value.retryable


def test_an_adapter_for_another_base_is_refused(written: Path, adapters_written: Path, tmp_path: Path) -> None:
    folder = joined(written, adapters_written, "plain", tmp_path / "source", base="GPT2-plain")
    with pytest.raises(AdapterUnusable, match=r"6 modules that the base does not have.*Llama-plain"):
        checking.check(folder, tmp_path)


def adapted(make: Callable[[], Any], path: Path, layers: list[str] | None = None) -> Any:
    """A model with KerasHub's adapter, saved apart from its base."""
    model = make()
    model.backbone.enable_lora(3, layers)
    random = np.random.default_rng(11)
    for weight in model.weights:
        if "lora" in weight.path:
            weight.assign(random.normal(0, 0.3, weight.shape))
    model.backbone.save_lora_weights(str(path))
    return model


@pytest.mark.parametrize(
    ("make", "whole_file", "layers"),
    [(gpt2, True, None), (gpt2, False, ["key", "query"]), (tied_llama, False, None)],
)
def test_kerashubs_adapter_is_switched_on(
    tmp_path: Path, make: Callable[[], Any], whole_file: bool, layers: list[str] | None
) -> None:
    file, model = tmp_path / "mine.lora.h5", make()
    changed = adapted(make, file, layers)
    if whole_file:
        model.save(tmp_path / "base.keras")
        reference = ModelRef(ModelKind.KERAS_FILE, str(tmp_path / "base.keras"), str(file))
    else:
        model.save_to_preset(tmp_path / "base")
        reference = ModelRef(ModelKind.FOLDER, str(tmp_path / "base"), str(file))
    found = opened(reference, tmp_path)
    expected = logits(changed)
    assert np.abs(logits(model) - expected).max() > 0.01 * np.abs(expected).max()
    decoded = decoder_check.run_decoder(found.model.description, found.model.weights, TOKENS)
    assert np.abs(decoded - expected).max() <= TOLERANCE * np.abs(expected).max()
    assert np.abs(found.forward.logits_after(TOKENS) - expected).max() <= TOLERANCE * np.abs(expected).max()
    assert "LoRA adapter" in found.notes[0]


def opened(reference: ModelRef, folder: Path) -> Any:
    source, scratch = folder / "source", folder / "scratch"
    scratch.mkdir()
    fetching.fetch(reference, source, digest=None, scratch=scratch, report=lambda _share, _activity: None)
    checking.check(source, scratch)
    return open_model(source, TokenizerGraph.PORTABLE)


def of_another_rank(file: h5py.File) -> None:
    file["lora/vars/rank"][()] = 4


def of_another_place(file: h5py.File) -> None:
    number = next(name for name in file["lora"] if name != "vars")
    file.move(f"lora/{number}", "lora/999")


def of_another_shape(file: h5py.File) -> None:
    number = next(name for name in file["lora"] if name != "vars")
    del file[f"lora/{number}/vars/lora_kernel_b"]
    file[f"lora/{number}/vars/lora_kernel_b"] = np.ones((3, 5), np.float32)


def without_one(file: h5py.File) -> None:
    number = next(name for name in file["lora"] if name != "vars")
    del file[f"lora/{number}/vars/lora_kernel_b"]


def linked(file: h5py.File) -> None:
    file["lora/5000"] = h5py.ExternalLink("/etc/passwd", "/")


@pytest.mark.parametrize(
    ("change", "named"),
    [(of_another_rank, "ranks differ"), (of_another_place, "layer 999.*no layer"), (of_another_shape, "another model"),
     (without_one, "no two matrices"), (linked, "link to elsewhere")],
)  # fmt: skip
def test_kerashubs_adapter_that_does_not_fit_is_refused(
    tmp_path: Path, change: Callable[[h5py.File], None], named: str
) -> None:
    file = tmp_path / "mine.lora.h5"
    adapted(gpt2, file).preprocessor = None
    gpt2().save_to_preset(tmp_path / "base")
    with h5py.File(file, "r+") as stream:
        change(stream)
    with pytest.raises(FarmError, match=named):
        opened(ModelRef(ModelKind.FOLDER, str(tmp_path / "base"), str(file)), tmp_path)


def test_adapters_of_the_other_library_are_refused(written: Path, adapters_written: Path, tmp_path: Path) -> None:
    adapted(gpt2, tmp_path / "mine.lora.h5")
    gpt2().save_to_preset(tmp_path / "base")
    for number, (base, adapter, named) in enumerate((
        (tmp_path / "base", adapters_written / "plain" / "adapter", "PEFT adapter fits a Transformers folder"),
        (written / "Llama-plain", tmp_path / "mine.lora.h5", "KerasHub's adapter fits a KerasHub preset"),
    )):  # fmt: skip
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(AdapterUnusable, match=named):
            opened(ModelRef(ModelKind.FOLDER, str(base), str(adapter)), folder)


def test_an_adapter_is_part_of_the_models_digest(written: Path, adapters_written: Path, tmp_path: Path) -> None:
    base, adapter = str(written / "Llama-plain"), tmp_path / "adapter"
    shutil.copytree(adapters_written / "plain" / "adapter", adapter)
    alone = sources.digest(ModelRef(ModelKind.FOLDER, base))
    first = sources.digest(ModelRef(ModelKind.FOLDER, base, str(adapter)))
    (adapter / adapter_files.PEFT_CONFIG).write_text((adapter / adapter_files.PEFT_CONFIG).read_text() + " ")
    assert len({alone, first, sources.digest(ModelRef(ModelKind.FOLDER, base, str(adapter)))}) == 3
