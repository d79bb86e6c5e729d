from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from farm.errors import FileUnreadable, SequenceTooLong
from pipeline.inference.archive import INFO_ASSET, MODEL_ASSET, TOKENIZER_ASSET, default_threads, open_language_model
from tests.fixtures import litert_lm_files
from tests.fixtures.bound_models import START_TOKEN, write_model_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_model_folder(tmp_path / "job")
    return tmp_path / "job"


def pack(folder: Path, package: Path, leave_out: str = "") -> Path:
    assets = {MODEL_ASSET: "model.tflite", TOKENIZER_ASSET: "tokenizer.json", INFO_ASSET: "model-info.json"}
    with zipfile.ZipFile(package, "w") as target:
        for asset, name in assets.items():
            if asset != leave_out:
                target.write(folder / name, asset)
    return package


def test_folder_file_and_package_write_the_same(folder: Path, tmp_path: Path) -> None:
    package = pack(folder, tmp_path / "app.apk")
    texts = {
        "".join(open_language_model(path).complete("the rain in ", 10))
        for path in (folder, folder / "model.tflite", package)
    }
    assert len(texts) == 1
    assert texts.pop()


def test_the_start_token_comes_first(folder: Path) -> None:
    model = open_language_model(folder)
    tokens = model.prompt_tokens("in")
    assert tokens[0] == START_TOKEN
    assert model.text is not None
    assert tokens[1:] == model.text.encode("in")


def test_too_long_a_completion_is_refused(folder: Path) -> None:
    with pytest.raises(SequenceTooLong):
        open_language_model(folder).complete("the", 100)


def test_nothing_stays_in_the_temporary_folder(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    model = open_language_model(pack(folder, tmp_path / "app.apk"))
    assert list((tmp_path / "tmp").iterdir()) == []
    assert "".join(model.complete("the", 3))


def test_a_model_without_tokenizer_takes_tokens_only(folder: Path) -> None:
    info = folder / "model-info.json"
    info.write_text(json.dumps(json.loads(info.read_text()) | {"tokenizer": None, "tokenizer_sha256": None}))
    (folder / "tokenizer.json").unlink()
    model = open_language_model(folder)
    assert model.tokens.step(3).shape == (300,)
    with pytest.raises(FileUnreadable, match="comes without a tokenizer, since the farm has none for GPT2"):
        model.prompt_tokens("the")


@pytest.mark.parametrize("asset", [MODEL_ASSET, TOKENIZER_ASSET, INFO_ASSET])
def test_a_package_without_one_of_its_parts_is_refused(folder: Path, tmp_path: Path, asset: str) -> None:
    with pytest.raises(FileUnreadable, match=f"holds no {asset}"):
        open_language_model(pack(folder, tmp_path / "app.apk", leave_out=asset))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("model.tflite", "holds no model.tflite"),
        ("tokenizer.json", "lacks its tokenizer.json beside it"),
        ("model-info.json", "lacks its model-info.json beside it"),
    ],
)
def test_a_folder_without_one_of_its_parts_is_refused(folder: Path, name: str, sentence: str) -> None:
    (folder / name).unlink()
    with pytest.raises(FileUnreadable, match=sentence):
        open_language_model(folder)


@pytest.mark.parametrize("name", ["model.tflite", "tokenizer.json"])
def test_one_flipped_bit_is_noticed(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    at = content.index(b'"in"') + 1 if name == "tokenizer.json" else len(content) - 100
    content[at] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(FileUnreadable, match="its SHA-256 differs"):
        open_language_model(folder)


def test_a_damaged_package_is_refused(folder: Path, tmp_path: Path) -> None:
    package = pack(folder, tmp_path / "app.apk")
    content = bytearray(package.read_bytes())
    content[2000] ^= 0xFF
    package.write_bytes(content)
    with pytest.raises(FileUnreadable, match="damaged package"):
        open_language_model(package)


def test_a_path_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="does not exist"):
        open_language_model(tmp_path / "none.apk")


def test_a_file_for_litert_lm_writes_the_same(folder: Path, tmp_path: Path) -> None:
    packed = litert_lm_files.pack(folder, tmp_path / "model.litertlm")
    found, own = open_language_model(packed), open_language_model(folder)
    assert "".join(found.complete("the rain in ", 10)) == "".join(own.complete("the rain in ", 10))
    assert found.info == own.info


def test_a_file_for_litert_lm_that_is_cut_is_refused(folder: Path, tmp_path: Path) -> None:
    packed = litert_lm_files.pack(folder, tmp_path / "model.litertlm")
    packed.write_bytes(packed.read_bytes()[:-1])
    with pytest.raises(FileUnreadable, match="is cut off"):
        open_language_model(packed)


@pytest.mark.parametrize("part", ["tokenizer", "model"])
def test_other_parts_than_described_are_noticed(folder: Path, tmp_path: Path, part: str) -> None:
    packed = litert_lm_files.pack(folder, tmp_path / "model.litertlm", changed=part)
    with pytest.raises(FileUnreadable, match=f"{part}.*its SHA-256 differs"):
        open_language_model(packed)


def test_threads_are_few() -> None:
    assert 1 <= default_threads() <= 4
