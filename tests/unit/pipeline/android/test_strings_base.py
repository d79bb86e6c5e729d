from __future__ import annotations

from pathlib import Path

from farm.appspec import Abi
from pipeline.android.strings_base import Aar
from tests.fixtures.native_code import write_aar


def test_an_earlier_aars_libraries_go_first(tmp_path: Path) -> None:
    built = write_aar(tmp_path / "a.aar", {"jni/arm64-v8a/libone.so": b"built", "jni/x86_64/libone.so": b"other"})
    pinned = write_aar(
        tmp_path / "b.aar",
        {
            "jni/arm64-v8a/libone.so": b"pinned",
            "jni/arm64-v8a/libtwo.so": b"pinned",
            "jni/arm64-v8a/x/libthree.so": b"",
        },
    )
    for path in (built, pinned):
        Aar(path).extract_libraries(Abi.ARM64, tmp_path / "lib")
    assert {path.name: path.read_bytes() for path in (tmp_path / "lib").iterdir()} == {
        "libone.so": b"built",
        "libtwo.so": b"pinned",
    }
