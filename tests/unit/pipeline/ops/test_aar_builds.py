"""Built AARs: the key, the cache with supersets, and a build whose place a stand-in takes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from farm.appspec import Abi
from farm.errors import AarBuildFailed, AarUnfit
from pipeline.ops import aar_builds
from pipeline.ops.aar_builds import BuildKey
from pipeline.ops.reading import OpKind, OpUse
from tests.fixtures.native_code import X86_64, Code, library, write_aar

OPS = {"StringLength": "input: string", "ReduceJoin": "inputs: string", "RegexSplitWithOffsets": "input: string",
       "MatMul": "a: T"}  # fmt: skip
FLEX_ENTRY = b"\0Java_org_tensorflow_lite_flex_FlexDelegate_x\0"


def use(op: str) -> OpUse:
    return OpUse(OpKind.FLEX, f"Flex{op}", 1, "main", "", runs=op)


def key(*ops: str, abis: tuple[Abi, ...] = (Abi.ARM64,)) -> BuildKey:
    return aar_builds.key_for([use(op) for op in ops], abis)


def built(
    path: Path, ops: list[str], machine: int = 183, page: int = 16384, abi: str = "arm64-v8a", interpreter: bool = True
) -> Path:
    code = Code({op: OPS[op] for op in OPS}, ops, extra=FLEX_ENTRY)
    names = ["libtensorflowlite_flex_jni.so"] + ["libtensorflowlite_jni.so"] * interpreter
    return write_aar(path, {f"jni/{abi}/{name}": library(code, machine, page) for name in names})


def file_under(caches: Path, made_for: BuildKey) -> Path:
    folder = caches / aar_builds.CACHE
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{made_for.digest}.aar").write_bytes(b"aar")
    (folder / f"{made_for.digest}.json").write_text(made_for.model_dump_json())
    return folder / f"{made_for.digest}.aar"


def test_the_key_follows_what_decides_a_build() -> None:
    assert key("B", "A", "A") == key("A", "B")
    assert key("A").digest != key("A", "B").digest
    assert key("A").digest != key("A", abis=(Abi.ARM64, Abi.X86_64)).digest
    assert key("A").digest != key("A").model_copy(update={"recipe": "0" * 64}).digest
    assert key("A").page_size == 16384
    builtin = OpUse(OpKind.BUILTIN, "ADD", 1, "main", "")
    text = OpUse(OpKind.TFTEXT, "TFText>Ngrams", 1, "main", "")
    assert aar_builds.needed_ops([builtin, text, use("A")]) == ("A", "TFText>Ngrams")


def test_a_superset_serves_and_the_smallest_goes_first(tmp_path: Path) -> None:
    large = file_under(tmp_path, key("A", "B", "C", "D", abis=tuple(Abi)))
    small = file_under(tmp_path, key("A", "B", "C"))
    assert aar_builds.find(tmp_path, [use("A")], [Abi.ARM64]).path == small
    assert aar_builds.find(tmp_path, [use("D")], [Abi.ARM64]).path == large
    assert aar_builds.find(tmp_path, [use("A")], [Abi.ARM64, Abi.X86_64]).path == large
    for wanted in (
        key("E"),
        key("A").model_copy(update={"page_size": 4096}),
        key("A").model_copy(update={"recipe": "x"}),
    ):
        assert aar_builds.cached(tmp_path, wanted) is None


def test_what_was_never_built_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(AarUnfit, match=r"built for A yet; run, .*: farm aar JOB --abi arm64-v8a"):
        aar_builds.find(tmp_path, [use("A")], [Abi.ARM64])


def test_damaged_entries_are_passed_over(tmp_path: Path) -> None:
    path = file_under(tmp_path, key("A"))
    path.with_suffix(".json").write_text("{}")
    assert aar_builds.cached(tmp_path, key("A")) is None
    file_under(tmp_path, key("A")).unlink()
    assert aar_builds.cached(tmp_path, key("A")) is None


@pytest.fixture
def command(tmp_path: Path) -> Callable[[str], list[str]]:
    """A program in the build's place: `does` is Python that knows `given`, the options by name."""

    def make(does: str) -> list[str]:
        script = tmp_path / "stand_in.py"
        script.write_text(
            "import shutil, sys\nwords = sys.argv[1:]\ngiven = dict(zip(words[::2], words[1::2]))\n"
            f"log = open(given['--log'], 'w')\n{does}\n"
        )
        return [sys.executable, str(script)]

    return make


@pytest.mark.programs
def test_a_build_is_checked_kept_and_used_again(tmp_path: Path, command: Callable[[str], list[str]]) -> None:
    source = built(tmp_path / "made.aar", ["StringLength", "ReduceJoin", "RegexSplitWithOffsets"])
    wanted = key("StringLength", "RegexSplitWithOffsets")
    does = (
        "assert open(given['--ops']).read() == 'RegexSplitWithOffsets\\nStringLength\\n'\n"
        "assert (given['--abis'], given['--pages']) == ('arm64-v8a', '16384')\n"
        f"shutil.copy({str(source)!r}, given['--output'])"
    )
    found = aar_builds.build(tmp_path / "caches", wanted, command(does))
    assert found.path.read_bytes() == source.read_bytes()
    assert aar_builds.cached(tmp_path / "caches", wanted) == found
    again = aar_builds.build(tmp_path / "caches", key("StringLength"), ["/no/such/program"])
    assert again == found
    assert sorted(path.suffix for path in found.path.parent.iterdir()) == [".aar", ".json"]


@pytest.mark.programs
@pytest.mark.parametrize(
    ("does", "sentence"),
    [
        ("log.write('INFO: x\\nERROR: /build/x: no such target //flex_aar\\nERROR: Build failed\\n'); sys.exit(3)",
         r"build failed: ERROR: /build/x: no such target //flex_aar; see android-builder/README\.md"),
        ("sys.exit(3)", r"build failed: .*stand_in|build failed: python"),
        ("", r"ended without tftext_tflite_flex\.aar"),
    ],
)  # fmt: skip
def test_a_failed_build_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, command: Callable[[str], list[str]], does: str, sentence: str
) -> None:
    with pytest.raises(AarBuildFailed, match=sentence):
        aar_builds.build(tmp_path / "caches", key("StringLength"), command(does))
    assert list((tmp_path / "caches" / aar_builds.CACHE).iterdir()) == []


@pytest.mark.programs
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ops": ["ReduceJoin", "RegexSplitWithOffsets", "MatMul"]}, "does not register StringLength for arm64-v8a"),
        ({"interpreter": False}, "no libtensorflowlite_jni.so for arm64-v8a"),
        ({"page": 4096}, "pages of 4096 bytes for arm64-v8a"),
        ({"machine": X86_64, "abi": "x86_64"}, "no library for arm64-v8a"),
    ],
)
def test_what_was_built_must_be_what_was_asked_for(
    tmp_path: Path, command: Callable[[str], list[str]], change: dict, sentence: str
) -> None:
    given = {"ops": ["StringLength", "ReduceJoin", "MatMul"]} | change
    source = built(tmp_path / "made.aar", **given)
    with pytest.raises(AarBuildFailed, match=sentence):
        aar_builds.build(
            tmp_path / "caches", key("StringLength"), command(f"shutil.copy({str(source)!r}, given['--output'])")
        )
