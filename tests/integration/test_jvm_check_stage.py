"""The host stage: the app's code on the JVM against golden prompts that ai-edge-litert wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farm.artifacts import ArtifactName
from farm.chat import Chat, Exchange, SystemPlace, SystemTurn, Trim, Turn
from farm.errors import HostMismatch
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.stages import StageName
from pipeline.android import archive
from pipeline.android.archive import Member
from pipeline.android.assembly import JOB_ASSETS
from pipeline.android.base import AppBase
from pipeline.inference.model_info import ModelInfo
from pipeline.request import StageRequest, StageResult
from pipeline.stages import jvm_check as host_stage
from pipeline.tokenizers.codec import TextCodec
from pipeline.toolchain.maven import Toolchain
from tests import processors
from tests.fixtures import golden_models
from tests.fixtures.golden_models import END, START, STEPS, Golden, GoldenModel


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> GoldenModel:
    return golden_models.make(tmp_path_factory.mktemp("bundle"))


Run = Callable[[Golden, dict[ArtifactName, Path]], tuple[StageResult, dict[str, Any]]]


@pytest.fixture
def run(tmp_path: Path, app_base: AppBase, android_toolchain: Toolchain) -> Run:
    """Runs the stage on a package of these files; gives its result and `host-run.json`."""

    def run(golden: Golden, files: dict[ArtifactName, Path]) -> tuple[StageResult, dict[str, Any]]:
        for name in ("inputs", "outputs", "scratch"):
            (tmp_path / name).mkdir()
        request = StageRequest(
            stage=StageName.JVM_CHECK, spec=JobSpec(model_kind=ModelKind.PRESET, model="x"), workdir=tmp_path,
            caches=tmp_path, toolchain=android_toolchain.folder, keystore=None, threads=processors.threads(),
        )  # fmt: skip
        request.input(ArtifactName.APP_BASE).symlink_to(app_base.folder)
        request.input(ArtifactName.GOLDEN).write_text(json.dumps(golden))
        _write_reference(request.input(ArtifactName.REFERENCE), golden)
        assets = app_base.asset_files() | {JOB_ASSETS[artifact]: path for artifact, path in files.items()}
        archive.write(request.input(ArtifactName.APK), (Member(name, path, 16384) for name, path in assets.items()))
        result = host_stage.run(request, lambda _share, _activity: None)
        return result, json.loads(request.output(ArtifactName.HOST_RUN).read_text())

    return run


def _write_reference(path: Path, golden: Golden) -> None:
    """A reference whose largest logit is 1, so that a tie is as wide as the limit says."""
    logits = np.zeros((2, 4), np.float32)
    logits[:, :2] = 1, -1
    arrays: dict[str, Any] = {"prompt_texts": np.array([one["text"] or "" for one in golden["prompts"]])}
    for number, one in enumerate(golden["prompts"]):
        arrays[f"prompt_{number}"] = np.array(one["prompt_tokens"], np.int32)
        arrays[f"greedy_{number}"] = np.array(one["tokens"], np.int32)
        arrays[f"margin_{number}"] = np.array(one["margins"], np.float32)
    tokens, nll = np.zeros(2, np.int32), np.zeros(1, np.float32)
    arrays |= {"texts": np.array(1), "text_0": tokens, "nll_0": nll}
    arrays["questions"] = arrays["prompt_texts"]
    arrays |= dict.fromkeys(("start_token", "answer_end"), np.array(-1))
    arrays |= {"stop_tokens": np.array([END], np.int32)} | dict.fromkeys(("free_prompt", "free"), np.zeros(0, np.int32))
    arrays |= {"conversation": np.zeros((0, 3), np.str_)}
    arrays |= {"likeliest_0": np.zeros((2, 1), np.int32), "log_probabilities_0": np.zeros((2, 1), np.float32)}
    with path.open("wb") as stream:
        np.savez(stream, **arrays, probe_tokens=tokens, probe_logits=logits)


def _changed(golden: Golden, prompt: int, field: str, step: int, token: int) -> Golden:
    """A copy of the golden prompts with another token in one place."""
    copy: Golden = json.loads(json.dumps(golden))
    copy["prompts"][prompt][field][step] = token
    return copy


def test_the_apps_code_writes_the_golden_tokens(run: Run, bundle: GoldenModel) -> None:
    result, record = run(bundle.golden, bundle.files)
    metrics = {metric.name: metric.value for metric in result.metrics}
    written = [[token for token in one["tokens"] if token != END] for one in bundle.golden["prompts"]]
    assert [one["tokens"] for one in record["prompts"]] == written
    steps = sum(len(one["tokens"]) for one in bundle.golden["prompts"])
    assert metrics["host_agreed"] == metrics["host_compared"] == steps - metrics["host_near_ties"] > 2 * STEPS
    assert metrics["host_decode_rate"] > 0
    assert metrics["host_prefill_seconds"] > 0


def test_another_token_fails_with_prompt_and_step(run: Run, bundle: GoldenModel) -> None:
    right = bundle.golden["prompts"][1]["tokens"][4]
    with pytest.raises(HostMismatch, match=rf"golden prompt 1 at step 4: token {right} where 7 is right"):
        run(_changed(bundle.golden, 1, "tokens", 4, 7), bundle.files)


def test_another_token_where_two_are_as_good_is_a_tie(run: Run, bundle: GoldenModel) -> None:
    golden = _changed(bundle.golden, 1, "tokens", -1, 7)
    golden["prompts"][1]["margins"][-1] = 1e-5
    result, record = run(golden, bundle.files)
    steps = len(golden["prompts"][1]["tokens"])
    assert record["prompts"][1]["near_ties"] >= 1
    assert record["prompts"][1]["agreed"] == steps - record["prompts"][1]["near_ties"]
    assert {metric.name: metric.value for metric in result.metrics}["host_near_ties"] >= 1


def _as_recipe(bundle: GoldenModel, recipe: str, folder: Path) -> dict[ArtifactName, Path]:
    """The package's files, whose description names another recipe."""
    info = folder / "model-info.json"
    ModelInfo.read(bundle.files[ArtifactName.MODEL_INFO]).model_copy(update={"recipe": recipe}).write(info)
    return {**bundle.files, ArtifactName.MODEL_INFO: info}


