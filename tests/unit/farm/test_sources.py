from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from farm import digests, sources
from farm.errors import ModelDamaged, ModelEmpty, ModelNotFound, ModelUnsafe
from farm.modelref import ModelKind, ModelRef


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    folder = tmp_path / "preset"
    (folder / "assets" / "tokenizer").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"registered_name": "keras_hub>GPT2Backbone"}))
    (folder / "model.weights.h5").write_bytes(b"weights")
    (folder / "assets" / "tokenizer" / "merges.txt").write_text("a b")
    (folder / "README.md").write_text("about")
    (folder / "train.py").write_text("import os")
    return folder


def reference(path: Path) -> ModelRef:
    return ModelRef(ModelKind.FOLDER if path.is_dir() else ModelKind.KERAS_FILE, str(path))


def test_only_what_loading_needs_belongs_to_a_preset(preset: Path) -> None:
    assert list(sources.files(reference(preset))) == ["assets/tokenizer/merges.txt", "config.json", "model.weights.h5"]


def test_shards_belong_to_a_preset(preset: Path) -> None:
    (preset / "model.weights.h5").unlink()
    (preset / "model_00000.weights.h5").write_bytes(b"part")
    (preset / "model_0.weights.h5").write_bytes(b"no part")
    assert "model_00000.weights.h5" in sources.files(reference(preset))
    assert "model_0.weights.h5" not in sources.files(reference(preset))


def test_a_checkpoint_has_other_files(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    for name in ("model.safetensors", "vocab.json", "pytorch_model.bin", "tf_model.h5"):
        (tmp_path / name).touch()
    assert list(sources.files(reference(tmp_path))) == ["config.json", "model.safetensors", "vocab.json"]


def test_a_keras_file_gets_the_store_s_name(tmp_path: Path) -> None:
    (tmp_path / "mine.keras").write_bytes(b"PK")
    assert sources.files(reference(tmp_path / "mine.keras")) == {"model.keras": tmp_path / "mine.keras"}


def test_the_digest_is_that_of_the_listing(preset: Path) -> None:
    (preset / "assets" / "tokenizer" / "merges.txt").unlink()
    listing = {
        "config.json": {
            "digest": digests.of_file(preset / "config.json"),
            "size": (preset / "config.json").stat().st_size,
        },
        "model.weights.h5": {"digest": digests.of_bytes(b"weights"), "size": 7},
    }
    assert sources.digest(reference(preset)) == digests.of_json(listing)


def test_the_digest_changes_with_content_and_not_with_what_does_not_belong(preset: Path) -> None:
    before = sources.digest(reference(preset))
    (preset / "README.md").write_text("changed")
    assert sources.digest(reference(preset)) == before
    (preset / "model.weights.h5").write_bytes(b"Weights")
    assert sources.digest(reference(preset)) != before


def test_a_link_inside_the_folder_is_followed(preset: Path) -> None:
    (preset / "model.weights.h5").rename(preset / "blob")
    (preset / "model.weights.h5").symlink_to("blob")
    assert "model.weights.h5" in sources.files(reference(preset))


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5", "assets/tokenizer/merges.txt"])
def test_a_link_out_of_the_folder_is_refused(preset: Path, name: str) -> None:
    (preset / name).unlink()
    (preset / name).symlink_to("/etc/passwd")
    with pytest.raises(ModelUnsafe, match="out of the model's folder"):
        sources.files(reference(preset))


def test_a_linked_folder_is_refused(preset: Path, tmp_path: Path) -> None:
    (preset / "assets").rename(tmp_path / "elsewhere")
    (preset / "assets").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelUnsafe, match="out of the model's folder"):
        sources.files(reference(preset))


def test_a_link_to_nowhere_is_named(preset: Path) -> None:
    (preset / "task.json").symlink_to("missing")
    with pytest.raises(ModelNotFound, match="leads nowhere"):
        sources.files(reference(preset))


def test_a_fifo_is_refused(preset: Path) -> None:
    os.mkfifo(preset / "task.json")
    with pytest.raises(ModelUnsafe, match="not an ordinary file"):
        sources.files(reference(preset))


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelEmpty, match="no Keras preset"):
        sources.files(reference(tmp_path))


