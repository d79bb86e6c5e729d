"""The `strings` mode: the I/O mode `bytes`'s graph between strings, run by TensorFlow's interpreter with Flex."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from farm import locations, recipes
from farm.appspec import Abi, AppSpec
from farm.artifacts import ArtifactName
from farm.jobspec import IoMode, TokenizerGraph
from farm.stages import BY_NAME, StageName
from pipeline.android import golden, keystore
from pipeline.android.base import AppBase
from pipeline.conversion import keras_tokenizer
from pipeline.conversion.io_modes.strings import FLEX_OPERATORS
from pipeline.flex import reference_run as comparison
from pipeline.flex.runner import FlexModel
from pipeline.inference.archive import find_files
from pipeline.inference.inspection import inspect
from pipeline.inference.mixed_texts import mixed_texts
from pipeline.inference.model_info import ModelInfo
from pipeline.inference.reference import read_reference
from pipeline.inference.text_model import Completion, Sampling
from pipeline.request import StageRequest
from pipeline.stages import aar, ops, package, reference_run, verify
from pipeline.toolchain.maven import Toolchain
from tests.fixtures.machine_traces import of_this_machine, traces
from tests.fixtures.text_modes import (
    CONTEXT,
    KERAS_WARNINGS,
    PROMPT_BYTES,
    Conversions,
    broken_texts,
    make_request,
    read_broken,
    reference_tokenizer,
    say_nothing,
)

pytestmark = KERAS_WARNINGS


@pytest.fixture(scope="module")
def reference() -> Tokenizer:
    return reference_tokenizer()


@pytest.fixture(scope="module")
def converted(reference: Tokenizer, graph_caches: Path, tmp_path_factory: pytest.TempPathFactory) -> Conversions:
    return Conversions(tmp_path_factory, reference, IoMode.STRINGS, graph_caches)


@pytest.fixture(scope="module")
def exact(converted: Conversions) -> StageRequest:
    return converted.make("none")[0]


def flex(request: StageRequest) -> FlexModel:
    return FlexModel(request.input(ArtifactName.MODEL), 1, PROMPT_BYTES, CONTEXT)


def test_nothing_of_this_machine_is_in_the_file_or_beside_it(exact: StageRequest) -> None:
    files = [path for path in (exact.workdir / "inputs").iterdir() if path.is_file()]
    assert len(files) >= 3
    assert traces(files, of_this_machine(exact.workdir.parent, locations.ROOT)) == []


def test_every_golden_prompt_goes_on_as_keras_does(exact: StageRequest) -> None:
    result = verify.run(exact, say_nothing)
    figures = {metric.name: metric.value for metric in result.metrics}
    golden = json.loads(exact.output(ArtifactName.GOLDEN).read_text())["prompts"]
    assert figures["tokenizer_texts"] == 400
    assert figures["text_prompts_equal_to_keras"] == sum(bool(prompt["text"]) for prompt in golden) > 0
    found = inspect(exact.input(ArtifactName.MODEL))
    assert set(found.custom_operators) == FLEX_OPERATORS
    # What a program runs that does not ask for a signature.
    assert next(signature for signature in found.signatures if signature.subgraph == 0).name == "serving_default"


@pytest.fixture(scope="module")
def verified(converted: Conversions) -> StageRequest:
    request, _ = converted.make("int8", app=AppSpec(abis=(Abi.ARM64,)))
    verify.run(request, say_nothing)
    return request


def test_int8_is_stored_for_the_runtime_of_the_flex_aar(verified: StageRequest) -> None:
    request = verified
    info = ModelInfo.read(request.input(ArtifactName.MODEL_INFO))
    assert (info.runtime, info.weights) == ("TFLite 2.14", "int8-per-tensor")
    versions = {(one.name, one.version) for one in inspect(request.input(ArtifactName.MODEL)).operators}
    assert ("FULLY_CONNECTED", 9) in versions
    assert ("EMBEDDING_LOOKUP", 3) in versions
    assert max(version for name, version in versions if name == "FULLY_CONNECTED") == 9


def test_the_rest_of_a_job_writes_from_the_app_what_was_verified(
    verified: StageRequest,
    reference_caches: Path,
    strings_app_base: AppBase,
    android_toolchain: Toolchain,
    tmp_path: Path,
) -> None:
    """From the verified file through TensorFlow of the AAR's version and the AAR's check to the signed package."""
    key = keystore.prepare(verified.spec.app, tmp_path / "keys", tmp_path / "key")
    common = {"caches": reference_caches, "toolchain": android_toolchain.folder, "keystore": key.folder}
    shutil.copytree(verified.workdir / "inputs", tmp_path / "job" / "inputs")
    shutil.copytree(verified.workdir / "outputs", tmp_path / "job" / "inputs", dirs_exist_ok=True)
    (tmp_path / "job" / "inputs" / ArtifactName.APP_BASE).symlink_to(strings_app_base.folder)
    results = {}
    for stage, run in (
        ("ops", ops.run),
        ("reference-run", reference_run.run),
        ("aar", aar.run),
        ("package", package.run),
    ):
        request = make_request(
            tmp_path / "job", StageName(stage), io_mode=IoMode.STRINGS, recipe="int8", app=verified.spec.app
        )
        request = request.model_copy(update=common)
        results[stage] = run(request, say_nothing)
        for made in (tmp_path / "job" / "outputs").iterdir():
            made.rename(tmp_path / "job" / "inputs" / made.name)
    files = [path for path in (tmp_path / "job" / "inputs").iterdir() if path.is_file()]
    assert {ArtifactName.MODEL, ArtifactName.MODEL_INFO, ArtifactName.APK} <= {path.name for path in files}
    assert traces(files, of_this_machine(tmp_path, verified.workdir.parent, locations.ROOT)) == []
    figures = {metric.name: metric.value for metric in (*results["ops"].metrics, *results["reference-run"].metrics)}
    assert figures["flex_ops"] == len(FLEX_OPERATORS)
    # How many prompts go on alike to their end depends on the processor's kernels.
    assert figures["reference_agreement"] >= recipes.find("int8").limits.greedy_agreement
    assert figures["reference_prompts"] > 2
    assert "Not ready for Google Play" in results["aar"].notes[0]
    wanted = golden.read(request.input(ArtifactName.GOLDEN))
    prompts = comparison.askable(wanted, PROMPT_BYTES)
    near_tie = wanted.limits.near_tie * read_reference(request.input(ArtifactName.REFERENCE)).logit_scale
    with find_files(request.input(ArtifactName.APK)) as packed:
        assert packed.info.special_tokens == "text"
        model = FlexModel(packed.path, 1, PROMPT_BYTES, CONTEXT)
        answers = model.answer([], comparison.completions(prompts)).answers
        least = recipes.find("int8").limits.greedy_agreement
        comparison.compare(prompts, answers, packed.info.stop_tokens, near_tie, least, "of this environment")


def test_texts_and_broken_texts_are_read_as_by_the_reference(exact: StageRequest, reference: Tokenizer) -> None:
    # The graph is that of the I/O mode `bytes`, whose tests read 5,000.
    texts = list(mixed_texts(1500, PROMPT_BYTES))
    broken = list(broken_texts(100, PROMPT_BYTES))
    assert texts[0] == ""
    asked = (
        Completion(b"\xff\xfe def\xc3", 4),
        Completion("caf\u00e9 \0".encode(), 6),
        Completion(b"def run", 16, Sampling(2.0, 40, 3)),
        Completion(b"def run", 16, Sampling(2.0, 40, 3)),
        Completion(b"def run", 16, Sampling(2.0, 40, 4)),
        Completion(b"def run", 16, Sampling(2.0, 1, 5)),
        Completion(b"def run", 16),
        Completion(b"def run", None),
        Completion(b"def run", CONTEXT),
    )
    found = flex(exact).answer([*(text.encode() for text in texts), *broken], asked)
    rights = [tuple(reference.encode(text).ids) for text in texts]
    wrong = [text for text, read, right in zip(texts, found.tokens, rights, strict=False) if read != right]
    assert wrong == []
    for content, tokens in zip(broken, found.tokens[len(texts) :], strict=True):
        assert list(tokens) == read_broken(reference, content), content
    assert all(answer.text.startswith(one.prompt) for one, answer in zip(asked, found.answers, strict=True))
    _, _, once, again, other, best, greedy, default, longest = found.answers
    assert once.tokens == again.tokens != other.tokens
    assert best.tokens == greedy.tokens
    assert default.text == longest.text


def test_keras_hubs_own_graph_is_verified(converted: Conversions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras_tokenizer, "TEXTS", 60)
    request, conversion = converted.make("none", tokenizer_graph=TokenizerGraph.TFTEXT)
    assert StageName.PACKAGE in conversion.skips
    result = verify.run(request, say_nothing)
    figures = {metric.name: metric.value for metric in result.metrics}
    assert figures["text_prompts_equal_to_keras"] == figures["text_prompts"] > 2
    assert all(request.output(name).is_file() for name in BY_NAME[StageName.VERIFY].outputs)
    found = inspect(request.input(ArtifactName.MODEL))
    assert {"FlexRegexSplitWithOffsets", "FlexUnsortedSegmentJoin"} <= set(found.custom_operators)
    assert max(one.version for one in found.operators if one.name == "FULLY_CONNECTED") <= 9
    differing = next(each.value for each in conversion.metrics if each.name == "tokenizer_texts_read_otherwise")
    assert 0 < differing < 30, "of some 60 texts; outside of graphs it splits nothing and reads most of them otherwise"
    assert f"reads {differing:.0f} of " in conversion.notes[0]
    assert " mixed texts otherwise than the tokenizers package" in conversion.notes[0]
    info = ModelInfo.read(request.input(ArtifactName.MODEL_INFO))
    assert (info.tokenizer_graph, info.runtime, info.prefill) == ("tftext", "TFLite 2.14", ())