def test_a_rounded_model_may_part_in_a_few_steps_only(run: Run, bundle: GoldenModel, tmp_path: Path) -> None:
    """One step of 48 passes with int8, where the text of float32 would have to be the same."""
    golden = _changed(bundle.golden, 1, "tokens", -1, 7)
    _, record = run(golden, _as_recipe(bundle, "dynamic_wi8_afp32", tmp_path))
    assert record["prompts"][1]["compared"] - record["prompts"][1]["agreed"] == 1


def test_a_rounded_model_that_is_another_one_is_refused(run: Run, bundle: GoldenModel, tmp_path: Path) -> None:
    golden = bundle.golden
    for step in range(0, STEPS, 2):
        golden = _changed(golden, 0, "tokens", step, 7)
    with pytest.raises(HostMismatch, match=r"at \d+ of \d+ decisive steps, .* int8-plain asks for 90%; don't ship"):
        run(golden, _as_recipe(bundle, "dynamic_wi8_afp32", tmp_path))


@pytest.mark.parametrize("sound", [True, False])
def test_the_app_reads_the_golden_conversation(run: Run, bundle: GoldenModel, tmp_path: Path, sound: bool) -> None:
    turn = Turn(before=("on ",), after=(END, "\n"), trim=Trim.BOTH)
    system = SystemTurn(after=("\n\n",), place=SystemPlace.QUESTION, question_trim=Trim.END)
    chat = Chat(begin=(START,), user=turn, assistant=turn, generation=("on",), system=system, source="tests")
    codec = TextCodec.open(bundle.files[ArtifactName.TOKENIZER])
    exchanges = [Exchange(" one ", "two\n"), Exchange("<|end|>\u0085 naïve"), Exchange("x")]
    talks: list[dict[str, Any]] = []
    for said in (None, "brief"):
        turns = []
        for number, each in enumerate(exchanges):
            ids = codec.encode_pieces(chat.pieces(said, [*exchanges[:number], Exchange(each.question)]))
            turns.append({"question": each.question, "prompt_tokens": ids, "answer": each.answer or ""})
        talks.append({"system": said, "thinking": False, "turns": turns[:2]})
    if not sound:
        talks[1]["turns"][1]["prompt_tokens"][3] += 1
    info = tmp_path / "model-info.json"
    ModelInfo.read(bundle.files[ArtifactName.MODEL_INFO]).model_copy(update={"chat": chat}).write(info)
    files = {**bundle.files, ArtifactName.MODEL_INFO: info}
    if sound:
        run({**bundle.golden, "conversations": talks}, files)
        return
    with pytest.raises(HostMismatch, match="reads turn 2 of the golden conversation otherwise from token 3 on"):
        run({**bundle.golden, "conversations": talks}, files)


def test_a_prompt_that_the_app_reads_otherwise_fails(run: Run, bundle: GoldenModel) -> None:
    with pytest.raises(HostMismatch, match=r"tokenizer reads golden prompt 2 otherwise from token 0 on"):
        run(_changed(bundle.golden, 2, "prompt_tokens", 1, 7), bundle.files)


def test_a_damaged_model_fails_with_the_apps_own_sentence(run: Run, bundle: GoldenModel, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(bundle.files[ArtifactName.MODEL].read_bytes()[:20_000])
    with pytest.raises(HostMismatch, match=r"^The app's code refuses the package: .*\.$"):
        run(bundle.golden, {**bundle.files, ArtifactName.MODEL: damaged})
