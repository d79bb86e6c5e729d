from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from farm.appspec import Abi
from farm.errors import AarUnfit, AarUnusable
from pipeline.ops import aar, aar_fitness, known_aars
from pipeline.ops.aar import AarReading
from pipeline.ops.reading import OpKind, OpUse
from pipeline.toolchain import pins
from pipeline.toolchain.maven import Toolchain
from tests.fixtures.native_code import Code, library, write_aar

PAGE = 16384
BOTH = (Abi.ARM64, Abi.X86_64)


def builtin(name: str, version: int) -> OpUse:
    return OpUse(OpKind.BUILTIN, name, version, "main", "")


def flex(op: str) -> OpUse:
    return OpUse(OpKind.FLEX, f"Flex{op}", 1, "main", "", runs=op)


def stock() -> AarReading:
    return known_aars.load(known_aars.STOCK)


def test_the_stock_aar_fits_the_portable_io_mode_but_not_play() -> None:
    uses = [builtin("FULLY_CONNECTED", 9), builtin("WHILE", 1), flex("StringLength"), flex("DecodePaddedRaw")]
    [note] = aar_fitness.require_fit(stock(), uses, BOTH, PAGE)
    assert note.startswith("Not ready for Google Play: libtensorflowlite_jni.so and libtensorflowlite_flex_jni.so of")
    assert "pages of 4 KB only, where current phones have 16 KB" in note


@pytest.mark.parametrize(
    ("use", "sentence"),
    [
        (
            builtin("FULLY_CONNECTED", 12),
            r"does not register FULLY_CONNECTED version 12 for arm64-v8a; choose a recipe",
        ),
        (
            flex("RegexSplitWithOffsets"),
            r"does not register FlexRegexSplitWithOffsets for arm64-v8a; choose the portable",
        ),
    ],
)
def test_an_op_that_is_missing_is_refused(use: OpUse, sentence: str) -> None:
    with pytest.raises(AarUnfit, match=sentence):
        aar_fitness.require_fit(stock(), [use], BOTH, PAGE)


def test_an_abi_that_is_missing_is_refused(tmp_path: Path) -> None:
    found = aar.read(write_aar(tmp_path / "x.aar", {"jni/arm64-v8a/libtensorflowlite_jni.so": library(Code())}))
    with pytest.raises(AarUnfit, match=r"x\.aar has no library for x86_64 \(it has arm64-v8a\)"):
        aar_fitness.require_fit(found, [], BOTH, PAGE)


def test_what_cannot_be_read_and_other_versions_are_said(tmp_path: Path) -> None:
    code = Code(extra=b"\x002.16.1\x00Java_org_tensorflow_lite_flex_FlexDelegate_x\0")
    found = aar.read(write_aar(tmp_path / "x.aar", {"jni/arm64-v8a/libtensorflowlite_jni.so": library(code)}))
    version, unknown = aar_fitness.require_fit(found, [flex("StringLength")], [Abi.ARM64], PAGE)
    assert "x.aar is TFLite 2.16.1" in version
    assert "FlexStringLength could not be read from its code" in unknown


def test_an_aar_with_flex_alone_gets_the_pinned_interpreter(tmp_path: Path) -> None:
    flex_only = write_aar(tmp_path / "x.aar", {"jni/arm64-v8a/libtensorflowlite_flex_jni.so": library(Code())})
    interpreter = Code(builtins=[(number, 1, 2) for number in range(30)])
    write_aar(
        tmp_path / "tensorflow-lite-2.14.0.aar",
        {f"jni/{abi}/libtensorflowlite_jni.so": library(interpreter) for abi in ("arm64-v8a", "x86")},
    )
    found = aar_fitness.with_interpreter(flex_only, Toolchain(tmp_path, pins.load()))
    assert list(found.abis) == ["arm64-v8a"]
    assert len(found.abis["arm64-v8a"].libraries) == 2
    assert list(found.files) == ["x.aar", "tensorflow-lite-2.14.0.aar"]
    # Its own library goes first, but somebody must bring the classes.
    bare = write_aar(tmp_path / "y.aar", {"jni/arm64-v8a/libtensorflowlite_jni.so": library(interpreter, page=65536)})
    found = aar_fitness.with_interpreter(bare, Toolchain(tmp_path, pins.load()))
    assert list(found.files) == ["y.aar", "tensorflow-lite-2.14.0.aar"]
    assert [library.load_alignment for library in found.abis["arm64-v8a"].libraries] == [65536]
    with zipfile.ZipFile(tmp_path / "classes.jar", "w") as classes:
        classes.writestr(aar_fitness.INTERPRETER_CLASS, b"")
    with zipfile.ZipFile(bare, "a") as package:
        package.write(tmp_path / "classes.jar", "classes.jar")
    assert list(aar_fitness.with_interpreter(bare, Toolchain(tmp_path, pins.load())).files) == ["y.aar"]
    (tmp_path / "z.aar").write_bytes(b"")
    with pytest.raises(AarUnusable):
        aar_fitness.with_interpreter(tmp_path / "z.aar", Toolchain(tmp_path, pins.load()))
