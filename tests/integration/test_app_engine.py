"""The app's engine, run on the JVM with the phone's runtime, against ai-edge-litert on the same files."""

from __future__ import annotations

import json
import shutil
import struct
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from farm import digests, locations
from farm.recipes import WeightFormat
from pipeline import process
from pipeline.android import archive, compilation
from pipeline.android.archive import Member
from pipeline.conversion.binding.binder import bind
from pipeline.conversion.description import Layer, RotaryEmbedding
from pipeline.inference import growth
from pipeline.inference.interpreter import TokenModel, open_token_model
from pipeline.inference.model_info import ModelInfo
from pipeline.toolchain.maven import Toolchain
from pipeline.toolchain.pins import Role
from tests import processors
from tests.fixtures import decoders, drafting_traces, length_traces, weightless_graphs
from tests.fixtures.drafting_traces import Trace
from tests.fixtures.host_driver import HostDriver
from tests.fixtures.kept_jars import make_once
from tests.fixtures.weightless_graphs import GPT2_LIKE, LLAMA_LIKE, Sizes

if TYPE_CHECKING:
    from pipeline.android.base import AppBase

RULES = locations.ANDROID_BUILDER / "generation" / "consumer-rules.pro"
CLASSES = locations.ANDROID_BUILDER / "generation/src/main/assets/unicode-classes.bin"
SAMPLING: list[dict[str, Any]] = json.loads((locations.ROOT / "tests/fixtures/sampling.json").read_text())
NO_END = 299  # the graphs' last token; a model that chose it would stop, which the tests below would see
# Other builds of the runtime add in another order, so a lead this small may turn around.
TIE = 1e-3
PROMPT_LENGTHS = (1, 2, 4, 5, 6, 17, 20, 22, 34, 46, 47)
# Caches of 256, 512, 1,024 and at last 1,100 rows; prompts end in a whole call and behind one.
LIMIT = 1100
LONG_PROMPTS = (128, 129, 250, 256, 300, 513, 1000)


@dataclass(frozen=True)
class ArrayWeights:
    """Weights held in memory."""

    arrays: Mapping[str, NDArray[np.float32]]

    def names(self) -> list[str]:
        return list(self.arrays)

    def shape(self, name: str) -> tuple[int, ...]:
        return self.arrays[name].shape

    def rows(self, name: str, start: int, stop: int) -> NDArray[np.float32]:
        return self.arrays[name][start:stop]


@dataclass(frozen=True)
class Built:
    """A small random model with its description; context: the longest text."""

    model: Path
    info: Path
    sizes: Sizes
    context: int

    def prompt(self, length: int) -> list[int]:
        """Random tokens."""
        return [int(token) for token in np.random.default_rng(length).integers(0, self.sizes.vocabulary - 1, length)]


def build(sizes: Sizes, weight_format: WeightFormat, folder: Path, context: int | None = None) -> Built:
    """Bind random weights into one of the fixtures' graphs."""
    path = folder / f"{sizes.name}-{weight_format}.tflite"
    built = Built(path, path.with_suffix(".json"), sizes, context or sizes.context)
    bind(sizes.run_path, ArrayWeights(weightless_graphs.random_weights(sizes, seed=3)), weight_format, built.model)
    describe(built, weight_format)
    return built


def describe(built: Built, weight_format: WeightFormat) -> None:
    """Write what the farm says of a model beside it."""
    sizes = built.sizes
    ModelInfo(
        name=sizes.name, family="GPT2", io_mode="tokens", recipe=weight_format,
        context=built.context, prefill=(),
        vocabulary_size=sizes.vocabulary, layers=sizes.layers, kv_heads=sizes.kv_heads, head_dim=sizes.head_dim,
        start_token=None, end_token=NO_END, stop_tokens=(NO_END,), tokenizer=None, tokenizer_sha256=None,
        model_sha256=digests.of_file(built.model), source="test", source_digest=None,
    ).write(built.info)  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The GPT-2-like model in float32."""
    return build(GPT2_LIKE, WeightFormat.FLOAT32, tmp_path_factory.mktemp("model"))


def opened(driver: HostDriver, built: Built) -> dict[str, Any]:
    """Open a model from its files."""
    return driver.ask(cmd="open", model=str(built.model), info=str(built.info), threads=processors.threads())


def greedy(model: TokenModel, prompt: list[int], count: int) -> tuple[list[int], list[float]]:
    """ai-edge-litert's greedy tokens, the end token included, and by how much each led."""
    model.rewind()
    logits, tokens, leads = model.read(prompt), [], []
    while True:
        best, second = np.sort(logits)[::-1][:2]
        tokens.append(int(logits.argmax()))
        leads.append(float(best - second))
        if len(tokens) == count or tokens[-1] == NO_END:
            return tokens, leads
        logits = model.step(tokens[-1])


