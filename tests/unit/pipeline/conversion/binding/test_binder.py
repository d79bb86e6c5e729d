"""The bound files in ai-edge-litert against a plain numpy pass with the same weights."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

from farm.errors import BindingFailed, OpNotAllowed, RecipeNotRunnable
from farm.recipes import WeightFormat
from farm.runtimes import Runtime
from pipeline.conversion.binding import bind
from pipeline.conversion.binding.flatbuffer import Builtin, load_model, pack_model
from pipeline.inference.inspection import inspect
from pipeline.inference.interpreter import open_token_model
from tests.fixtures import numpy_decoder, weightless_graphs
from tests.fixtures.bound_models import ArrayWeights, bind_sizes
from tests.fixtures.weightless_graphs import GPT2_LIKE, LLAMA_LIKE, Sizes

TOKENS = [int(token) for token in np.random.default_rng(3).integers(0, 300, 24)]
BOTH = pytest.mark.parametrize("sizes", [GPT2_LIKE, LLAMA_LIKE], ids=lambda sizes: sizes.name)


def relative_difference(sizes: Sizes, path: Path) -> float:
    expected = numpy_decoder.logits(sizes, weightless_graphs.random_weights(sizes), TOKENS)
    return float(np.abs(open_token_model(path).logits_for(TOKENS) - expected).max() / np.abs(expected).max())


@BOTH
@pytest.mark.parametrize(
    ("weight_format", "limit"),
    [
        (WeightFormat.FLOAT32, 1e-5),
        (WeightFormat.FLOAT16, 0.01),
        (WeightFormat.INT8_PER_ROW, 0.15),
        (WeightFormat.INT8_PER_TENSOR, 0.2),
    ],
)
def test_a_bound_file_computes_the_model(
    sizes: Sizes, weight_format: WeightFormat, limit: float, tmp_path: Path
) -> None:
    difference = relative_difference(sizes, bind_sizes(sizes, weight_format, tmp_path / "m.tflite"))
    assert difference < limit


@BOTH
@pytest.mark.parametrize("weight_format", WeightFormat)
def test_the_same_bytes_every_time(sizes: Sizes, weight_format: WeightFormat, tmp_path: Path) -> None:
    if (sizes, weight_format) == (LLAMA_LIKE, WeightFormat.INT4_BLOCKS_OF_32):
        with pytest.raises(RecipeNotRunnable, match="rows of 48 values, no multiple of 32"):
            bind_for_host(sizes, weight_format, tmp_path / "a.tflite")
        return
    contents = {bind_for_host(sizes, weight_format, tmp_path / name).read_bytes() for name in ("a.tflite", "b.tflite")}
    assert len(contents) == 1


def bind_for_host(sizes: Sizes, weight_format: WeightFormat, output: Path) -> Path:
    weights = ArrayWeights(weightless_graphs.random_weights(sizes))
    bind(sizes.path, weights, weight_format, output, runtimes=[Runtime.AI_EDGE_LITERT_2_3])
    return output


@pytest.mark.parametrize("weight_format", [WeightFormat.INT4_PER_ROW, WeightFormat.INT4_BLOCKS_OF_32])
def test_four_bits_compute_what_their_values_stand_for(weight_format: WeightFormat, tmp_path: Path) -> None:
    """Against numpy with the rounded weights: what is left is the rounding of activations."""
    weights = weightless_graphs.random_weights(GPT2_LIKE)
    absorbed = numpy_decoder.fold_norms(GPT2_LIKE, weights)
    rounded = {
        name: numpy_decoder.round_to_four_bits(
            value, 32 if weight_format is WeightFormat.INT4_BLOCKS_OF_32 else value.shape[1]
        )
        if value.ndim == 2 and name != "positions"
        else value
        for name, value in absorbed.items()
    }
    expected = numpy_decoder.logits(GPT2_LIKE, rounded, TOKENS)
    actual = open_token_model(bind_for_host(GPT2_LIKE, weight_format, tmp_path / "m.tflite")).logits_for(TOKENS)
    assert np.abs(actual - expected).max() / np.abs(expected).max() < 0.06


def test_a_matrix_may_have_another_format_and_scales_of_its_own(tmp_path: Path) -> None:
    """Against numpy with the values that the scales stand for."""
    weights = weightless_graphs.random_weights(GPT2_LIKE)
    matrix = weights["0.down"]
    scales = np.abs(matrix).max(1) / 20
    path = tmp_path / "m.tflite"
    report = bind(
        GPT2_LIKE.path, ArrayWeights(weights), WeightFormat.INT4_BLOCKS_OF_32, path,
        runtimes=[Runtime.AI_EDGE_LITERT_2_3], norms_folded=False,
        exceptions={"embedding": WeightFormat.INT8_PER_ROW, "0.down": WeightFormat.INT8_PER_ROW},
        scales={"0.down": scales},
    )  # fmt: skip
    counted = {total.weight_format: total.weights for total in report.weight_formats}
    assert (counted[WeightFormat.INT8_PER_ROW], counted[WeightFormat.INT4_BLOCKS_OF_32]) == (2, 7)
    rounded = {
        name: numpy_decoder.round_to_four_bits(value, 32) if value.ndim == 2 and name != "positions" else value
        for name, value in weights.items()
    }
    rounded["0.down"] = np.rint(matrix / scales[:, None]) * scales[:, None]
    rounded["embedding"] = weights["embedding"]
    expected = numpy_decoder.logits(GPT2_LIKE, rounded, TOKENS)
    actual = open_token_model(path).logits_for(TOKENS)
    assert np.abs(actual - expected).max() / np.abs(expected).max() < 0.06
    note = next(each for each in load_model(path).metadata if each.name == b"min_runtime_version")
    assert bytes(load_model(path).buffers[note.buffer].data).startswith(b"2.21.0")


def test_the_report_counts_what_is_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    said: list[tuple[float, str]] = []
    report = bind(
        GPT2_LIKE.path,
        ArrayWeights(weightless_graphs.random_weights(GPT2_LIKE)),
        WeightFormat.INT8_PER_ROW,
        path,
        lambda share, activity: said.append((share, activity)),
    )
    by_form = {total.weight_format: total for total in report.weight_formats}
    kinds = {share.kind: share for share in inspect(path).sizes}
    assert report.file_bytes == path.stat().st_size
    assert by_form[WeightFormat.INT8_PER_ROW].weights == kinds["int8 matrices"].constants == 9
    assert by_form[WeightFormat.INT8_PER_ROW].bytes == kinds["int8 matrices"].bytes
    assert 0 < report.head_bytes < report.file_bytes
    assert [share for share, _ in said] == sorted(share for share, _ in said)
    assert ("writing embedding") in {activity for _, activity in said}


def test_weights_behind_the_flatbuffer_give_the_same_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The form of files beyond 2 GB, at a small size."""
    inline = bind_sizes(GPT2_LIKE, WeightFormat.INT8_PER_ROW, tmp_path / "inline.tflite")
    monkeypatch.setattr("pipeline.conversion.binding.model_file.INLINE_LIMIT", 0)
    behind = bind_sizes(GPT2_LIKE, WeightFormat.INT8_PER_ROW, tmp_path / "behind.tflite")
    assert {buffer.offset > 1 for buffer in load_model(inline).buffers} == {False}
    assert sum(buffer.offset > 1 for buffer in load_model(behind).buffers) == 20
    expected = open_token_model(inline).logits_for(TOKENS)
    np.testing.assert_array_equal(open_token_model(behind).logits_for(TOKENS), expected)
    shares = [{share.kind: share.bytes for share in inspect(path).sizes} for path in (inline, behind)]
    assert shares[0]["int8 matrices"] == shares[1]["int8 matrices"]


