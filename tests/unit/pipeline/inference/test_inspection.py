from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from farm.errors import FileUnreadable
from pipeline.inference.archive import MODEL_ASSET
from pipeline.inference.inspection import inspect
from tests.fixtures.weightless_graphs import GPT2_LIKE, LLAMA_LIKE


def test_signatures_are_listed_with_their_tensors(gpt2_file: Path) -> None:
    found = inspect(gpt2_file)
    assert [signature.name for signature in found.signatures] == ["decode", "prefill_16", "prefill_4", "score_6"]
    decode = found.signatures[0]
    assert "tokens: int32[1,1]" in decode.inputs
    assert "kv_cache_v_1: float32[1,4,48,8]" in decode.outputs
    assert "logits: float32[1,1,300]" in decode.outputs


def test_sizes_add_up_to_the_file(gpt2_file: Path) -> None:
    found = inspect(gpt2_file)
    assert found.file_bytes == gpt2_file.stat().st_size
    assert sum(share.bytes for share in found.sizes) == found.file_bytes
    assert found.sizes[-1].kind == "graph"


def test_shared_weights_count_once(llama_file: Path) -> None:
    found = inspect(llama_file)
    by_kind = {share.kind: share for share in found.sizes}
    table = LLAMA_LIKE.vocabulary * LLAMA_LIKE.width
    assert by_kind["int8 matrices"].constants == 12
    assert 2 * table < by_kind["int8 matrices"].bytes < 2 * table + 20_000
    tables = [tensor for tensor in found.tensors if tensor.name.endswith("/embedding")]
    assert len({tensor.buffer for tensor in tables}) == 1
    assert len({tensor.subgraph for tensor in tables}) == 3
    assert {tensor.stored_bytes for tensor in tables} == {table}


def test_operators_have_versions_and_counts(llama_file: Path) -> None:
    decode = {(op.name, op.version): op.count for op in inspect(llama_file).operators if op.subgraph == 0}
    assert decode["FULLY_CONNECTED", 12] == 11
    assert decode["EMBEDDING_LOOKUP", 4] == 1


def test_everything_is_a_builtin(gpt2_file: Path) -> None:
    assert inspect(gpt2_file).custom_operators == ()


def test_a_flex_operator_is_seen(tmp_path: Path) -> None:
    from pipeline.conversion.binding.flatbuffer import Builtin, load_model, pack_model

    model = load_model(GPT2_LIKE.path)
    code = model.operatorCodes[0]
    code.builtinCode = code.deprecatedBuiltinCode = Builtin.CUSTOM
    code.customCode = b"FlexReadFile"
    (tmp_path / "flex.tflite").write_bytes(pack_model(model))
    assert inspect(tmp_path / "flex.tflite").custom_operators == ("FlexReadFile",)


def test_the_model_in_a_package_reads_the_same(gpt2_file: Path, tmp_path: Path) -> None:
    package = tmp_path / "app.apk"
    with zipfile.ZipFile(package, "w") as target:
        target.writestr("first.txt", "something before the model")
        entry = zipfile.ZipInfo(MODEL_ASSET)
        entry.extra = b"\x35\xd9\x06\x00\x04\x00aaaa"
        target.writestr(entry, gpt2_file.read_bytes())
    assert inspect(package) == inspect(gpt2_file)


def test_a_compressed_model_is_refused(gpt2_file: Path, tmp_path: Path) -> None:
    package = tmp_path / "app.apk"
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as target:
        target.write(gpt2_file, MODEL_ASSET)
    with pytest.raises(FileUnreadable, match="holds its model compressed"):
        inspect(package)


def test_a_package_without_model_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "app.apk", "w") as target:
        target.writestr("classes.dex", b"")
    with pytest.raises(FileUnreadable, match=f"holds no {MODEL_ASSET}"):
        inspect(tmp_path / "app.apk")


@pytest.mark.parametrize(
    ("content", "sentence"), [(b"", "too short"), (b"some text, and no model", r"is no \.tflite model")]
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "x.tflite").write_bytes(content)
    with pytest.raises(FileUnreadable, match=sentence):
        inspect(tmp_path / "x.tflite")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="can't be read"):
        inspect(tmp_path / "x.tflite")


def test_damage_never_ends_in_another_error(gpt2_file: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    good = gpt2_file.read_bytes()
    refused = 0
    for _ in range(60):
        content = bytearray(good[: int(rng.integers(9, 30_000))])
        for place in rng.integers(8, len(content), 20):
            content[place] = int(rng.integers(0, 256))
        (tmp_path / "x.tflite").write_bytes(content)
        try:
            inspect(tmp_path / "x.tflite")
        except FileUnreadable:
            refused += 1
    assert refused > 50