def require_equal_writing(driver: HostDriver, built: Built) -> None:
    """Every prompt length, up to the end of the context: the same tokens, led by the same margins."""
    model = open_token_model(built.model, context=built.context)
    compared = 0
    for length in PROMPT_LENGTHS:
        prompt = built.prompt(length)
        room = built.context - length + 1
        expected, leads = greedy(model, prompt, min(room, 30) if length < 47 else 1)
        answer = driver.ask(cmd="generate", prompt_tokens=prompt, max_new_tokens=len(expected))
        near_tie = next((step for step, lead in enumerate(leads) if lead < TIE), len(expected))
        assert answer["tokens"][:near_tie] == [token for token in expected[:near_tie] if token != NO_END], length
        assert answer["margins"][:near_tie] == pytest.approx(leads[:near_tie], abs=TIE), length
        compared += near_tie
    assert compared > 200


@pytest.mark.parametrize("sizes", [GPT2_LIKE, LLAMA_LIKE], ids=lambda sizes: sizes.name)
@pytest.mark.parametrize("weight_format", [WeightFormat.FLOAT32, WeightFormat.FLOAT16])
def test_tokens_equal_those_of_ai_edge_litert(
    shared_driver: HostDriver, sizes: Sizes, weight_format: WeightFormat, tmp_path: Path
) -> None:
    built = build(sizes, weight_format, tmp_path)
    answer = opened(shared_driver, built)
    assert (answer["context"], answer["rows"]) == (sizes.context, sizes.context)
    require_equal_writing(shared_driver, built)


@pytest.mark.parametrize(
    "weight_format", [WeightFormat.INT8_PER_ROW, WeightFormat.INT4_PER_ROW, WeightFormat.INT4_BLOCKS_OF_32]
)
def test_quantized_weights_start_as_in_ai_edge_litert(
    shared_driver: HostDriver, weight_format: WeightFormat, tmp_path: Path
) -> None:
    """Activations are rounded to int8 at every step, and builds round apart: the first token is compared."""
    built = build(GPT2_LIKE, weight_format, tmp_path)
    opened(shared_driver, built)
    model = open_token_model(built.model, context=built.context)
    for length in PROMPT_LENGTHS:
        (expected,), (lead,) = greedy(model, built.prompt(length), 1)
        answer = shared_driver.ask(cmd="generate", prompt_tokens=built.prompt(length), max_new_tokens=1)
        assert answer["tokens"] == [expected] or lead < 0.1
        assert answer["margins"] == pytest.approx([lead], abs=0.1)


@pytest.mark.parametrize("case", SAMPLING, ids=range(len(SAMPLING)))
def test_the_app_draws_what_python_draws(shared_driver: HostDriver, case: dict[str, Any]) -> None:
    asked = {name: value for name, value in case.items() if name != "tokens"}
    assert shared_driver.ask(cmd="sample", steps=len(case["tokens"]), **asked)["tokens"] == case["tokens"]


@pytest.mark.parametrize("trace", drafting_traces.load(), ids=lambda trace: trace.name)
def test_the_app_drafts_what_python_drafts(shared_driver: HostDriver, trace: Trace) -> None:
    answer = shared_driver.ask(cmd="draft", tokens=trace.tokens, prompt=trace.prompt, most=drafting_traces.MOST)
    assert [(place, tuple(drafts)) for place, drafts in answer["drafts"]] == list(trace.drafts)


