from __future__ import annotations

from dataclasses import replace

import pytest

from farm.errors import FileUnreadable
from pipeline.inference.contract import NO_LIMIT, Contract, SignatureShape, TensorShape, read_contract

CONTRACT = Contract(context=48, layers=2, kv_heads=4, head_dim=8, vocabulary_size=300, prefill=(4, 16), verify=6)


def signatures() -> dict[str, SignatureShape]:
    shapes = {f"prefill_{length}": CONTRACT.expected(length, with_logits=False) for length in CONTRACT.prefill}
    return shapes | {"decode": CONTRACT.expected(1, True), "score_6": CONTRACT.expected(6, True)}


def test_sizes_are_read_back() -> None:
    assert read_contract(signatures(), "m.tflite") == CONTRACT


def test_a_file_without_decode_is_refused_with_what_it_has() -> None:
    with pytest.raises(FileUnreadable, match=r"m\.tflite has no signature named decode \(it has serving_default\)"):
        read_contract({"serving_default": CONTRACT.expected(1, with_logits=True)}, "m.tflite")


def test_a_decode_without_caches_is_refused() -> None:
    with pytest.raises(FileUnreadable, match="lacks kv_cache_k_0"):
        read_contract({"decode": SignatureShape({}, {})}, "m.tflite")


@pytest.mark.parametrize(
    ("signature", "name", "shape", "sentence"),
    [
        ("decode", "tokens", TensorShape("int64", (1, 1)), r"input tokens of decode as int64\[1,1\] instead of int32"),
        ("prefill_4", "input_pos", TensorShape("int32", (5,)), r"input input_pos of prefill_4 as int32\[5\]"),
        ("prefill_16", "kv_cache_v_1", None, "input kv_cache_v_1 of prefill_16 as nothing"),
        ("score_6", "tokens", TensorShape("int32", (1, 5)), r"input tokens of score_6 as int32\[1,5\]"),
        ("decode", "mask", TensorShape("float32", (1, 1, 1, 48)), "input mask of decode .* instead of nothing"),
    ],
)
def test_the_first_tensor_that_does_not_fit_is_named(
    signature: str, name: str, shape: TensorShape | None, sentence: str
) -> None:
    found = signatures()
    inputs = {key: value for key, value in found[signature].inputs.items() if key != name}
    found[signature] = replace(found[signature], inputs=inputs | ({} if shape is None else {name: shape}))
    with pytest.raises(FileUnreadable, match=sentence):
        read_contract(found, "m.tflite")


def test_prefill_may_not_give_logits() -> None:
    found = signatures() | {"prefill_4": CONTRACT.expected(4, with_logits=True)}
    with pytest.raises(FileUnreadable, match="output logits of prefill_4"):
        read_contract(found, "m.tflite")


def test_a_file_without_verify_is_sound() -> None:
    found = signatures()
    del found["score_6"]
    assert read_contract(found, "m.tflite") == replace(CONTRACT, verify=None)


DYNAMIC = Contract(700, 3, 4, 8, 300, windows=(5, None, 5))


def test_a_dynamic_file_says_its_windows_and_not_its_limit() -> None:
    assert read_contract({"run": DYNAMIC.run}, "m.tflite", 700) == DYNAMIC
    assert DYNAMIC.caches[:4] == ("window_5_k_0", "window_5_v_0", "kv_cache_k_1", "kv_cache_v_1")
    assert read_contract({"run": DYNAMIC.run}, "m.tflite") == replace(DYNAMIC, context=NO_LIMIT)
    assert DYNAMIC.row_bytes == 3 * 2 * 4 * 8 * 4


@pytest.mark.parametrize(
    ("name", "shape", "sentence"),
    [
        ("tokens", TensorShape("int32", (1, 4)), r"input tokens of run as int32\[1,4\] instead of int32\[1,-1\]"),
        ("rows", None, "input rows of run as nothing"),
        ("window_5_mask", None, "input window_5_mask of run as nothing"),
        ("window_5_start", TensorShape("int32", (2,)), r"input window_5_start of run as int32\[2\]"),
        ("kv_cache_v_1", TensorShape("float32", (1, 4, 9, 8)), r"kv_cache_v_1 of run as float32\[1,4,9,8\]"),
        ("window_5_k_0", None, "lacks a layer's caches"),
    ],
)
def test_a_dynamic_file_must_fit_too(name: str, shape: TensorShape | None, sentence: str) -> None:
    inputs = {key: value for key, value in DYNAMIC.run.inputs.items() if key != name}
    found = SignatureShape(inputs | ({} if shape is None else {name: shape}), DYNAMIC.run.outputs)
    with pytest.raises(FileUnreadable, match=sentence):
        read_contract({"run": found}, "m.tflite")
