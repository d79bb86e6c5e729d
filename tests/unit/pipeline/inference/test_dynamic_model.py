from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from farm.errors import SequenceTooLong
from farm.recipes import WeightFormat
from pipeline.conversion.numpy_forward import NumpyForward
from pipeline.inference import growth
from pipeline.inference.dynamic_model import DynamicModel
from pipeline.inference.generation import generate
from pipeline.inference.interpreter import open_token_model
from pipeline.inference.prefill import Feed
from tests.fixtures import dynamic_graphs, length_traces
from tests.fixtures.decoders import random_weights, viewed

TOKENS = np.random.default_rng(5).integers(0, 96, 600)
LIMIT = 640


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("dynamic")
    return {name: dynamic_graphs.bind_graph(name, folder / f"{name}.tflite") for name in dynamic_graphs.GRAPHS}


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    """Logits after every token, of a full forward pass that knows no cache."""
    return {
        name: NumpyForward(description, viewed(random_weights(description))).logits_after(TOKENS.astype(np.int32))
        for name, description in dynamic_graphs.GRAPHS.items()
    }


def opened(path: Path, limit: int = LIMIT) -> DynamicModel:
    model = open_token_model(path, context=limit)
    assert isinstance(model, DynamicModel)
    return model


@pytest.fixture(params=list(dynamic_graphs.GRAPHS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def require_close(actual: np.ndarray, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(actual, wanted, atol=2e-4)


def test_every_step_is_right_while_the_caches_grow(
    files: dict[str, Path], expected: dict[str, np.ndarray], name: str
) -> None:
    model = opened(files[name])
    found, rows = [], []
    for token in TOKENS.tolist():
        found.append(model.step(token))
        rows.append(model.rows)
    require_close(np.stack(found), expected[name])
    assert rows == [growth.rows_for(count + 1, LIMIT) for count in range(len(TOKENS))]


@pytest.mark.parametrize("count", [1, 2, 128, 129, 300, 600])
def test_a_prompt_is_read_without_padding(
    files: dict[str, Path], expected: dict[str, np.ndarray], name: str, count: int
) -> None:
    model = opened(files[name])
    require_close(model.read(TOKENS[:count].tolist()), expected[name][count - 1])
    assert model.position == count


def test_drafts_that_did_not_hold_are_forgotten_wherever_the_ring_begins(
    files: dict[str, Path], expected: dict[str, np.ndarray], name: str
) -> None:
    model = opened(files[name])
    tokens = TOKENS.tolist()
    model.prefill(tokens[:120])
    while model.position < 420:
        start = model.position
        room = model.room_to_score()
        drafts = [1, 2, 3][: room - 1]
        require_close(model.score([tokens[start], *drafts])[0], expected[name][start])
        model.rewind(start + 1)
    require_close(model.read(tokens[420:425]), expected[name][424])


def test_calls_of_any_cut_give_the_same(files: dict[str, Path], expected: dict[str, np.ndarray], name: str) -> None:
    model = opened(files[name])
    tokens = TOKENS.tolist()
    model.prefill(tokens[:100], [Feed(33, 33), Feed(1, 1), Feed(66, 66)])
    require_close(model.step(tokens[100]), expected[name][100])


def test_a_text_goes_on_behind_what_is_kept(files: dict[str, Path], expected: dict[str, np.ndarray], name: str) -> None:
    model = opened(files[name])
    tokens = TOKENS.tolist()
    model.prefill(tokens[:500])
    model.rewind(450)
    require_close(model.read(tokens[450:470]), expected[name][469])


def test_a_window_that_was_written_over_is_not_kept(files: dict[str, Path]) -> None:
    plain, windowed = opened(files["llama"]), opened(files["gemma"])
    for model in (plain, windowed):
        model.prefill(TOKENS[:500].tolist())
    assert plain.keeps(100)
    assert not windowed.keeps(100)
    assert windowed.keeps(400)
    with pytest.raises(ValueError, match="can't rewind from 500 to 100"):
        windowed.rewind(100)


def test_a_new_text_gives_memory_back(files: dict[str, Path], expected: dict[str, np.ndarray], name: str) -> None:
    model = opened(files[name])
    model.read(TOKENS[:600].tolist())
    assert {cache.shape[2] for cache in model.caches().values()} >= {LIMIT}
    model.reset()
    assert {cache.shape[2] for cache in model.caches().values()} <= {256, growth.ring_size(dynamic_graphs.WINDOW)}
    require_close(model.read(TOKENS[:40].tolist()), expected[name][39])


def test_a_windows_caches_stay_short(files: dict[str, Path]) -> None:
    model = opened(files["gemma"])
    model.read(TOKENS.tolist())
    rows = {name: cache.shape[2] for name, cache in model.caches().items()}
    ring = growth.ring_size(dynamic_graphs.WINDOW)
    assert rows == {"window_5_k_0": ring, "window_5_v_0": ring, "kv_cache_k_1": LIMIT, "kv_cache_v_1": LIMIT}


def test_the_limit_can_be_filled_and_not_overfilled(files: dict[str, Path], name: str) -> None:
    model = opened(files[name], limit=300)
    model.read(TOKENS[:298].tolist())
    assert model.room_to_score() == 2
    model.score([1, 2])
    with pytest.raises(SequenceTooLong, match="301 tokens do not fit into the model's context of 300"):
        model.step(1)
    model.reset()
    with pytest.raises(SequenceTooLong, match="do not fit"):
        model.read([1] * 301)
    assert model.position == 0


def test_without_memory_for_more_the_text_is_kept(
    files: dict[str, Path], expected: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = opened(files["llama"])
    tokens = TOKENS.tolist()
    model.prefill(tokens[:256])
    with monkeypatch.context() as full:
        full.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=100 << 10))
        with pytest.raises(
            SequenceTooLong, match=r"The text is 256 tokens long, and there is no memory .* 256 tokens fit"
        ):
            model.step(tokens[256])
    assert (model.position, model.rows) == (256, 256)
    require_close(model.step(tokens[256]), expected["llama"][256])


def test_drafting_changes_nothing(files: dict[str, Path], name: str) -> None:
    model = opened(files[name])
    prompt = (TOKENS[:20].tolist() * 13)[:250]
    plain = list(generate(model, prompt, 60, (), drafting=False))
    assert list(generate(model, prompt, 60, ())) == plain


def test_the_model_makes_the_calls_of_the_traces(files: dict[str, Path]) -> None:
    limit, done = next((limit, done) for name, limit, *_, done in length_traces.TEXTS if name == "a chat that grows")
    model = opened(files["llama"], limit)
    for (what, count), calls in zip(done, length_traces.replay(limit, (None,), done), strict=True):
        match what:
            case "read":
                model.prefill([1] * count)
            case "score":
                model.score([1] * min(count, model.room_to_score()))
            case "rewind":
                model.rewind(count)
            case _:
                model.reset()
        if calls:
            assert (model.position, model.rows) == (sum(calls[-1][:2]), calls[-1][2])


def test_int8_weights_are_read_too(tmp_path: Path, expected: dict[str, np.ndarray]) -> None:
    path = dynamic_graphs.bind_graph("llama", tmp_path / "int8.tflite", WeightFormat.INT8_PER_ROW)
    found = opened(path).read(TOKENS[:300].tolist())
    assert 1e-4 < np.abs(found - expected["llama"][299]).max() < 0.15 * np.abs(expected["llama"][299]).max()