def test_one_generation_leaves_nothing_to_the_next(shared_driver: HostDriver, built: Built) -> None:
    opened(shared_driver, built)
    first = shared_driver.ask(cmd="generate", prompt_tokens=built.prompt(5), max_new_tokens=20)
    shared_driver.ask(cmd="generate", prompt_tokens=built.prompt(34), max_new_tokens=10)
    assert (
        shared_driver.ask(cmd="generate", prompt_tokens=built.prompt(5), max_new_tokens=20)["tokens"] == first["tokens"]
    )


def test_writing_stops_at_the_end_of_the_context(shared_driver: HostDriver, built: Built) -> None:
    opened(shared_driver, built)
    answer = shared_driver.ask(cmd="generate", prompt_tokens=built.prompt(40), max_new_tokens=100)
    assert answer["stop_reason"] == "context_full"
    assert len(answer["tokens"]) == built.context - 40 + 1
    answer = shared_driver.ask(cmd="generate", prompt_tokens=built.prompt(built.context), max_new_tokens=1)
    assert answer["error"] == "The prompt has 48 tokens and the model's context is 48; shorten the prompt."


def test_the_end_token_ends_the_writing_and_is_not_given_out(
    shared_driver: HostDriver, built: Built, tmp_path: Path
) -> None:
    opened(shared_driver, built)
    tokens = shared_driver.ask(cmd="generate", prompt_tokens=built.prompt(5), max_new_tokens=20)["tokens"]
    end = tokens[7]
    info = tmp_path / "info.json"
    ModelInfo.read(built.info).model_copy(update={"end_token": end, "stop_tokens": (end,)}).write(info)
    opened(shared_driver, replace(built, info=info))
    answer = shared_driver.ask(cmd="generate", prompt_tokens=built.prompt(5), max_new_tokens=20)
    assert answer["tokens"] == tokens[: tokens.index(end)]
    assert answer["stop_reason"] == "end_token"
    assert len(answer["margins"]) == len(answer["tokens"]) + 1


def package(built: Built, target: Path, **changed: Path) -> Path:
    """An APK's assets, laid out as the farm does, behind some bytes that shift the model."""
    contents: dict[str, Path | bytes] = {
        "assets/filler": b"x" * 12_345,
        "assets/model-info.json": built.info,
        "assets/autocomplete.tflite": built.model,
        "assets/unicode-classes.bin": CLASSES,
    }
    archive.write(target, [Member(name, source, 4096) for name, source in (contents | changed).items()])
    return target


def test_the_model_is_used_where_it_lies_in_the_apk(shared_driver: HostDriver, built: Built, tmp_path: Path) -> None:
    path = package(built, tmp_path / "app.apk")
    assert shared_driver.ask(cmd="open", apk=str(path), threads=processors.threads())["context"] == built.context
    mapped = [region for region in psutil.Process(shared_driver.pid).memory_maps() if region.path == str(path)]
    assert mapped, "the APK is not mapped"
    require_equal_writing(shared_driver, built)


def test_a_compressed_model_is_refused(shared_driver: HostDriver, built: Built, tmp_path: Path) -> None:
    path = tmp_path / "app.apk"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        target.write(built.info, "assets/model-info.json")
        target.write(built.model, "assets/autocomplete.tflite")
    assert "compressed" in shared_driver.ask(cmd="open", apk=str(path))["error"]


