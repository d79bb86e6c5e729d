"""What app developers take from a job: `generation.aar`, used as an app uses it, and the Android Studio project."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import tomllib
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from cli.main import app as farm_command
from farm import digests, locations
from farm.appspec import AppSpec
from farm.artifacts import ArtifactName
from farm.errors import PackageInvalid, StageCrashed
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.stages import StageName
from pipeline.android import archive, compilation, library_checks, project
from pipeline.android.archive import Member
from pipeline.android.assembly import JOB_ASSETS, MODEL_ASSET, TOKEN_TABLE_ASSET
from pipeline.android.base import AppBase, AppSources
from pipeline.android.robolectric import Harness
from pipeline.request import StageRequest
from pipeline.stages import sdk
from pipeline.toolchain.maven import Toolchain
from pipeline.toolchain.pins import Role
from tests.fixtures import golden_models, library_api
from tests.fixtures.golden_models import END, STEPS, Golden
from tests.fixtures.kept_jars import kept
from tests.fixtures.machine_traces import of_this_machine, traces

SAMPLE = locations.ANDROID_BUILDER / "sample" / "src" / "main" / "kotlin"
APP = AppSpec(application_id="org.example.story", label='The "story" & more', version_code=3, library_model=True)
Members = list[Member]


@dataclasses.dataclass(frozen=True)
class Made:
    """What the stage made, and of what."""

    library: Path
    project: Path
    golden: Golden


@pytest.fixture(scope="module")
def made(app_base: AppBase, android_toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Made:
    workdir = tmp_path_factory.mktemp("job")
    for name in ("inputs", "outputs", "scratch"):
        (workdir / name).mkdir()
    request = StageRequest(
        stage=StageName.SDK, spec=JobSpec(model_kind=ModelKind.PRESET, model="x", app=APP), workdir=workdir,
        caches=workdir, toolchain=android_toolchain.folder, keystore=None, threads=1,
    )  # fmt: skip
    model = golden_models.make(tmp_path_factory.mktemp("model"))
    request.input(ArtifactName.APP_BASE).symlink_to(app_base.folder)
    request.input(ArtifactName.GOLDEN).write_text(json.dumps(model.golden))
    for artifact, path in model.files.items():
        request.input(artifact).symlink_to(path)
    result = sdk.run(request, lambda _share, _activity: None)
    made = Made(request.output(ArtifactName.LIBRARY), request.output(ArtifactName.PROJECT), model.golden)
    assert {metric.name: metric.value for metric in result.metrics} == {
        "library_size": made.library.stat().st_size,
        "project_size": made.project.stat().st_size,
    }
    # The same job gives the same bytes.
    again = made.project.with_name("again.zip")
    assets = {name: request.input(artifact) for artifact, name in JOB_ASSETS.items()}
    assets["assets/app-settings.json"] = request.scratch / "app-settings.json"
    assets[TOKEN_TABLE_ASSET] = request.scratch / "tokenizer.bin"
    project.write(again, AppSources(), APP, assets, request.input(ArtifactName.GOLDEN))
    assert digests.of_file(again) == digests.of_file(made.project)
    return made


def test_nothing_of_this_machine_is_in_what_developers_get(made: Made) -> None:
    assert traces([made.library, made.project], of_this_machine(made.library.parents[1], locations.ROOT)) == []


def _unpacked(made: Made, folder: Path) -> tuple[Path, tuple[Path, ...]]:
    """The library as Gradle gives it to an app: its assets merged into a folder, and its jars."""
    with zipfile.ZipFile(made.library) as opened:
        opened.extractall(folder)
    return folder / "assets", (folder / "classes.jar", *sorted((folder / "libs").iterdir()))


def test_an_app_that_uses_the_library_writes_the_golden_tokens(
    made: Made, android_toolchain: Toolchain, kept_jars: Path, tmp_path: Path
) -> None:
    assets, jars = _unpacked(made, tmp_path / "library")
    (standard,) = (path for path in android_toolchain.paths(Role.LIBRARY) if path.name.startswith("kotlin-stdlib"))
    sample, platform = tmp_path / "sample.jar", android_toolchain.paths(Role.PLATFORM)
    with kept(kept_jars):
        compilation.compile_kotlin(android_toolchain, SAMPLE, (*jars, standard, *platform), sample, "sample")
    natives = android_toolchain.paths(Role.HOST_NATIVE)
    texts = [prompt["text"] for prompt in made.golden["prompts"] if prompt["text"] is not None]
    ran = subprocess.run(
        [
            "java", "-XX:+UseSerialGC", f"-Dorg.bytedeco.javacpp.cachedir={tmp_path}",
            "-cp", ":".join(map(str, (sample, *jars, *natives, standard, *platform))),
            "dev.kerasfarm.sample.MainKt", assets, str(STEPS), *texts, "you damn fool", "you shit",
        ],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    prompts = [prompt for prompt in made.golden["prompts"] if prompt["text"] is not None]
    for prompt, answer in zip(prompts, answers, strict=False):
        assert answer["tokens"] == [token for token in prompt["tokens"] if token != END]
        assert "".join(answer["parts"]) == answer["text"]
        assert answer["reason"] in ("TOKEN_LIMIT", "END_OF_TEXT")
    assert answers[-1] == {"refused": "The prompt has words that this app does not take."}


def test_without_the_model_the_library_is_the_one_of_the_version(app_base: AppBase, made: Made) -> None:
    plain, full = (
        {entry.name: entry for entry in archive.read_entries(path)} for path in (app_base.library_archive, made.library)
    )
    assert full.keys() - plain.keys() == {*JOB_ASSETS.values(), TOKEN_TABLE_ASSET}
    assert full[MODEL_ASSET].stored
    assert {f"jni/{abi}/libjnitensorflowlite.so" for abi in ("arm64-v8a", "x86_64")} < plain.keys()
    library_checks.require(app_base.library_archive)


def test_the_interface_is_the_one_that_is_written_down(app_base: AppBase) -> None:
    """Whoever changes what apps see of the library sees it in `generation.api`, which then changes too."""
    assert library_api.dump(app_base.library_jar) == library_api.DUMP.read_text()


def _check(path: Path) -> list[tuple[str, str]]:
    ran = CliRunner().invoke(farm_command, ["check", str(path), "--json"])
    page = json.loads(ran.stdout)
    assert ran.exit_code == (PackageInvalid.exit_code if page["findings"] else 0)
    assert all(one["fix"] and one["rule"].startswith("https://") for one in page["findings"])
    return [(one["check"], one["cause"]) for one in page["findings"]]


def _without(name: str) -> Callable[[Members], Iterable[Member]]:
    return lambda members: [one for one in members if one.name != name]


def _with(name: str, content: bytes) -> Callable[[Members], Iterable[Member]]:
    return lambda members: [*(one for one in members if one.name != name), Member(name, content)]


def _manifest(inner: str, package: str = "a.b", level: int = 26) -> Callable[[Members], Iterable[Member]]:
    text = (
        f'<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="{package}">'
        f'<uses-sdk android:minSdkVersion="{level}"/>{inner}</manifest>'
    )
    return _with("AndroidManifest.xml", text.encode())


def _another_model(members: Members) -> Iterable[Member]:
    for one in members:
        assert isinstance(one.source, bytes)
        yield Member(one.name, one.source[:-1] + b"?") if one.name == MODEL_ASSET else one


@pytest.mark.parametrize(
    ("change", "check", "cause"),
    [
        (_without("R.txt"), "archive", "it lacks R.txt"),
        (_without("classes.jar"), "archive", "it lacks classes.jar"),
        (_with("classes.jar", b"no jar"), "archive", "its classes.jar is no sound archive"),
        (_with("AndroidManifest.xml", b"<manifest"), "archive", "its AndroidManifest.xml is no XML"),
        (
            _manifest('<uses-permission android:name="android.permission.INTERNET"/>'),
            "manifest",
            "it asks for the permission android.permission.INTERNET on behalf of every app",
        ),
        (
            _manifest('<application><provider android:name="a.P"/></application>'),
            "manifest",
            "it adds the provider a.P to every app",
        ),
        (_manifest("", package=""), "manifest", "its manifest names no package"),
        (_manifest("", level=21), "manifest", "its manifest does not say that it needs SDK level 26"),
        (
            _with("proguard.txt", b"# nothing\n"),
            "rules",
            "its proguard.txt keeps nothing, so that an app which shrinks its code can't load the runtime",
        ),
        (
            lambda members: [one for one in members if not one.name.startswith("jni/")],
            "abis",
            "it has no native libraries, so that no phone can run its model",
        ),
        (
            _another_model,
            "assets",
            f"{MODEL_ASSET} differs from what assets/model-info.json says",
        ),
        (_without("assets/tokenizer.json"), "assets", "it lacks assets/tokenizer.json"),
    ],
)  # fmt: skip
def test_a_spoiled_library(
    made: Made, tmp_path: Path, change: Callable[[Members], Iterable[Member]], check: str, cause: str
) -> None:
    path = tmp_path / "spoiled.aar"
    archive.write(path, change(_light_members(made.library)))
    assert _check(path) == [(check, cause)]


def test_a_library_for_small_pages_and_one_of_another_machine(
    made: Made, android_toolchain: Toolchain, tmp_path: Path
) -> None:
    with zipfile.ZipFile(android_toolchain.paths(Role.SPECIMEN)[0]) as older:
        content = older.read("jni/arm64-v8a/libtensorflowlite_jni.so")
    old, foreign = tmp_path / "old.aar", tmp_path / "foreign.aar"
    name = "jni/arm64-v8a/libjnijavacpp.so"
    archive.write(old, _with(name, content)(_light_members(made.library)))
    assert _check(old) == [("libraries", f"{name} has segments aligned to 4096 bytes only")]
    with zipfile.ZipFile(made.library) as opened:
        archive.write(
            foreign, _with(name, opened.read("jni/x86_64/libjnijavacpp.so"))(_light_members(made.library))
        )  # fmt: skip
    assert _check(foreign) == [("libraries", f"{name} is built for x86_64")]


def _light_members(path: Path) -> Members:
    """What the library holds, but for the large native library."""
    with zipfile.ZipFile(path) as opened:
        return [
            Member(name, opened.read(name))
            for name in opened.namelist()
            if not name.endswith("libjnitensorflowlite.so")
        ]


def test_a_good_library_has_no_finding(made: Made, app_base: AppBase) -> None:
    assert _check(made.library) == _check(app_base.library_archive) == []


def test_the_project_has_the_sources_that_the_farm_builds_and_the_jobs_model(made: Made) -> None:
    with zipfile.ZipFile(made.project) as opened:
        found = {name.removeprefix(f"{project.FOLDER}/"): opened.read(name) for name in opened.namelist()}
        program = opened.getinfo(f"{project.FOLDER}/gradlew")
    assert program.external_attr >> 16 == 0o755
    sources = AppSources()
    kept = [path for folder in (sources.library, sources.main) for path in folder.rglob("*") if path.is_file()]
    assert len(kept) > 60
    for path in [*kept, sources.rules, sources.root / "settings.gradle.kts", sources.root / "gradlew"]:
        assert found[path.relative_to(sources.root).as_posix()] == path.read_bytes()
    assert json.loads(found[project.GOLDEN]) == made.golden
    assets = {name: content for name, content in found.items() if name.startswith("app/src/main/assets/")}
    own = {f"assets/{path.name}" for path in (sources.main / "assets").iterdir()}
    assert {name.removeprefix("app/src/main/") for name in assets} == {
        *JOB_ASSETS.values(), TOKEN_TABLE_ASSET, "assets/app-settings.json", *own,
    }  # fmt: skip
    info = json.loads(assets["app/src/main/assets/model-info.json"])
    assert digests.of_bytes(assets["app/src/main/assets/autocomplete.tflite"]) == info["model_sha256"]
    stored = {entry.name for entry in archive.read_entries(made.project) if entry.stored}
    assert f"{project.FOLDER}/app/src/main/{MODEL_ASSET}" in stored

    assert b"autocomplete.applicationId=org.example.story\nautocomplete.versionCode=3\n" in found["gradle.properties"]
    (label,) = ElementTree.fromstring(found[f"{project.JOB_RESOURCES}/values/strings.xml"])  # noqa: S314  the farm wrote it
    assert (label.attrib["name"], label.text) == ("app_name", '"The \\"story\\" & more"')
    for name, content in found.items():
        if name.endswith(".xml"):
            ElementTree.fromstring(content)  # noqa: S314  it is a source of the farm itself
        elif name.endswith(".toml"):
            tomllib.loads(content.decode())
    assert {"README.md", ".gitignore", "gradlew.bat", "gradle/wrapper/gradle-wrapper.jar"} < found.keys()


def test_the_test_for_phones_compiles(
    made: Made, android_toolchain: Toolchain, app_base: AppBase, kept_jars: Path, tmp_path: Path
) -> None:
    """It can't run here: there is no phone."""
    with zipfile.ZipFile(made.project) as opened:
        opened.extractall(tmp_path)
    harness = Harness(app_base, android_toolchain, tmp_path / "scratch")
    others = [harness.classes(path) for path in android_toolchain.paths(Role.DEVICE_TEST)]
    sources = tmp_path / project.FOLDER / "app" / "src" / "androidTest" / "kotlin"
    jars = (app_base.library_jar, *others, *android_toolchain.paths(Role.LIBRARY), android_toolchain.platform)
    with kept(kept_jars):
        compilation.compile_kotlin(android_toolchain, sources, jars, tmp_path / "tests.jar", "tests")
    with zipfile.ZipFile(tmp_path / "tests.jar") as compiled:
        assert "dev/kerasfarm/app/GoldenPromptsTest.class" in compiled.namelist()


