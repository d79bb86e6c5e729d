from __future__ import annotations

from pathlib import Path

import pytest

from farm import adapter_files
from farm.errors import AdapterUnusable, ModelEmpty
from farm.modelref import ModelKind, ModelRef
from farm.sources import belongs, files, places


@pytest.fixture
def peft(tmp_path: Path) -> Path:
    folder = tmp_path / "peft"
    folder.mkdir()
    for name in (adapter_files.PEFT_CONFIG, adapter_files.PEFT_WEIGHTS, "README.md"):
        (folder / name).write_text(name)
    return folder


def test_both_kinds_are_found_by_file_and_by_folder(peft: Path, tmp_path: Path) -> None:
    names = [f"adapter/{name}" for name in (adapter_files.PEFT_CONFIG, adapter_files.PEFT_WEIGHTS)]
    for path in (peft, peft / adapter_files.PEFT_CONFIG, peft / adapter_files.PEFT_WEIGHTS):
        assert list(adapter_files.find(path)) == names
    keras = tmp_path / "keras" / "mine.lora.h5"
    keras.parent.mkdir()
    keras.write_bytes(b"h5")
    for path in (keras, keras.parent):
        assert adapter_files.find(path) == {"adapter/adapter.lora.h5": keras}
    assert all(belongs(name, transformers=kind) for name in adapter_files.NAMES for kind in (True, False))


def test_what_is_no_adapter_is_said(peft: Path, tmp_path: Path) -> None:
    with pytest.raises(AdapterUnusable, match="There is no adapter"):
        adapter_files.find(tmp_path / "nowhere")
    (tmp_path / "text.txt").write_text("no")
    with pytest.raises(AdapterUnusable, match="is no adapter; give a PEFT"):
        adapter_files.find(tmp_path / "text.txt")
    (peft / adapter_files.PEFT_WEIGHTS).rename(peft / "adapter_model.bin")
    with pytest.raises(AdapterUnusable, match="pickle"):
        adapter_files.find(peft)
    (peft / adapter_files.PEFT_CONFIG).unlink()
    for name in ("one.lora.h5", "two.lora.h5"):
        (peft / name).write_bytes(b"h5")
    with pytest.raises(AdapterUnusable, match="holds 2 adapters"):
        adapter_files.find(peft)


def test_links_of_an_adapter_stay_in_its_folder(peft: Path, tmp_path: Path) -> None:
    keras, named = tmp_path / "mine.lora.h5", tmp_path / "named.lora.h5"
    keras.write_bytes(b"h5")
    named.symlink_to(keras)
    for path in (keras, named):
        with adapter_files.opened(path) as streams:
            assert {name: stream.read() for name, stream in streams.items()} == {"adapter/adapter.lora.h5": b"h5"}
    (peft / "blob").write_bytes(b"inside")
    weights = peft / adapter_files.PEFT_WEIGHTS
    weights.unlink()
    weights.symlink_to("blob")
    for path in (peft, peft / adapter_files.PEFT_CONFIG):
        with adapter_files.opened(path) as streams:
            assert streams[f"adapter/{adapter_files.PEFT_WEIGHTS}"].read() == b"inside"
    weights.unlink()
    weights.symlink_to(keras)
    with pytest.raises(AdapterUnusable, match="a symbolic link out of its folder"), adapter_files.opened(peft):
        pass


def test_an_adapter_instead_of_a_model_is_named(peft: Path) -> None:
    with pytest.raises(ModelEmpty, match="submit the base model with --lora"):
        files(ModelRef(ModelKind.FOLDER, str(peft)))


def test_a_stage_sees_the_adapters_files_and_nothing_beside_them(peft: Path, tmp_path: Path) -> None:
    wanted = (peft / adapter_files.PEFT_CONFIG, peft / adapter_files.PEFT_WEIGHTS)
    assert places(ModelRef(ModelKind.HUGGINGFACE, "hf://org/name", str(peft))) == wanted
    base = tmp_path / "base"
    base.mkdir()
    assert places(ModelRef(ModelKind.FOLDER, str(base), str(peft))) == (base, *wanted)
    assert places(ModelRef(ModelKind.FOLDER, str(base), str(tmp_path / "gone"))) == (base,)
