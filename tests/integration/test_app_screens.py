"""The app's own screens on the JVM: JUnit tests of the unchanged bytecode, with the real runtime and a real model."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app as farm_command
from farm import digests, locations, measurement
from farm.appspec import AppSpec
from farm.artifacts import ArtifactName
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.stages import StageName
from pipeline.android import assembly, resources, token_table
from pipeline.android.base import AppBase, AppSources
from pipeline.android.robolectric import Harness, JUnitTest
from pipeline.inference.model_info import ModelInfo
from pipeline.request import StageRequest
from pipeline.stages import convert, screenshots, verify
from pipeline.toolchain.maven import Toolchain
from pipeline.toolchain.pins import Role
from tests.fixtures import kept_graphs
from tests.fixtures.kept_jars import kept

CLASSES = sorted(
    path.relative_to(AppSources().tests).with_suffix("").as_posix().replace("/", ".")
    for path in AppSources().tests.rglob("*Test.kt")
    if path.stem not in ("AppTest", "ChatTest", "RefusedPackageTest", "UnfilteredPackageTest")
)
REFUSED, UNFILTERED = "dev.kerasfarm.app.RefusedPackageTest", "dev.kerasfarm.app.UnfilteredPackageTest"
# LooksTest draws 13 screens on nine kinds of display, ChatStatesTest six more on one.
PICTURES = 13 * 9 + 6
PNG = b"\x89PNG\r\n\x1a\n"
# What Keras's own code says while it loads a model.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`build\\(\\)` was called on layer:UserWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]


@dataclass(frozen=True)
class TinyJob:
    """`examples/tiny_instruct` as the farm converts and verifies it."""

    request: StageRequest

    def assets(self) -> dict[str, Path]:
        """What goes into the package."""
        table = self.request.scratch / "tokenizer.bin"
        token_table.write_token_table(self.request.output(ArtifactName.TOKENIZER), table)
        files = {name: self.request.output(artifact) for artifact, name in assembly.JOB_ASSETS.items()}
        return files | {assembly.TOKEN_TABLE_ASSET: table}


@pytest.fixture(scope="module")
def tiny_job(tmp_path_factory: pytest.TempPathFactory, android_toolchain: Toolchain, graph_caches: Path) -> TinyJob:
    workdir = tmp_path_factory.mktemp("tiny-job")
    for name in ("inputs", "outputs", "scratch"):
        (workdir / name).mkdir()
    spec = JobSpec(model_kind=ModelKind.FOLDER, model="examples/tiny_instruct")
    request = StageRequest(
        stage=StageName.CONVERT, spec=spec, workdir=workdir, caches=graph_caches,
        toolchain=android_toolchain.folder, keystore=None, threads=1,
    )  # fmt: skip
    request.input(ArtifactName.SOURCE).symlink_to(locations.EXAMPLES / "tiny_instruct")
    convert.run(request, lambda _share, _activity: None)
    kept_graphs.keep(request)
    for artifact in (ArtifactName.MODEL, ArtifactName.TOKENIZER, ArtifactName.REFERENCE, ArtifactName.MODEL_INFO):
        request.input(artifact).symlink_to(request.output(artifact))
    verify.run(request, lambda _share, _activity: None)
    return TinyJob(request)


@pytest.fixture(scope="module")
def harness(app_base: AppBase, android_toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Harness:
    return Harness(app_base, android_toolchain, tmp_path_factory.mktemp("robolectric"))


@pytest.fixture(scope="module")
def jars(harness: Harness, kept_jars: Path) -> tuple[Path, ...]:
    """The driver and the tests, compiled."""
    screens, tests = harness.scratch / "screens.jar", harness.scratch / "tests.jar"
    with kept(kept_jars):
        harness.compile(AppSources().screens, (), screens)
        harness.compile(AppSources().tests, (screens,), tests)
    return screens, tests


@pytest.fixture(scope="module")
def package(harness: Harness, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Mapping[str, Any]], Path]:
    """Makes an unsigned APK with these assets beside the app's own."""
    folder = tmp_path_factory.mktemp("packages")
    pins, base = harness.toolchain.pins.target, harness.base
    platform = harness.toolchain.paths(Role.PLATFORM)[0]
    linked = resources.link(base.manifest, base.resources, base.ids, platform, AppSpec(), pins, folder)

    def make(assets: Mapping[str, Any]) -> Path:
        target = folder / f"{len(list(folder.iterdir()))}.apk"
        assembly.assemble(linked, base, dict(assets), (), pins.page_size, target)
        return target

    return make


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tests put what they draw."""
    return tmp_path_factory.mktemp("pictures")


Run = Callable[..., tuple[JUnitTest, ...]]


@pytest.fixture(scope="module")
def run(harness: Harness, jars: tuple[Path, ...], tiny_job: TinyJob, pictures: Path) -> Run:
    """Runs JUnit classes against an APK."""

    def run(package: Path, classes: list[str], **properties: str) -> tuple[JUnitTest, ...]:
        sources = AppSources()
        golden = {
            "golden": str(tiny_job.request.output(ArtifactName.GOLDEN)),
            "word.lists": str(sources.library / "assets" / "filter"),
            "corpus": str(sources.tests.parent / "resources"),
            "pictures": str(pictures),
        }
        return harness.run(
            package, jars, classes, golden | properties, timeout=400, error=AssertionError,  # type: ignore[arg-type]
            hint="a test of the app's screens failed; its trace is above.",
        )  # fmt: skip

    return run


def test_the_screens_pass_their_junit_tests(
    run: Run, package: Callable[..., Path], tiny_job: TinyJob, pictures: Path, subtests: pytest.Subtests
) -> None:
    found = run(package(tiny_job.assets()), CLASSES)
    for test in found:
        with subtests.test(msg=test.name):
            assert test.failure is None
    assert {test.name.rpartition("(")[2].rstrip(")") for test in found} == set(CLASSES)
    # Shown with `pytest -s`: how the filter does on its corpus.
    sys.stdout.write((pictures / "filter.txt").read_text())
    # What the app's screen shares is what the farm takes in.
    shared = measurement.read(pictures / "measurement.json")
    assert shared.model_sha256 == digests.of_file(tiny_job.request.output(ArtifactName.MODEL))
    assert len(list(pictures.glob("*.png"))) == PICTURES


def _damage(model: bytes, _tokenizer: bytes) -> dict[str, bytes]:
    return {assembly.MODEL_ASSET: model[:100_000]}


def _another_tokenizer(_model: bytes, tokenizer: bytes) -> dict[str, bytes]:
    return {assembly.TOKEN_TABLE_ASSET: token_table.token_table(tokenizer + b" ")}


def _damaged_tokenizer(_model: bytes, tokenizer: bytes) -> dict[str, bytes]:
    return {assembly.TOKEN_TABLE_ASSET: token_table.token_table(tokenizer)[:-1]}


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_damage, "the model is damaged"),
        (_another_tokenizer, "its tokenizer is not the one that it was made with"),
        (_damaged_tokenizer, "tokenizer.bin is cut short"),
        (None, "The file autocomplete.tflite is not in this package"),
    ],
)
def test_an_unfit_model_gives_a_sentence(
    run: Run,
    package: Callable[..., Path],
    tiny_job: TinyJob,
    tmp_path: Path,
    spoil: Callable[[bytes, bytes], dict[str, bytes]] | None,
    sentence: str,
) -> None:
    assets: dict[str, Path] = {}
    if spoil is not None:
        assets = tiny_job.assets()
        files = [tiny_job.request.output(name).read_bytes() for name in (ArtifactName.MODEL, ArtifactName.TOKENIZER)]
        for name, content in spoil(*files).items():
            assets[name] = tmp_path / "spoiled"
            assets[name].write_bytes(content)
    (test,) = run(package(assets), [REFUSED], sentence=sentence)
    assert test.failure is None


def test_the_command_line_answers_as_the_app_does(tiny_job: TinyJob) -> None:
    golden = json.loads(tiny_job.request.output(ArtifactName.GOLDEN).read_text())
    folder = tiny_job.request.output(ArtifactName.MODEL).parent
    prompting = ModelInfo.read(tiny_job.request.output(ArtifactName.MODEL_INFO)).prompting
    prompt = golden["prompts"][0]
    question = prompting.question(prompt["text"])
    assert question == prompting.prompts[0]
    ran = CliRunner().invoke(farm_command, ["run", str(folder), question])
    assert ran.exit_code == 0, ran.output
    assert ran.stdout == f"{prompt['completion'].strip()}\n"
    ran = CliRunner().invoke(farm_command, ["run", str(folder), prompt["text"], "--mode", "complete"])
    assert ran.stdout == f"{prompt['text']}{prompt['completion']}\n"


def test_a_job_can_switch_the_filter_off(
    run: Run, package: Callable[..., Path], tiny_job: TinyJob, tmp_path: Path
) -> None:
    settings = tmp_path / "app-settings.json"
    assembly.write_app_settings(AppSpec(filter=False), settings)
    (test,) = run(package(tiny_job.assets() | {assembly.APP_SETTINGS_ASSET: settings}), [UNFILTERED])
    assert test.failure is None


def test_the_stage_draws_both_themes(
    harness: Harness, package: Callable[..., Path], tiny_job: TinyJob, kept_jars: Path, tmp_path: Path
) -> None:
    request = tiny_job.request.model_copy(update={"stage": StageName.SCREENSHOTS, "workdir": tmp_path})
    for name in ("inputs", "outputs", "scratch"):
        (tmp_path / name).mkdir()
    request.input(ArtifactName.APP_BASE).symlink_to(harness.base.folder)
    request.input(ArtifactName.GOLDEN).symlink_to(tiny_job.request.output(ArtifactName.GOLDEN))
    request.input(ArtifactName.APK).symlink_to(package(tiny_job.assets()))
    with kept(kept_jars):
        screenshots.run(request, lambda _share, _activity: None)
    light, dark = (
        request.output(name).read_bytes() for name in (ArtifactName.SCREENSHOT_LIGHT, ArtifactName.SCREENSHOT_DARK)
    )
    assert light.startswith(PNG)
    assert dark.startswith(PNG)
    assert light != dark
    # The compiled driver goes into the farm's cache, for the next job.
    assert len(list((tmp_path / "adopt" / "screens").iterdir())) == 1
