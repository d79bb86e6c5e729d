"""The app of the I/O mode `strings`: built against the stock AAR, its code run on the JVM but for TFLite, and
packaged."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from farm import digests
from farm.appspec import Abi, AppSpec
from farm.artifacts import ArtifactName
from farm.errors import AarUnusable
from farm.jobspec import IoMode, JobSpec
from farm.modelref import ModelKind
from farm.stages import StageName
from pipeline.android import checks, findings, keystore, strings_base
from pipeline.android.base import AppBase
from pipeline.android.checks import Expectation
from pipeline.android.findings import Severity
from pipeline.android.package import Package
from pipeline.android.robolectric import Harness
from pipeline.ops import known_aars
from pipeline.request import StageRequest
from pipeline.stages import aar as aar_stage
from pipeline.stages import package as package_stage
from pipeline.stages import stringsapp
from pipeline.toolchain.maven import Toolchain
from pipeline.toolchain.pins import Role
from tests.fixtures.kept_jars import kept
from tests.fixtures.op_models import Op, flex, write_model
from tests.fixtures.packaged_apps import CARD, INFO, TOKENIZER

APP = AppSpec(abis=(Abi.ARM64,))


def say_nothing(_share: float, _activity: str) -> None:
    return


def request_in(workdir: Path, stage: StageName, chain: Toolchain, key: Path | None = None) -> StageRequest:
    for name in ("inputs", "outputs", "scratch"):
        (workdir / name).mkdir(exist_ok=True)
    spec = JobSpec(model_kind=ModelKind.PRESET, model="x", io_mode=IoMode.STRINGS, app=APP)
    return StageRequest(
        stage=stage, spec=spec, workdir=workdir, caches=workdir, toolchain=chain.folder, keystore=key, threads=1
    )


def test_the_code_of_the_app_does_as_its_tests_say(
    strings_app_base: AppBase, android_toolchain: Toolchain, kept_jars: Path, tmp_path: Path
) -> None:
    from pipeline import process
    from pipeline.toolchain import tools
    from pipeline.toolchain.tools import Tool

    harness = Harness(strings_app_base, android_toolchain, tmp_path)
    tests = tmp_path / "tests.jar"
    with kept(kept_jars):
        harness.compile(strings_base.SOURCES / "src" / "test" / "kotlin", (), tests)
    ran = process.run(
        (tools.find(Tool.JAVA), "-XX:+UseSerialGC", "-cp", ":".join(map(str, (tests, *harness.libraries()))),
         "org.junit.runner.JUnitCore", "dev.kerasfarm.strings.TextWriterTest"),
        timeout=300, error=AssertionError, hint="see above",  # type: ignore[arg-type]
    )  # fmt: skip
    assert "OK (12 tests)" in ran.stdout


def test_its_package_is_sound_but_for_the_pages_of_the_stock_aar(
    strings_app_base: AppBase, android_toolchain: Toolchain, tmp_path: Path
) -> None:
    key = keystore.prepare(APP, tmp_path / "keys", tmp_path / "key")
    request = request_in(tmp_path, StageName.PACKAGE, android_toolchain, key.folder)
    request.input(ArtifactName.APP_BASE).symlink_to(strings_app_base.folder)
    model = write_model(request.input(ArtifactName.MODEL), [Op("FULLY_CONNECTED", 9), flex("StringLength")])
    request.input(ArtifactName.TOKENIZER).write_bytes(TOKENIZER)
    info = INFO.model_copy(update={"io_mode": "strings", "model_sha256": digests.of_file(model), "prompt_bytes": 64})
    info.write(request.input(ArtifactName.MODEL_INFO))
    CARD.write(request.input(ArtifactName.MODEL_CARD))
    aar_request = request_in(tmp_path, StageName.AAR, android_toolchain)
    (note,) = aar_stage.run(aar_request, say_nothing).notes
    assert "Not ready for Google Play" in note
    package_stage.run(request, say_nothing)

    path = request.output(ArtifactName.APK)
    found = checks.inspect(Package(path), Expectation(android_toolchain.pins.target))
    pages = [finding for finding in findings.errors(found) if finding.check == "libraries"]
    assert len(pages) == 2
    assert all("as the published Flex AAR has it" in finding.cause for finding in pages)
    assert [finding for finding in findings.errors(found) if finding.check != "libraries"] == []
    size = next(finding for finding in found if finding.check == "size")
    assert size.severity is Severity.WARNING
    with zipfile.ZipFile(path) as apk:
        names = set(apk.namelist())
        code = b"".join(apk.read(name) for name in names if name.endswith(".dex"))
    assert {name for name in names if name.startswith("lib/")} == {
        "lib/arm64-v8a/libtensorflowlite_flex_jni.so",
        "lib/arm64-v8a/libtensorflowlite_jni.so",
    }
    # What native code and reflection look up by name is still called so; the I/O mode `tokens`'s engine is gone.
    for name in (b"org/tensorflow/lite/flex/FlexDelegate", b"org/tensorflow/lite/NativeInterpreterWrapper"):
        assert name in code
    assert b"org/bytedeco" not in code
    licences = {name for name in names if name.startswith(f"assets/{strings_base.LICENCES}/")}
    assert len(licences) == 3, "of Flex, of the interpreter and of its classes"


def test_an_aar_that_changed_after_its_check_is_refused(android_toolchain: Toolchain, tmp_path: Path) -> None:
    request = request_in(tmp_path, StageName.STRINGS_APP, android_toolchain)
    reading = known_aars.load(known_aars.STOCK).model_copy(update={"files": {"tensorflow-lite-2.14.0.aar": "0" * 64}})
    request.input(ArtifactName.AAR).write_text(reading.model_dump_json())
    with pytest.raises(AarUnusable, match="gone or has changed"):
        stringsapp.run(request, say_nothing)


def test_the_stock_aars_interpreter_is_read_as_it_was(android_toolchain: Toolchain) -> None:
    from pipeline.ops import aar

    (interpreter,) = (
        one for one in android_toolchain.pins.with_role(Role.FLEX_RUNTIME) if one.name == "tensorflow-lite"
    )
    stock = known_aars.load(known_aars.STOCK)
    for abi, found in aar.read(android_toolchain.path(interpreter)).abis.items():
        assert found.builtins == stock.abis[abi].builtins
