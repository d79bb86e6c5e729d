"""The app of the strings lane: built against the stock AAR, its code run on the JVM but for TFLite, and packaged."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from farm import digests
from farm.artifacts import ArtifactName
from farm.errors import AarUnusable
from farm.jobspec import Abi, AppSpec, JobSpec, Lane
from farm.modelref import ModelKind
from farm.stages import StageName
from tests.fixtures.op_models import Op, flex, write_model
from tests.fixtures.packaged_apps import CARD, INFO, TOKENIZER
from worker.android import checks, findings, keystore, strings_base
from worker.android.base import AppBase
from worker.android.checks import Expectation
from worker.android.findings import Severity
from worker.android.package import Package
from worker.android.pins import Role
from worker.android.robolectric import Harness
from worker.android.toolchain import Toolchain
from worker.ops import known_aars
from worker.order import StageOrder
from worker.stages import aar as aar_stage
from worker.stages import package as package_stage
from worker.stages import stringsapp

APP = AppSpec(abis=(Abi.ARM64,))


def say_nothing(_share: float, _doing: str) -> None:
    return


def order_in(workdir: Path, stage: StageName, chain: Toolchain, key: Path | None = None) -> StageOrder:
    for name in ("inputs", "outputs", "scratch"):
        (workdir / name).mkdir(exist_ok=True)
    spec = JobSpec(model_kind=ModelKind.PRESET, model="x", lane=Lane.STRINGS, app=APP)
    return StageOrder(
        stage=stage, spec=spec, workdir=workdir, caches=workdir, toolchain=chain.folder, keystore=key, threads=1
    )


def test_the_code_of_the_app_does_as_its_tests_say(
    strings_app_base: AppBase, android_toolchain: Toolchain, tmp_path: Path
) -> None:
    from worker import process
    from worker.android import tools
    from worker.android.tools import Tool

    harness = Harness(strings_app_base, android_toolchain, tmp_path)
    tests = tmp_path / "tests.jar"
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
    order = order_in(tmp_path, StageName.PACKAGE, android_toolchain, key.folder)
    order.input(ArtifactName.APP_BASE).symlink_to(strings_app_base.folder)
    model = write_model(order.input(ArtifactName.MODEL), [Op("FULLY_CONNECTED", 9), flex("StringLength")])
    order.input(ArtifactName.TOKENIZER).write_bytes(TOKENIZER)
    info = INFO.model_copy(update={"lane": "strings", "model_sha256": digests.of_file(model), "prompt_bytes": 64})
    info.write(order.input(ArtifactName.MODEL_INFO))
    CARD.write(order.input(ArtifactName.MODEL_CARD))
    aar_order = order_in(tmp_path, StageName.AAR, android_toolchain)
    (note,) = aar_stage.run(aar_order, say_nothing).notes
    assert "Not ready for Google Play" in note
    package_stage.run(order, say_nothing)

    path = order.output(ArtifactName.APK)
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
    # What native code and reflection look up by name is still called so; the tokens lane's engine is gone.
    for kept in (b"org/tensorflow/lite/flex/FlexDelegate", b"org/tensorflow/lite/NativeInterpreterWrapper"):
        assert kept in code
    assert b"org/bytedeco" not in code
    licences = {name for name in names if name.startswith(f"assets/{strings_base.LICENCES}/")}
    assert len(licences) == 3, "of Flex, of the interpreter and of its classes"


def test_an_aar_that_changed_after_its_check_is_refused(android_toolchain: Toolchain, tmp_path: Path) -> None:
    order = order_in(tmp_path, StageName.STRINGS_APP, android_toolchain)
    reading = known_aars.load(known_aars.STOCK).model_copy(update={"files": {"tensorflow-lite-2.14.0.aar": "0" * 64}})
    order.input(ArtifactName.AAR).write_text(reading.model_dump_json())
    with pytest.raises(AarUnusable, match="gone or has changed"):
        stringsapp.run(order, say_nothing)


def test_the_stock_aars_interpreter_is_read_as_it_was(android_toolchain: Toolchain) -> None:
    from worker.ops import aar

    (interpreter,) = (
        one for one in android_toolchain.pins.with_role(Role.FLEX_RUNTIME) if one.name == "tensorflow-lite"
    )
    stock = known_aars.load(known_aars.STOCK)
    for abi, found in aar.read(android_toolchain.path(interpreter)).abis.items():
        assert found.builtins == stock.abis[abi].builtins
