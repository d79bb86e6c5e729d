from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from farm.errors import FileUnreadable
from pipeline.inference.model_info import ModelInfo
from pipeline.litert_lm import bundle, container
from pipeline.litert_lm.container import Section, SectionKind
from tests.fixtures import bound_models, litert_lm_files

TOKENIZER = b'{"version": "1.0"}'
Write = Callable[..., Path]


def generic(content: bytes) -> Section:
    return Section(SectionKind.GENERIC, lambda stream: stream.write(content))


def packed_tokenizer(content: bytes) -> Section:
    return Section(SectionKind.HF_TOKENIZER, lambda stream: stream.write(content))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file of these sections beside a tokenizer and a model of 40 bytes."""
    model = tmp_path / "some.tflite"
    model.write_bytes(b"TFL3" * 10)

    def written(*sections: Section, tokenizer: Section | None = None) -> Path:
        path = tmp_path / "model.litertlm"
        rest = [tokenizer or container.tokenizer_section(TOKENIZER), container.model_section(model)]
        container.write(path, [*sections, *rest], [])
        return path

    return written


def test_what_is_written_is_read(tmp_path: Path) -> None:
    info = bound_models.write_model_folder(tmp_path / "job")
    model, tokenizer = ((tmp_path / "job" / name).read_bytes() for name in ("model.tflite", "tokenizer.json"))
    path = litert_lm_files.pack(tmp_path / "job", tmp_path / "model.litertlm")
    found = bundle.read_description(path)
    assert found.info == info
    assert bundle.read_tokenizer(path) == tokenizer
    bundle.unpack_model(path, found.model_bytes, tmp_path / "out.tflite")
    assert (tmp_path / "out.tflite").read_bytes() == model


def test_a_file_of_another_program_is_refused(write: Write) -> None:
    for path in (write(), write(generic(b"a picture")), write(generic(b"x" * (bundle.LARGEST_DESCRIPTION + 1)))):
        with pytest.raises(FileUnreadable, match=r"another program made it.* run it with LiteRT-LM"):
            bundle.read_description(path)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"version": 2}, "version"),
        ({"model_bytes": -1}, "model_bytes"),
        ({"model_bytes": "many"}, "model_bytes"),
        ({"info": {}}, "info.name"),
    ],
)
def test_a_damaged_description_is_refused(write: Write, tmp_path: Path, change: dict[str, object], field: str) -> None:
    info: ModelInfo = bound_models.write_model_folder(tmp_path / "job")
    good = bundle.Description(model_bytes=40, info=info).model_dump(mode="json")
    with pytest.raises(FileUnreadable, match=f"{field} is wrong"):
        bundle.read_description(write(generic(json.dumps(good | change).encode())))


def test_a_model_larger_than_its_section_is_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="says that its model has 41 bytes, and holds 40"):
        bundle.unpack_model(write(), 41, tmp_path / "out.tflite")


def test_a_bomb_of_a_tokenizer_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "LARGEST_TOKENIZER", 1 << 16)
    content = b" " * (1 << 20)
    with pytest.raises(FileUnreadable, match="cut off or larger than"):
        bundle.read_tokenizer(write(tokenizer=container.tokenizer_section(content)))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "cut off or larger"),
        (b"12345678not packed", "damaged tokenizer"),
        ((9).to_bytes(8, "little") + zlib.compress(TOKENIZER), "cut off or larger"),
        (len(TOKENIZER).to_bytes(8, "little") + zlib.compress(TOKENIZER)[:-4], "cut off or larger"),
    ],
)
def test_a_damaged_tokenizer_is_refused(write: Write, content: bytes, sentence: str) -> None:
    with pytest.raises(FileUnreadable, match=sentence):
        bundle.read_tokenizer(write(tokenizer=packed_tokenizer(content)))


def test_a_tokenizer_of_another_kind_is_refused(write: Write) -> None:
    path = write(tokenizer=Section(SectionKind.SENTENCEPIECE, lambda stream: stream.write(b"pieces")))
    with pytest.raises(FileUnreadable, match=r"holds no tokenizer\.json"):
        bundle.read_tokenizer(path)