def test_a_format_that_a_runtime_computes_wrongly_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeNotRunnable, match=r"TFLite 2\.20 computes int4 in blocks wrongly"):
        bind(
            GPT2_LIKE.path, ArrayWeights(weightless_graphs.random_weights(GPT2_LIKE)), WeightFormat.INT4_BLOCKS_OF_32,
            tmp_path / "m.tflite", runtimes=(Runtime.TFLITE_2_20,),
        )  # fmt: skip


def test_a_custom_operator_is_refused_by_name(tmp_path: Path) -> None:
    model = load_model(GPT2_LIKE.path)
    code = next(code for code in model.operatorCodes if code.builtinCode == Builtin.GELU)
    code.builtinCode, code.deprecatedBuiltinCode, code.customCode = Builtin.CUSTOM, Builtin.CUSTOM, b"FlexReadFile"
    graph = tmp_path / "graph.tflite"
    graph.write_bytes(pack_model(model))
    weights = ArrayWeights(weightless_graphs.random_weights(GPT2_LIKE))
    with pytest.raises(OpNotAllowed, match=r"FlexReadFile in decode is no TFLite built-in"):
        bind(graph, weights, WeightFormat.FLOAT32, tmp_path / "m.tflite")
    assert not (tmp_path / "m.tflite").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"extra": np.zeros(3, np.float32)}, "hold extra, which the graph does not read"),
        ({"0.up": np.zeros((64, 33), np.float32)}, r"wants 0\.up as \(64, 32\), but the weights have it as \(64, 33\)"),
        ({"1.down": np.full((32, 64), np.nan, np.float32)}, r"1\.down holds values that are no finite numbers"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change: dict[str, np.ndarray], sentence: str, tmp_path: Path) -> None:
    weights = ArrayWeights(weightless_graphs.random_weights(GPT2_LIKE) | change)
    with pytest.raises(BindingFailed, match=sentence):
        bind(GPT2_LIKE.path, weights, WeightFormat.INT8_PER_ROW, tmp_path / "m.tflite")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_weight_is_named(tmp_path: Path) -> None:
    weights = weightless_graphs.random_weights(GPT2_LIKE)
    del weights["final.bias"]
    with pytest.raises(BindingFailed, match=r"lack final\.bias"):
        bind(GPT2_LIKE.path, ArrayWeights(weights), WeightFormat.FLOAT32, tmp_path / "m.tflite")


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        bind_sizes(GPT2_LIKE, WeightFormat.FLOAT32, tmp_path / "m.tflite")
    assert list(tmp_path.iterdir()) == []
