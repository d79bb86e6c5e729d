"""The bundle stage around a random model: a signed bundle whose universal APK passes the checks of an APK."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app as farm_command
from farm import digests, locations
from farm.appspec import AppSpec
from farm.artifacts import ArtifactName
from farm.errors import PackageInvalid
from farm.stages import StageName
from pipeline.android import bundle, bundle_checks, bundletool, checks, keystore, play, signing
from pipeline.android.assembly import MODEL_ASSET
from pipeline.android.base import AppBase
from pipeline.android.bundle_checks import Bundle
from pipeline.android.bundletool import Bundletool
from pipeline.android.checks import Expectation
from pipeline.android.keystore import SigningKey
from pipeline.android.package import Package
from pipeline.request import StageRequest, StageResult
from pipeline.stages import bundle as bundle_stage
from pipeline.toolchain.maven import Toolchain
from tests.fixtures.machine_traces import of_this_machine, traces
from tests.fixtures.packaged_apps import MODEL, OTHER_MODEL, request_of

APP = AppSpec(application_id="org.example.bundled", label="Bundled", version_code=4)


@dataclasses.dataclass(frozen=True)
class Made:
    """A bundle, its request, and what the stage told."""

    path: Path
    request: StageRequest
    result: StageResult


@pytest.fixture(scope="module")
def make(
    app_base: AppBase, android_toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Made]:
    keys = tmp_path_factory.mktemp("farm") / "keys"

    def make() -> Made:
        workdir = tmp_path_factory.mktemp("job")
        request = request_of(StageName.BUNDLE, APP, app_base, android_toolchain, keys, workdir)
        said: list[float] = []
        result = bundle_stage.run(request, lambda share, _activity: said.append(share))
        assert said == sorted(said)
        return Made(request.output(ArtifactName.BUNDLE), request, result)

    return make


@pytest.fixture(scope="module")
def made(make: Callable[[], Made]) -> Made:
    return make()


@pytest.fixture
def tool(android_toolchain: Toolchain, tmp_path: Path) -> Bundletool:
    return Bundletool(android_toolchain, tmp_path)


def _check(path: Path) -> tuple[int, list[tuple[str, str]]]:
    ran = CliRunner().invoke(farm_command, ["check", str(path), "--json"])
    page = json.loads(ran.stdout)
    return ran.exit_code, [(one["check"], one["cause"]) for one in page["findings"]]


def test_nothing_of_this_machine_is_in_the_bundle(made: Made) -> None:
    """aapt2 notes where each resource came from; bundletool hands that on."""
    assert traces([made.path], of_this_machine(made.request.workdir, locations.ROOT)) == []


def test_a_small_model_stays_in_the_base_module(made: Made) -> None:
    assert bundletool.modules(made.path) == ("base",)
    with zipfile.ZipFile(made.path) as opened:
        assert opened.read(f"base/{MODEL_ASSET}") == MODEL
    assert made.result.notes == ()
    metrics = {metric.name: metric.value for metric in made.result.metrics}
    assert metrics["bundle_size"] == made.path.stat().st_size
    # The model is noise and can't be compressed; a phone downloads the libraries of its own ABI only.
    assert len(MODEL) < metrics["bundle_download"] < len(MODEL) + 6_000_000


def test_a_good_bundle_has_no_finding(made: Made) -> None:
    assert _check(made.path) == (0, [])


def test_the_universal_apk_signed_passes_all_checks_of_an_apk(
    made: Made, tool: Bundletool, android_toolchain: Toolchain
) -> None:
    assert made.request.keystore is not None
    signed = tool.scratch / "signed.apk"
    signing.sign(
        bundle_checks.universal(Bundle(made.path, tool)).path, signed, SigningKey(made.request.keystore), keystore.ALIAS
    )
    assert checks.inspect(Package(signed), Expectation(android_toolchain.pins.target, APP)) == []


def test_a_model_beyond_the_bases_limit_goes_into_an_asset_pack(
    make: Callable[[], Made], tool: Bundletool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = play.load()
    small = dataclasses.replace(rules, size=dataclasses.replace(rules.size, base_module=14_000_000))
    monkeypatch.setattr(play, "load", lambda: small)
    made = make()
    assert bundletool.modules(made.path) == ("base", "model")
    assert made.result.notes == (
        "The model lies in the bundle's asset pack, since the base module would be too large.",
    )
    with zipfile.ZipFile(made.path) as opened:
        assert opened.read(f"model/{MODEL_ASSET}") == MODEL
        assert f"base/{MODEL_ASSET}" not in opened.namelist()
    # Whatever is fused for old systems lies where the app opens it.
    package = bundle_checks.universal(Bundle(made.path, tool))
    assert package.entries[MODEL_ASSET].aligned(4)
    assert _check(made.path) == (0, [])


def test_a_bundle_without_signature_and_one_changed_afterwards(made: Made, tool: Bundletool) -> None:
    bare, changed = tool.scratch / "bare.aab", tool.scratch / "changed.aab"
    with zipfile.ZipFile(made.path) as source, zipfile.ZipFile(bare, "w") as one, zipfile.ZipFile(changed, "w") as two:
        for name in source.namelist():
            content = source.read(name)
            if not name.startswith("META-INF/"):
                one.writestr(name, content)
            two.writestr(name, content + b" " if name.endswith("unicode-classes.bin") else content)
    for path in (bare, changed):
        assert not bundle.signature_holds(path)
        subject = Bundle(path, tool)
        found = [
            fault.cause
            for fault in bundle_checks.check_bundle_signature(subject, Expectation(tool.toolchain.pins.target))
        ]
        assert found == ["its upload signature is missing or does not hold"]


def test_a_bundle_that_bundletool_refuses(made: Made, tool: Bundletool) -> None:
    broken = tool.scratch / "broken.aab"
    with zipfile.ZipFile(made.path) as source, zipfile.ZipFile(broken, "w") as target:
        for name in source.namelist():
            if name != "BundleConfig.pb":
                target.writestr(name, source.read(name))
    (finding,) = bundle_checks.inspect(Bundle(broken, tool), Expectation(tool.toolchain.pins.target))
    assert finding.check == "bundle"
    assert finding.cause.startswith("bundletool refuses it (")


def test_signing_twice_gives_the_same_bytes_and_shows_no_password(
    made: Made, capfd: pytest.CaptureFixture[str], tool: Bundletool
) -> None:
    assert made.request.keystore is not None
    key = SigningKey(made.request.keystore)
    unsigned, again = tool.scratch / "unsigned.aab", tool.scratch / "again.aab"
    with zipfile.ZipFile(made.path) as source, zipfile.ZipFile(unsigned, "w") as target:
        for entry in source.infolist():
            if not entry.filename.startswith("META-INF/"):
                target.writestr(entry, source.read(entry))
    for path in (again, again.with_name("twice.aab")):
        bundle.sign(unsigned, path, key, keystore.ALIAS, tool.toolchain.pins.target.min_sdk)
    assert bundle.signature_holds(again)
    assert digests.of_file(again) == digests.of_file(again.with_name("twice.aab"))
    assert key.password.read_text() not in "".join(capfd.readouterr())


def test_another_model_in_a_bundle_is_found(made: Made, tool: Bundletool) -> None:
    swapped = tool.scratch / "swapped.aab"
    with zipfile.ZipFile(made.path) as source, zipfile.ZipFile(swapped, "w") as target:
        for name in source.namelist():
            if not name.startswith("META-INF/"):
                target.writestr(name, OTHER_MODEL if name == f"base/{MODEL_ASSET}" else source.read(name))
    code, found = _check(swapped)
    assert code == PackageInvalid.exit_code
    assert found == [
        ("bundle-signature", "its upload signature is missing or does not hold"),
        ("assets", f"{MODEL_ASSET} differs from what assets/model-info.json says"),
    ]