@pytest.mark.parametrize("kind", [ModelKind.FOLDER, ModelKind.KERAS_FILE])
def test_a_missing_path_is_named(kind: ModelKind, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="check the path"):
        sources.files(ModelRef(kind, str(tmp_path / "missing")))


@pytest.mark.parametrize("text", ["{", "", "[" * 100_000])
def test_a_damaged_config_is_named(preset: Path, text: str) -> None:
    (preset / "config.json").write_text(text)
    with pytest.raises(ModelDamaged, match="not valid JSON"):
        sources.files(reference(preset))


def test_a_huge_config_is_not_read(preset: Path) -> None:
    with (preset / "config.json").open("wb") as stream:
        stream.truncate(sources.CONFIG_LIMIT + 1)
    with pytest.raises(ModelUnsafe, match="larger than"):
        sources.files(reference(preset))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("model.gguf", b"GGUF\x03\x00", "is a GGUF file"),
        ("mine.lora.h5", b"\x89HDF\r\n\x1a\n", "without its base; submit the base model with --lora"),
        ("story.weights.h5", b"\x89HDF\r\n\x1a\n", "weights alone"),
        ("model.tflite", b"\x1c\x00\x00\x00TFL3", "is a .tflite file already"),
        ("model.safetensors", b"\x10\x00\x00\x00\x00\x00\x00\x00{}", "give the folder"),
        ("model.keras", b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        ("key.p12", b"0\x82\x0a", "is no .keras file"),
    ],
)
def test_other_files_are_named_for_what_they_are(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelDamaged, match=words):
        sources.files(ModelRef(ModelKind.KERAS_FILE, str(tmp_path / name)))


def snapshot(root: Path) -> Path:
    """A model in a hub's cache: a folder of links to the blobs beside it."""
    folder = root / "models--org--name" / "snapshots" / "0123"
    blobs = root / "models--org--name" / "blobs"
    folder.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "abcd").write_text('{"model_type": "gpt2"}')
    (folder / "config.json").symlink_to("../../blobs/abcd")
    return folder


def test_a_snapshot_in_a_hubs_cache(tmp_path: Path) -> None:
    folder = snapshot(tmp_path)
    assert sources.files(ModelRef(ModelKind.FOLDER, str(folder))) == {"config.json": folder / "config.json"}


def test_a_link_out_of_the_models_own_cache(tmp_path: Path) -> None:
    folder = snapshot(tmp_path)
    (tmp_path / "secret").write_text("secret")
    (folder / "tokenizer.json").symlink_to(tmp_path / "secret")
    with pytest.raises(ModelUnsafe, match="symbolic link out of"):
        sources.files(ModelRef(ModelKind.FOLDER, str(folder)))


def test_a_model_that_was_saved_without_zip(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"class_name": "GPT2CausalLM", "config": {"backbone": {}}}')
    with pytest.raises(ModelDamaged, match="zipped=False"):
        sources.files(ModelRef(ModelKind.FOLDER, str(tmp_path)))


def test_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b'\xef\xbb\xbf{"model_type": "gpt2"}')
    (tmp_path / "model.safetensors").write_bytes(b"x")
    assert list(sources.files(ModelRef(ModelKind.FOLDER, str(tmp_path)))) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ("registered_name", ("model.weights.h5", "model.safetensors")),
        ("registered_name", ("model.weights.h5", "model_00000.weights.h5")),
        ("model_type", ("model.safetensors", "model.weights.h5")),
        ("model_type", ("model-00001-of-00002.safetensors", "model.safetensors")),
    ],
)
def test_a_folder_with_two_kinds_of_weights_is_refused(tmp_path: Path, config: str, names: tuple[str, str]) -> None:
    (tmp_path / "config.json").write_text(json.dumps({config: "llama"}))
    (tmp_path / names[0]).write_bytes(b"weights")
    # The same weights for other programs, as hubs have them beside.
    for other in ("tf_model.h5", "pytorch_model.bin", "task.weights.h5"):
        (tmp_path / other).write_bytes(b"weights")
    assert names[0] in sources.files(reference(tmp_path))
    (tmp_path / names[1]).write_bytes(b"weights")
    with pytest.raises(ModelDamaged, match="leave one kind of weights"):
        sources.files(reference(tmp_path))
