"""What costly tests share: the app without a model, built once, and the program that drives its classes."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from farm import locations, settings
from farm.artifacts import ArtifactName
from farm.jobspec import IoMode, JobSpec
from farm.modelref import ModelKind
from farm.stages import StageName
from pipeline.android import prebuilt
from pipeline.android.base import AppBase
from pipeline.android.host_driver import classpath
from pipeline.flex import reference_environment
from pipeline.ops import known_aars
from pipeline.provenance import stage_code
from pipeline.request import StageRequest
from pipeline.stages import stringsapp
from pipeline.toolchain import maven
from pipeline.toolchain.maven import Toolchain
from pipeline.toolchain.pins import Role
from tests.fixtures.host_driver import HostDriver

ORACLE = locations.ROOT / "tests" / "oracle"
AUDITED_STAGE = locations.ROOT / "tests" / "fixtures" / "audited_stage.py"


@pytest.fixture(scope="session")
def android_toolchain() -> Toolchain:
    """The verified Maven artifacts of this checkout."""
    return maven.at(settings.load().toolchain)


@pytest.fixture(scope="session")
def app_base(request: pytest.FixtureRequest, android_toolchain: Toolchain) -> AppBase:
    """The app without a model, as the farm's stage builds it. Kept between test runs while its sources stay."""

    def build(draft: Path) -> None:
        job = workfolder(draft, StageName.APP, IoMode.TOKENS, android_toolchain)
        job.write()
        opened = draft.with_name("opened")
        ran = subprocess.run(
            [sys.executable, AUDITED_STAGE, opened, job.workdir], capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(locations.ROOT)},
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr[-4000:]
        shutil.move(job.output(ArtifactName.APP_BASE), draft)
        shutil.rmtree(job.workdir)
        opened.rename(opened.with_name("opened-app"))

    return AppBase(kept_by_sources(request, StageName.APP, build))


@pytest.fixture(scope="session")
def opened_by_app(app_base: AppBase) -> Path:
    """What the stage that built the app opened, as audited_stage.py writes it down."""
    return app_base.folder.with_name("opened-app")


@pytest.fixture(scope="session")
def toolchain_with_app(request: pytest.FixtureRequest, app_base: AppBase, android_toolchain: Toolchain) -> Path:
    """The toolchain with the app beside it, as the Android worker's image has it: whole jobs copy the app."""
    assert request.config.cache is not None
    folder = request.config.cache.mkdir("toolchains") / os.environ.get("PYTEST_XDIST_WORKER", "alone")
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(android_toolchain.folder, folder, copy_function=os.link)
    shutil.copytree(app_base.folder, prebuilt.place(maven.at(folder)), copy_function=os.link)
    return folder


def workfolder(draft: Path, stage: StageName, io_mode: IoMode, toolchain: Toolchain) -> StageRequest:
    """The request of a stage that builds an app without a model, in a folder beside the draft."""
    workdir = draft.with_name(stage.value)
    for name in ("inputs", "outputs", "scratch"):
        (workdir / name).mkdir(parents=True)
    return StageRequest(
        stage=stage, spec=JobSpec(model_kind=ModelKind.PRESET, model="x", io_mode=io_mode), workdir=workdir,
        caches=workdir, toolchain=toolchain.folder, keystore=None, threads=1,
    )  # fmt: skip


@pytest.fixture(scope="session")
def kept_jars(request: pytest.FixtureRequest) -> Path:
    """Where tests/fixtures/kept_jars.py keeps what it compiled."""
    assert request.config.cache is not None
    return request.config.cache.mkdir("kept-jars")


@pytest.fixture(scope="session")
def graph_caches(request: pytest.FixtureRequest) -> Path:
    """The caches of conversions whose graphs tests/fixtures/kept_graphs.py keeps."""
    assert request.config.cache is not None
    return request.config.cache.mkdir("graph-caches")


