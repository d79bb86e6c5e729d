from __future__ import annotations

from pathlib import Path

import pytest

from farm.errors import ModelDamaged, ModelUnsafe
from pipeline.models import hdf5, safetensors
from tests.security import model_files


def test_a_good_hdf5_file_is_taken(tmp_path: Path) -> None:
    model_files.write_weights(tmp_path / "w.h5")
    hdf5.check(tmp_path / "w.h5", "w.h5")


def test_compressed_weights_are_taken(tmp_path: Path) -> None:
    def add(file: object) -> None:
        file.create_dataset("x", data=[0.0] * 4096, compression="gzip")  # type: ignore[attr-defined]

    model_files.write_weights(tmp_path / "w.h5", add)
    hdf5.check(tmp_path / "w.h5", "w.h5")


def test_a_circle_of_hard_links_ends(tmp_path: Path) -> None:
    def add(file: object) -> None:
        file["layers/again"] = file["layers"]  # type: ignore[index]

    model_files.write_weights(tmp_path / "w.h5", add)
    hdf5.check(tmp_path / "w.h5", "w.h5")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(200)])
def test_what_is_no_hdf5_is_damaged(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "w.h5").write_bytes(data)
    with pytest.raises(ModelDamaged, match=r"w\.h5"):
        hdf5.check(tmp_path / "w.h5", "w.h5")


def test_a_cut_hdf5_file_is_damaged(tmp_path: Path) -> None:
    model_files.write_weights(tmp_path / "w.h5")
    whole = (tmp_path / "w.h5").read_bytes()
    (tmp_path / "w.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelDamaged, match="cannot be read as HDF5"):
        hdf5.check(tmp_path / "w.h5", "w.h5")


def entry(dtype: object = "F32", shape: object = (4,), offsets: object = (0, 16)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_a_good_safetensors_file_is_taken(tmp_path: Path) -> None:
    header = {"b": entry("BF16", (2, 2), (16, 24)), "a": entry(), "__metadata__": {"format": "pt"}}
    model_files.write_safetensors(tmp_path / "m", header, bytes(24))
    safetensors.check(tmp_path / "m", "m")


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ({"a": entry()}, bytes(15)),
        ({"a": entry()}, bytes(17)),
        ({"a": entry(), "b": entry()}, bytes(16)),
        ({"a": entry(offsets=(4, 20))}, bytes(20)),
        ({"a": entry(shape=(5,))}, bytes(16)),
        ({"a": entry(shape=(-4,))}, bytes(16)),
        ({"a": entry(shape=(True,))}, bytes(16)),
        ({"a": entry(dtype="OBJECT")}, bytes(16)),
        ({"a": entry(offsets=(16, 0))}, bytes(16)),
        ({"a": entry(offsets=(0,))}, bytes(16)),
        ({"a": 3}, b""),
        (b"[]", b""),
        (b"{", b""),
    ],
)
def test_a_safetensors_header_that_does_not_fit_is_damaged(
    tmp_path: Path, header: dict[str, object], data: bytes
) -> None:
    model_files.write_safetensors(tmp_path / "m", header, data)
    with pytest.raises(ModelDamaged):
        safetensors.check(tmp_path / "m", "m")


@pytest.mark.parametrize("data", [b"", b"\x01", b"\xff" * 8, (1 << 40).to_bytes(8, "little") + b"{}"])
def test_a_header_longer_than_the_file_is_damaged(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m").write_bytes(data)
    with pytest.raises(ModelDamaged, match="longer than the file"):
        safetensors.check(tmp_path / "m", "m")


def test_a_huge_header_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "m").open("wb") as stream:
        stream.write((safetensors.HEADER_BYTES + 1).to_bytes(8, "little"))
        stream.truncate(safetensors.HEADER_BYTES + 100)
    with pytest.raises(ModelUnsafe, match="it is refused"):
        safetensors.check(tmp_path / "m", "m")
