"""The GGUF reader against plain loops over the published block layouts."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from examples.gguf_reader import BLOCKS, Gguf, UnreadableGguf


def half(block: bytes, start: int) -> float:
    return float(np.frombuffer(block[start : start + 2], np.float16)[0])


def q4_1(block: bytes) -> list[float]:
    nibbles = [byte & 15 for byte in block[4:]] + [byte >> 4 for byte in block[4:]]
    return [half(block, 0) * value + half(block, 2) for value in nibbles]


def q5_0(block: bytes) -> list[float]:
    (fifth,) = struct.unpack("<I", block[2:6])
    nibbles = [byte & 15 for byte in block[6:]] + [byte >> 4 for byte in block[6:]]
    return [half(block, 0) * ((low | (fifth >> at & 1) << 4) - 16) for at, low in enumerate(nibbles)]


def q8_0(block: bytes) -> list[float]:
    return [half(block, 0) * value for value in struct.unpack("32b", block[2:])]


def q4_k(block: bytes) -> list[float]:
    packed, found = block[4:16], []
    for group in range(8):
        if group < 4:
            scale, least = packed[group] & 63, packed[group + 4] & 63
        else:
            scale = packed[group + 4] & 15 | (packed[group - 4] >> 6) << 4
            least = packed[group + 4] >> 4 | (packed[group] >> 6) << 4
        chunk = block[16 + group // 2 * 32 :][:32]
        for byte in chunk:
            value = byte & 15 if group % 2 == 0 else byte >> 4
            found.append(half(block, 0) * scale * value - half(block, 2) * least)
    return found


def q6_k(block: bytes) -> list[float]:
    found = []
    for at in range(256):
        side, place = divmod(at, 128)
        quarter, column = divmod(place, 32)
        low = block[side * 64 + column + (32 if quarter % 2 else 0)] >> (4 if quarter > 1 else 0) & 15
        high = block[128 + side * 32 + column] >> 2 * quarter & 3
        scale = struct.unpack("16b", block[192:208])[at // 16]
        found.append(half(block, 208) * scale * ((low | high << 4) - 32))
    return found


@pytest.mark.parametrize(
    ("type_id", "oracle", "halves"),
    [(3, q4_1, (0, 2)), (6, q5_0, (0,)), (8, q8_0, (0,)), (12, q4_k, (0, 2)), (14, q6_k, (208,))],
)
def test_a_block_is_unpacked_as_its_layout_says(type_id: int, oracle, halves: tuple[int, ...]) -> None:
    values, size, unpack = BLOCKS[type_id]
    blocks = np.random.default_rng(type_id).integers(0, 256, (5, size)).astype(np.uint8)
    for start in halves:  # random bits could be no finite number
        blocks[:, start : start + 2] = np.linspace(0.01, 0.3, 5, dtype=np.float16)[:, None].view(np.uint8)
    wanted = np.array([oracle(block.tobytes()) for block in blocks])
    found = unpack(blocks).reshape(5, values)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """One scalar, one list of strings, and a float32 matrix [2, 3]."""
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 2)
    head += text("a.number") + struct.pack("<If", 6, 0.5)
    head += text("a.list") + struct.pack("<IIQ", 9, 8, 2) + text("x") + text("yz")
    head += text("matrix") + struct.pack("<IQQIQ", 2, 3, 2, 0, 0)
    head += b"\0" * (-len(head) % 32)
    path = tmp_path / "model.gguf"
    path.write_bytes(head + np.arange(6, dtype=np.float32).tobytes())
    return path


def test_metadata_and_tensors(file: Path) -> None:
    read = Gguf(file)
    assert read.metadata == {"a.number": 0.5, "a.list": ["x", "yz"]}
    assert read.tensor("matrix").tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_cut_file_is_refused(file: Path) -> None:
    content = file.read_bytes()
    for length, wanted in ((40, "head"), (len(content) - 4, "beyond the end")):
        file.write_bytes(content[:length])
        with pytest.raises(UnreadableGguf, match=wanted):
            Gguf(file).tensor("matrix")


def test_an_unknown_type_is_named(file: Path) -> None:
    content = file.read_bytes()
    place = content.index(b"matrix") + 6 + 4 + 16
    file.write_bytes(content[:place] + struct.pack("<I", 99) + content[place + 4 :])
    with pytest.raises(UnreadableGguf, match="99"):
        Gguf(file).tensor("matrix")