def _truncate(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _point_elsewhere(content: bytes) -> bytes:
    return struct.pack("<I", len(content) * 2) + content[4:]


def _scramble(content: bytes) -> bytes:
    return content[:64] + bytes(255 - byte for byte in content[64:4096]) + content[4096:]


@pytest.mark.parametrize(
    "damage", [_truncate, _point_elsewhere, _scramble, lambda _content: b"", lambda content: bytes(len(content))],
    ids=["truncated", "root-elsewhere", "scrambled", "empty", "zeros"],
)  # fmt: skip
def test_a_damaged_model_is_refused_with_a_sentence(
    shared_driver: HostDriver, built: Built, tmp_path: Path, damage: Any
) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(damage(built.model.read_bytes()))
    answer = opened(shared_driver, replace(built, model=path))
    assert answer["error"].startswith("The model ")
    # The program lives on and opens the next one.
    assert "error" not in opened(shared_driver, built)


def test_other_refusals_are_sentences(host_driver: HostDriver, built: Built, tmp_path: Path) -> None:
    assert "No model" in host_driver.ask(cmd="generate", prompt_tokens=[1], max_new_tokens=1)["error"]
    opened(host_driver, built)
    assert "vocabulary" in host_driver.ask(cmd="generate", prompt_tokens=[300], max_new_tokens=1)["error"]
    assert "at least one" in host_driver.ask(cmd="generate", prompt_tokens=[], max_new_tokens=1)["error"]
    assert "cannot be read" in opened(host_driver, replace(built, model=tmp_path / "none.tflite"))["error"]
    (tmp_path / "info.json").write_text('{"format": 2}')
    assert "format" in opened(host_driver, replace(built, info=tmp_path / "info.json"))["error"]
    # A graph whose weights are still inputs would run, on zeros.
    assert "has the input w__" in opened(host_driver, replace(built, model=built.sizes.run_path))["error"]


def test_closed_models_give_their_memory_back(host_driver: HostDriver, built: Built) -> None:
    def resident() -> int:
        return int(psutil.Process(host_driver.pid).memory_info().rss)

    def reopen(times: int) -> None:
        for _ in range(times):
            assert "error" not in opened(host_driver, built)
            assert len(host_driver.ask(cmd="generate", prompt_tokens=[1], max_new_tokens=2)["tokens"]) == 2

    def growth(times: int) -> int:
        before = resident()
        reopen(times)
        return resident() - before

    reopen(20)
    # Sixty leaked models would hold 60 caches of 98 kB, 60 mapped files and as many packed weights: 30 MB, each time.
    # What the virtual machine itself grows by, its heap and its compiler's, it grows by once.
    assert min(growth(60) for _ in range(3)) < 15 << 20


def test_the_weights_are_packed_once_whatever_is_read(host_driver: HostDriver, built: Built, tmp_path: Path) -> None:
    wide = Sizes(str(tmp_path / "wide"), 2, 1024, 4, 4, 8, 2048, 300, 0, 48, ())
    wide.run_path.write_bytes(weightless_graphs.convert_run(wide))
    weights = 2 * 3 * wide.width * wide.hidden * 4  # the feed-forwards' matrices, which are nearly all of them

    def held(model: Built, length: int) -> int:
        answer = host_driver.ask(cmd="generate", prompt_tokens=model.prompt(length), max_new_tokens=8)
        assert answer["tokens"]
        found = psutil.Process(host_driver.pid).memory_info()
        return int(found.rss - found.shared)

    model = build(wide, WeightFormat.FLOAT32, tmp_path, LIMIT)
    opened(host_driver, built)
    before = held(built, 1)
    opened(host_driver, model)
    after_short = held(model, 1)
    assert 0.9 * weights < after_short - before < 1.4 * weights
    assert held(model, 700) - after_short < 0.3 * weights


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The Llama-like model, which has no longest position, for texts that outgrow the first cache."""
    return build(LLAMA_LIKE, WeightFormat.FLOAT32, tmp_path_factory.mktemp("long"), LIMIT)


def windowed(folder: Path, *windows: int | None) -> Built:
    """A model whose layers have these attention windows."""
    from pipeline.conversion import graph

    description = replace(
        decoders.GEMMA, vocabulary_size=LLAMA_LIKE.vocabulary,
        layers=tuple(Layer(RotaryEmbedding(1e4, 8), attention_window=window) for window in windows),
    )  # fmt: skip
    path, name = folder / "graph.tflite", "-".join(map(str, windows))
    path.write_bytes(graph.convert(description))
    sizes = Sizes(name, len(windows), 32, 4, 2, 8, 48, description.vocabulary_size, 0, 0, ())
    built = Built(folder / f"{name}.tflite", folder / f"{name}.json", sizes, LIMIT)
    bind(path, ArrayWeights(decoders.random_weights(description, seed=3)), WeightFormat.FLOAT32, built.model)
    describe(built, WeightFormat.FLOAT32)
    return built


def require_equal_long_texts(driver: HostDriver, built: Built) -> None:
    """Prompts of several calls, and texts that outgrow their caches: the same tokens, led by the same margins."""
    model = open_token_model(built.model, context=built.context)
    assert opened(driver, built)["rows"] == growth.FIRST_ROWS
    compared = 0
    for length in LONG_PROMPTS:
        prompt = built.prompt(length)
        expected, leads = greedy(model, prompt, 20)
        answer = driver.ask(cmd="generate", prompt_tokens=prompt, max_new_tokens=20)
        near_tie = next((step for step, lead in enumerate(leads) if lead < TIE), len(expected))
        assert answer["tokens"][:near_tie] == [token for token in expected[:near_tie] if token != NO_END], length
        assert answer["margins"][:near_tie] == pytest.approx(leads[:near_tie], abs=TIE), length
        compared += near_tie
    assert compared > 100


def test_caches_grow_with_the_text_as_in_python(shared_driver: HostDriver, long: Built) -> None:
    require_equal_long_texts(shared_driver, long)
    for length, written, rows in ((250, 6, 256), (250, 8, 512), (600, 1, 1024), (1030, 1, LIMIT), (1, 2, 256)):
        answer = shared_driver.ask(cmd="generate", prompt_tokens=long.prompt(length), max_new_tokens=written)
        assert (len(answer["tokens"]), answer["rows"]) == (written, rows)


@pytest.mark.parametrize("windows", [(5, None), (300, None, 5), (40, 40)], ids=str)
def test_layers_with_windows_keep_rings(
    shared_driver: HostDriver, windows: tuple[int | None, ...], tmp_path: Path
) -> None:
    require_equal_long_texts(shared_driver, windowed(tmp_path, *windows))


def test_lengths_are_those_of_python(shared_driver: HostDriver) -> None:
    for limit, windows in ((4096, []), (1000, [512]), (8192, [5, 300])):
        positions = [*range(0, min(limit, 1500), 7), limit - 1]
        answer = shared_driver.ask(cmd="lengths", limit=limit, windows=windows, positions=positions)
        assert answer["rows"] == [growth.rows_for(place + 1, limit) for place in positions]
        assert answer["longest"] == [growth.longest_call(place, windows) for place in positions]
        for place, kept in zip(positions, answer["keeps"], strict=True):
            rows = growth.rows_for(place + 1, limit)
            expected = [growth.can_rewind(back, place + 1, rows, windows) for back in range(0, place + 1, 50)]
            assert kept == expected, (limit, windows, place)


@pytest.mark.parametrize("text", length_traces.load()["texts"], ids=lambda text: text["name"])
def test_the_golden_traces_hold_in_the_app(shared_driver: HostDriver, text: dict[str, Any]) -> None:
    limit, windows = text["limit"], [window for window in text["windows"] if window is not None]
    places, expected, rewinds, kept = [], [], [], []
    position = written = 0
    rows = min(limit, growth.FIRST_ROWS)
    for (what, count), calls in zip(text["done"], text["calls"], strict=True):
        if what == "rewind":
            rewinds.append([count, written, rows])
            kept.append(calls is not None)
            if calls is not None:
                position, written = count, written if count else 0
        elif what == "reset":
            position, written, rows = 0, 0, min(limit, growth.FIRST_ROWS)
        for number, (length, start, held, *rings) in enumerate(calls or []):
            assert start == position
            left = count - sum(call[0] for call in calls[:number]) if what == "read" else min(count, limit - start)
            places.append((start, start + length - 1))
            expected.append((length, left, rows, held, [ring for ring, _ in rings]))
            position, written, rows = start + length, max(written, start + length), held
    first, last = zip(*places, strict=True)
    begins = shared_driver.ask(cmd="lengths", limit=limit, windows=windows, positions=first, rewinds=rewinds)
    ends = shared_driver.ask(cmd="lengths", limit=limit, windows=windows, positions=last)
    assert begins["rewinds"] == kept
    for number, (length, left, before, held, rings) in enumerate(expected):
        assert min(begins["longest"][number], left) == length
        assert max(before, ends["rows"][number]) == held
        if held > before or number == 0:
            assert ends["rings"][number] == rings


def test_the_golden_masks_hold_in_the_app(shared_driver: HostDriver) -> None:
    masks = length_traces.load()["masks"]
    assert len(masks) > 5
    for mask in masks:
        seen = mask.pop("seen")
        assert shared_driver.ask(cmd="mask", **mask)["seen"] == seen, mask


def test_without_memory_for_a_longer_cache_the_text_so_far_is_kept(shared_driver: HostDriver, long: Built) -> None:
    opened(shared_driver, long)
    whole = shared_driver.ask(cmd="generate", prompt_tokens=long.prompt(240), max_new_tokens=60)["tokens"]
    assert len(whole) == 60
    shared_driver.ask(cmd="open", model=str(long.model), info=str(long.info), threads=1, free_bytes=100_000)
    answer = shared_driver.ask(cmd="generate", prompt_tokens=long.prompt(240), max_new_tokens=60)
    assert answer["stop_reason"] == "memory_full"
    # The last token was chosen, and has no row any more.
    assert len(answer["tokens"]) == growth.FIRST_ROWS - 240 + 1
    assert answer["tokens"] == whole[: len(answer["tokens"])]
    error = shared_driver.ask(cmd="generate", prompt_tokens=long.prompt(700), max_new_tokens=1)["error"]
    assert error == "A text of 384 tokens takes 1 MB, which this device does not have free; 256 tokens fit."
    again = shared_driver.ask(cmd="generate", prompt_tokens=long.prompt(240), max_new_tokens=5)
    assert again["tokens"] == whole[:5]


def test_a_model_of_the_former_contract_is_to_be_converted_again(
    shared_driver: HostDriver, built: Built, tmp_path: Path
) -> None:
    bind(
        GPT2_LIKE.path, ArrayWeights(weightless_graphs.random_weights(GPT2_LIKE, seed=3)), WeightFormat.FLOAT32,
        tmp_path / "former.tflite",
    )  # fmt: skip
    answer = opened(shared_driver, replace(built, model=tmp_path / "former.tflite"))
    assert answer["error"] == "The model was made for an earlier version of this app; convert it again."


@pytest.fixture(scope="module")
def shrunk_driver(
    app_base: AppBase, android_toolchain: Toolchain, kept_jars: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HostDriver]:
    """The driver over classes that R8 shrank and renamed by the app's own rules, as class files."""
    folder = tmp_path_factory.mktemp("shrunk")
    rules, shrunk = folder / "host.pro", folder / "shrunk.jar"
    rules.write_text(
        "-keep class dev.kerasfarm.host.Main { public static void main(java.lang.String[]); }\n"
        "-dontwarn android.**\n-dontwarn org.json.**\n"
    )
    java = Path(shutil.which("java") or "java").resolve().parents[1]
    shrinker = android_toolchain.paths(Role.SHRINKER)
    jars = (app_base.library_jar, app_base.host_jar, *android_toolchain.paths(Role.LIBRARY))
    options = ("--classfile", "--release", "--no-data-resources")

    def shrink() -> None:
        process.run(
            (
                java / "bin" / "java", *compilation.JVM, "-cp", ":".join(map(str, shrinker)), "com.android.tools.r8.R8",
                *options, "--lib", java, "--pg-conf", RULES, "--pg-conf", rules, "--output", shrunk, *jars,
            ),
            timeout=300, error=AssertionError, hint="the rules do not hold",  # type: ignore[arg-type]
        )  # fmt: skip

    make_once(kept_jars, options, (RULES, rules, *shrinker, *jars), shrunk, shrink)
    with zipfile.ZipFile(shrunk) as jar:
        assert not any(name.startswith("dev/kerasfarm/generation/") for name in jar.namelist()), "nothing was renamed"
    others = [path for role in (Role.HOST_NATIVE, Role.PLATFORM) for path in android_toolchain.paths(role)]
    driver = HostDriver([shrunk, *others], "-Xmn8m")
    yield driver
    assert driver.quit() == 0


def test_the_shrunk_classes_still_reach_the_runtime(shrunk_driver: HostDriver, built: Built) -> None:
    """What native code looks up by name must survive R8; nothing else runs the phone's code before a phone does."""
    opened(shrunk_driver, built)
    require_equal_writing(shrunk_driver, built)
