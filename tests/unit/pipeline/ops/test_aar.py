from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from farm.errors import AarUnusable
from pipeline.ops import aar
from pipeline.ops.aar import Answer
from pipeline.ops.reading import OpKind, OpUse
from tests.fixtures.native_code import X86_64, Code, library, write_aar

OPS = {
    "ReadFile": "filename: string",
    "StringLength": "input: string",
    "MatMul": "a: T",
    "ReduceJoin": "inputs: string",
}
FLEX_ENTRY = b"\0Java_org_tensorflow_lite_flex_FlexDelegate_nativeCreateDelegate\0"
FLEX = Code(OPS, ["StringLength", "MatMul", "ReduceJoin"], extra=b"\x002.14.0\0TFText>Ngrams\0" + FLEX_ENTRY)
INTERPRETER = Code(builtins=[(number, 1, 2) for number in range(30)], extra=b"\x002.13.1\0")


def builtin(name: str, version: int) -> OpUse:
    return OpUse(OpKind.BUILTIN, name, version, "main", "")


def test_an_aar_is_read_abi_by_abi(tmp_path: Path) -> None:
    path = write_aar(
        tmp_path / "x.aar",
        {
            "jni/arm64-v8a/libtensorflowlite_jni.so": library(INTERPRETER),
            "jni/arm64-v8a/libtensorflowlite_flex_jni.so": library(FLEX, page=4096),
            "jni/x86_64/libtensorflowlite_jni.so": library(INTERPRETER, X86_64),
            "jni/x86/libtensorflowlite_jni.so": b"\x7fELF\x01\x01" + bytes(64),
            "jni/arm64-v8a/readme.txt": b"no library",
        },
    )
    found = aar.read(path)
    assert list(found.abis) == ["arm64-v8a", "x86", "x86_64"]
    arm, intel, old = found.abis["arm64-v8a"], found.abis["x86_64"], found.abis["x86"]
    assert (arm.version, arm.page_size, arm.flex) == ("2.13.1", 4096, True)
    assert (intel.version, intel.page_size, intel.flex) == ("2.13.1", 16384, False)
    assert arm.kernels == ("MatMul", "ReduceJoin", "StringLength")
    assert arm.named == ("TFText>Ngrams",)
    assert arm.builtins["ADD"] == (1, 2)
    assert old.page_size is None
    assert arm.has(builtin("ADD", 2)) is Answer.YES
    assert arm.has(builtin("ADD", 3)) is Answer.NO
    assert old.has(builtin("ADD", 1)) is Answer.UNKNOWN
    reads = OpUse(OpKind.FLEX, "FlexReadFile", 1, "main", "", runs="ReadFile")
    assert (arm.has(reads), intel.has(reads)) == (Answer.NO, Answer.NO)
    assert arm.has(OpUse(OpKind.TFTEXT, "TFText>Ngrams", 1, "main", "")) is Answer.UNKNOWN
    assert arm.has(OpUse(OpKind.TFTEXT, "TFText>Other", 1, "main", "")) is Answer.NO
    assert arm.has(OpUse(OpKind.CUSTOM, "Mine", 1, "main", "")) is Answer.UNKNOWN


def test_a_flex_library_whose_code_hides_its_ops_gives_no_answer(tmp_path: Path) -> None:
    path = write_aar(tmp_path / "x.aar", {"jni/arm64-v8a/libflex.so": library(Code(extra=FLEX_ENTRY))})
    use = OpUse(OpKind.FLEX, "FlexStringLength", 1, "main", "", runs="StringLength")
    assert aar.read(path).has(use) == {"arm64-v8a": Answer.UNKNOWN}


def test_archives_add_up(tmp_path: Path) -> None:
    one = aar.read(write_aar(tmp_path / "a.aar", {"jni/arm64-v8a/liba.so": library(INTERPRETER)}))
    two = aar.read(write_aar(tmp_path / "b.aar", {"jni/arm64-v8a/libb.so": library(FLEX)}))
    both = aar.combine("both", [one, two])
    assert both.abis["arm64-v8a"].builtins and both.abis["arm64-v8a"].kernels
    assert set(both.files) == {"a.aar", "b.aar"}


def test_what_is_no_aar_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.aar").write_bytes(b"no zip")
    with pytest.raises(AarUnusable, match="no AAR that can be opened"):
        aar.read(tmp_path / "x.aar")
    with pytest.raises(AarUnusable, match="no AAR that can be opened"):
        aar.read(tmp_path / "missing.aar")
    with pytest.raises(AarUnusable, match="no native library"):
        aar.read(write_aar(tmp_path / "y.aar", {"classes.jar": b""}))


def test_a_library_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.aar"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("jni/x86_64/libx.so", bytes(100_000))
    monkeypatch.setattr(aar, "LARGEST_LIBRARY", 99_999)
    with pytest.raises(AarUnusable, match="native libraries or one above"):
        aar.read(path)
