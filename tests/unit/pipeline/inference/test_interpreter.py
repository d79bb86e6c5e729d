from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from farm.errors import FileUnreadable, SequenceTooLong
from farm.recipes import WeightFormat
from pipeline.inference import interpreter
from pipeline.inference.interpreter import TokenModel, open_token_model
from pipeline.inference.prefill import Feed
from tests.fixtures import bound_models, dynamic_graphs, weightless_graphs
from tests.fixtures.weightless_graphs import GPT2_LIKE

TOKENS = [int(token) for token in np.random.default_rng(5).integers(0, 300, 40)]


def plain_logits(path: Path, tokens: list[int]) -> np.ndarray:
    """The public API with all its copies: whole caches in and out at every step."""
    decode = Interpreter(str(path), num_threads=1).get_signature_runner("decode")
    details = decode.get_input_details()
    caches = {name: np.zeros(value["shape"], np.float32) for name, value in details.items() if "cache" in name}
    logits = []
    for position, token in enumerate(tokens):
        caches = decode(tokens=np.array([[token]], np.int32), input_pos=np.array([position], np.int32), **caches)
        logits.append(caches.pop("logits").reshape(-1))
    return np.array(logits)


def test_caches_written_in_place_give_what_whole_caches_carried_in_and_out_give(
    gpt2_file: Path, model: TokenModel
) -> None:
    expected = plain_logits(gpt2_file, TOKENS)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(model.logits_for(TOKENS), expected, atol=1e-5)


@pytest.mark.parametrize("count", [2, 4, 5, 16, 17, 23, 40])
def test_a_prompt_through_prefill_gives_what_decoding_gives(gpt2_file: Path, count: int) -> None:
    expected = plain_logits(gpt2_file, TOKENS[:count])[-1]
    np.testing.assert_allclose(open_token_model(gpt2_file).read(TOKENS[:count]), expected, atol=1e-5)


def test_prefill_after_decode_continues(gpt2_file: Path, model: TokenModel) -> None:
    expected = plain_logits(gpt2_file, TOKENS[:26])[-1]
    model.step(TOKENS[0])
    model.prefill(TOKENS[1:4], [Feed(4, 3)])
    model.step(TOKENS[4])
    model.prefill(TOKENS[5:21], [Feed(16, 16)])
    model.prefill(TOKENS[21:25])
    np.testing.assert_allclose(model.step(TOKENS[25]), expected, atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 6])
def test_scored_tokens_have_the_logits_of_decoded_ones(gpt2_file: Path, model: TokenModel, count: int) -> None:
    expected = plain_logits(gpt2_file, TOKENS[: 9 + count])
    model.prefill(TOKENS[:9])
    np.testing.assert_allclose(model.score(TOKENS[9 : 9 + count]), expected[9:], atol=1e-5)


def test_guesses_that_did_not_hold_are_forgotten(gpt2_file: Path, model: TokenModel) -> None:
    model.prefill(TOKENS[:9])
    model.score([TOKENS[9], 1, 2, 3])
    model.rewind(10)
    np.testing.assert_allclose(model.step(TOKENS[10]), plain_logits(gpt2_file, TOKENS[:11])[-1], atol=1e-5)


def test_padding_never_gets_past_the_context(model: TokenModel, llama_file: Path) -> None:
    assert model.room_to_score() == 6
    model.prefill(TOKENS)
    assert model.room_to_score() == 6
    model.step(1)
    model.step(1)
    model.step(1)
    assert model.room_to_score() == 1  # 43 of 48 places
    assert open_token_model(llama_file).room_to_score() == 1  # it has no such signature


def test_rewinding_forgets_what_came_later(gpt2_file: Path, model: TokenModel) -> None:
    model.read(TOKENS[:30])
    model.rewind(7)
    other = [token + 1 for token in TOKENS[20:25]]
    model.prefill(other[:-1])
    expected = plain_logits(gpt2_file, TOKENS[:7] + other)[-1]
    np.testing.assert_allclose(model.step(other[-1]), expected, atol=1e-5)


def test_rewinding_forwards_is_refused(model: TokenModel) -> None:
    with pytest.raises(ValueError, match="can't rewind from 0 to 3"):
        model.rewind(3)


def test_logits_are_the_callers_own(model: TokenModel) -> None:
    first = model.step(1)
    kept = first.copy()
    model.step(2)
    np.testing.assert_array_equal(first, kept)


def test_the_context_can_be_filled_and_not_overfilled(model: TokenModel) -> None:
    model.read((TOKENS * 2)[: GPT2_LIKE.context])
    with pytest.raises(SequenceTooLong, match="49 tokens do not fit into the model's context of 48"):
        model.step(1)
    model.rewind()
    with pytest.raises(SequenceTooLong):
        model.prefill([1] * 49)
    assert model.position == 0


def test_the_caches_can_be_taken_and_put_back(gpt2_file: Path, model: TokenModel) -> None:
    model.prefill(TOKENS[:20])
    kept = model.caches()
    assert all(np.abs(cache[:, :, :20]).max() > 0 and not cache[:, :, 20:].any() for cache in kept.values())
    model.rewind()
    model.prefill(TOKENS[20:40])
    model.put_caches(kept)
    np.testing.assert_allclose(model.step(TOKENS[20]), plain_logits(gpt2_file, TOKENS[:21])[-1], atol=1e-5)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match=r"absent\.tflite is no file"):
        open_token_model(tmp_path / "absent.tflite")


@pytest.mark.parametrize("content", [b"", b"no model at all, but long enough for one"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.tflite"
    path.write_bytes(content)
    with pytest.raises(FileUnreadable, match=r"can't be opened as a \.tflite model"):
        open_token_model(path)


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.9])
def test_a_file_cut_short_is_refused(gpt2_file: Path, tmp_path: Path, kept: float) -> None:
    content = gpt2_file.read_bytes()
    path = tmp_path / "cut.tflite"
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(FileUnreadable, match=r"can't be opened as a \.tflite model"):
        open_token_model(path)


def test_a_weightless_graph_is_refused() -> None:
    with pytest.raises(FileUnreadable, match="w__"):
        open_token_model(GPT2_LIKE.path)


@pytest.mark.parametrize("name", list(dynamic_graphs.GRAPHS))
def test_the_sizes_are_read_without_opening_the_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = dynamic_graphs.bind_graph(name, tmp_path / "model.tflite")
    wanted = interpreter.open_token_model(path, context=300).contract
    monkeypatch.setattr(interpreter, "open_compiled", None)
    assert interpreter.read_sizes(path, 300) == wanted


def test_a_file_of_fixed_lengths_has_no_such_sizes(tmp_path: Path) -> None:
    path = bound_models.bind_sizes(weightless_graphs.GPT2_LIKE, WeightFormat.FLOAT32, tmp_path / "model.tflite")
    with pytest.raises(FileUnreadable, match=r"is not of dynamic lengths .* without --static-shapes"):
        interpreter.read_sizes(path, 48)
