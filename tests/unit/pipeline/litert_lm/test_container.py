from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from farm.errors import FileUnreadable
from pipeline.inference import inspection
from pipeline.inference.interpreter import open_token_model
from pipeline.litert_lm import container, metadata, signatures
from pipeline.litert_lm.container import BLOCK, SectionKind
from tests.fixtures import dynamic_graphs


@pytest.fixture
def written(tmp_path: Path) -> Path:
    model = tmp_path / "model.tflite"
    model.write_bytes(b"TFL3" * 10_000)
    path = tmp_path / "model.litertlm"
    sections = [
        container.metadata_section(metadata.encode(300, 5, [7, 70_000])),
        container.tokenizer_section(b'{"version": "1.0"}'),
        container.model_section(model),
    ]
    container.write(path, sections, [("Authors", "tests")])
    return path


def test_sections_lie_where_the_header_says(written: Path) -> None:
    content = written.read_bytes()
    told, tokenizer, model = container.read_extents(written)
    assert [told.kind, tokenizer.kind, model.kind] == [
        SectionKind.LLM_METADATA, SectionKind.HF_TOKENIZER, SectionKind.TFLITE_MODEL,
    ]  # fmt: skip
    assert all(extent.begin % BLOCK == 0 for extent in (told, tokenizer, model))
    assert content[model.begin : model.end] == b"TFL3" * 10_000
    packed = content[tokenizer.begin : tokenizer.end]
    assert zlib.decompress(packed[8:]) == b'{"version": "1.0"}'
    assert int.from_bytes(packed[:8], "little") == len(b'{"version": "1.0"}')
    assert b"tf_lite_prefill_decode" in content[:BLOCK]


def test_the_metadata_are_what_the_generated_code_writes() -> None:
    # By LiteRT-LM's own builder 0.18.1, for these values.
    assert metadata.encode(4096, 1, [2]).hex() == "0a050a030a010112050a030a010228802032020a0058006000"


def test_a_file_that_is_cut_off_is_refused(written: Path) -> None:
    content = written.read_bytes()
    written.write_bytes(content[:-1])
    with pytest.raises(FileUnreadable, match="is cut off"):
        container.read_extents(written)
    written.write_bytes(content[:40])
    with pytest.raises(FileUnreadable, match=r"damaged \.litertlm|cut off"):
        container.read_extents(written)


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.litertlm"
    path.write_bytes(b"LITERT")
    with pytest.raises(FileUnreadable, match=r"is no \.litertlm file"):
        container.read_extents(path)


def test_a_file_with_a_million_sections_is_refused(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "MOST_SECTIONS", 2)
    with pytest.raises(FileUnreadable, match=r"damaged \.litertlm"):
        container.read_extents(written)


def test_no_damage_of_a_header_is_more_than_a_sentence(written: Path) -> None:
    whole = written.read_bytes()
    generator = np.random.default_rng(1)
    header = int.from_bytes(whole[24:32], "little")
    refused = 0
    for _ in range(500):
        content = bytearray(whole)
        for at in generator.integers(8, header, 4):
            content[at] = generator.integers(256)
        written.write_bytes(content)
        try:
            container.find_model(written)
        except FileUnreadable:
            refused += 1
    assert 100 < refused < 500


def test_a_container_without_tokenizer_is_refused(written: Path, tmp_path: Path) -> None:
    assert container.find_model(written) == container.read_extents(written)[2]
    bare = tmp_path / "bare.litertlm"
    container.write(bare, [container.model_section(tmp_path / "model.tflite")], [])
    with pytest.raises(FileUnreadable, match="holds no tokenizer"):
        container.find_model(bare)


def test_the_model_in_a_container_can_be_inspected(tmp_path: Path) -> None:
    path = dynamic_graphs.bind_graph("llama", tmp_path / "model.tflite")
    derived, packed = tmp_path / "derived.tflite", tmp_path / "model.litertlm"
    signatures.derive(path, open_token_model(path).contract, derived)
    container.write(packed, [container.tokenizer_section(b"{}"), container.model_section(derived)], [])
    found = inspection.inspect(packed)
    assert {signature.name for signature in found.signatures} == {"prefill", "decode"}
    prefill = next(signature for signature in found.signatures if signature.name == "prefill")
    assert "mask: float32[1,1,n,n]" in prefill.inputs
    assert found.file_bytes == derived.stat().st_size
    own = {size.kind: size.bytes for size in inspection.inspect(path).sizes}
    assert {size.kind: size.bytes for size in found.sizes}["float32 matrices"] == own["float32 matrices"]