@pytest.fixture(scope="session")
def strings_app_base(request: pytest.FixtureRequest, android_toolchain: Toolchain) -> AppBase:
    """The same of the I/O mode `strings`, built against the stock AAR."""

    def build(draft: Path) -> None:
        job = workfolder(draft, StageName.STRINGS_APP, IoMode.STRINGS, android_toolchain)
        job.input(ArtifactName.AAR).write_text(known_aars.load(known_aars.STOCK).model_dump_json())
        stringsapp.run(job, lambda _share, _activity: None)
        shutil.move(job.output(ArtifactName.APP_BASE), draft)

    return AppBase(kept_by_sources(request, StageName.STRINGS_APP, build))


@pytest.fixture(scope="session")
def reference_caches(request: pytest.FixtureRequest) -> Path:
    """Caches with TensorFlow of the stock AAR's version, made once for this checkout: a download of some 300 MB."""
    cache = request.config.cache
    assert cache is not None
    folder = cache.mkdir("caches")
    with (folder.parent / "caches.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        reference_environment.ensure(folder)
    return folder


# What decides the bytes of an app without a model: a change of the stage around it needs no other one.
KEPT = {StageName.APP: "pipeline.android.building", StageName.STRINGS_APP: "pipeline.android.strings_base"}


def kept_by_sources(request: pytest.FixtureRequest, stage: StageName, build: Callable[[Path], None]) -> Path:
    """The folder that `build` makes, by the digest of the stage's sources."""
    cache = request.config.cache
    assert cache is not None
    folder = cache.mkdir(f"{stage}-base")
    finished = folder / stage_code.of_module(KEPT[stage])
    # Of test processes that run side by side the first one builds, and the others wait for it.
    with (folder.parent / f"{stage}-base.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.is_dir():
            shutil.rmtree(folder)
            folder.mkdir()
            build(folder / "draft")
            (folder / "draft").rename(finished)
    return finished


@pytest.fixture(scope="session")
def written(request: pytest.FixtureRequest) -> Path:
    """The checkpoints of tests/oracle/cases.py as Transformers writes them, once for this version of the script."""
    return written_by(request, "write_checkpoints.py")


@pytest.fixture(scope="session")
def adapters_written(request: pytest.FixtureRequest, written: Path) -> Path:
    """The adapters of tests/oracle/adapter_cases.py as PEFT writes them."""
    return written_by(request, "write_adapters.py", written)


def written_by(request: pytest.FixtureRequest, script: str, *arguments: Path) -> Path:
    """The folder that a script of tests/oracle writes, by the digest of the scripts and of their environment."""
    cache = request.config.cache
    assert cache is not None
    folder = cache.mkdir(f"oracle-{script}")
    sources = [*sorted(ORACLE.glob("*.py")), ORACLE / "requirements.lock"]
    finished = folder / hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    with (folder.parent / f"oracle-{script}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.is_dir():
            shutil.rmtree(folder)
            draft = folder / "draft"
            draft.mkdir(parents=True)
            command = [locations.ROOT / ".oracle" / "bin" / "python", ORACLE / script, *arguments, draft]
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
            assert ran.returncode == 0, f"{ran.stderr[-2000:]}\n(scripts/bootstrap tests makes the environment .oracle)"
            draft.rename(finished)
    return finished


@pytest.fixture
def host_driver(app_base: AppBase, android_toolchain: Toolchain) -> Iterator[HostDriver]:
    """A driver over the library's unshrunk classes."""
    # A small nursery: garbage that nobody has collected yet is not taken for memory that is held.
    driver = HostDriver(classpath(app_base, android_toolchain, Role.HOST_NATIVE), "-Xmn8m")
    yield driver
    assert driver.quit() == 0


@pytest.fixture(scope="session")
def shared_driver(app_base: AppBase, android_toolchain: Toolchain) -> Iterator[HostDriver]:
    """One driver for all tests that leave nothing behind, or open what they need: each start is a second of work."""
    driver = HostDriver(classpath(app_base, android_toolchain, Role.HOST_NATIVE))
    yield driver
    assert driver.quit() == 0