def test_gradles_files_are_kotlin(
    made: Made, android_toolchain: Toolchain, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Gradle is not here to read them, but the compiler parses each as the body of a function; what it then says of
    names that only Gradle knows does not count."""
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    with zipfile.ZipFile(made.project) as opened:
        names = [name for name in opened.namelist() if name.endswith(".kts")]
        assert len(names) == 4
        bodies = [opened.read(name).decode() for name in names]
    # What is no part of a job's project is built with the farm's own sources.
    bodies += [
        (locations.ANDROID_BUILDER / f"{name}/build.gradle.kts").read_text() for name in ("host", "sample", "strings")
    ]
    for number, body in enumerate(bodies):
        (scripts / f"Script{number}.kt").write_text(f"fun script{number}() {{\n{body}\n}}\n")
    (scripts / "Broken.kt").write_text("fun broken() {\nplugins { alias(libs. }\n}\n")
    with pytest.raises(StageCrashed):
        compilation.compile_kotlin(android_toolchain, scripts, (), tmp_path / "scripts.jar", "scripts")
    said = [line for line in capfd.readouterr().err.splitlines() if ": error: " in line]
    broken = {Path(line.split(":")[0]).name for line in said if "syntax error" in line.lower()}
    assert broken == {"Broken.kt"}, said


def test_a_file_that_is_no_library_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.aar").write_text("no library")
    ran = CliRunner().invoke(farm_command, ["check", str(tmp_path / "text.aar"), "--json"])
    assert ran.exit_code == PackageInvalid.exit_code
    with pytest.raises(PackageInvalid, match=r"generation\.aar fails its checks: it lacks R\.txt, and"):
        empty = tmp_path / "generation.aar"
        archive.write(empty, [Member("AndroidManifest.xml", b"<manifest package='a'/>")])
        library_checks.require(empty)
