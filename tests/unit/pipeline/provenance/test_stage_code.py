"""A stage's digest changes with all that decides its result, and with nothing else."""

from __future__ import annotations

import functools
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from farm import locations
from farm.stages import BY_NAME, STAGES, Stage, StageName
from pipeline.provenance import stage_code
from pipeline.provenance.closure import Closure, Repository
from pipeline.provenance.packages import Environment
from pipeline.toolchain import pins
from pipeline.toolchain.pins import Role

by_name = pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
ENVIRONMENT = Environment()
REPOSITORY = Repository.of_farm()
TABLE = "android-builder/artifacts.toml"


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    for name in ("farm", "pipeline", "android-builder"):
        shutil.copytree(locations.ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def digest(root: Path, name: StageName) -> str:
    repository = Repository(root)
    # The closure itself is the real one: here only the contents change.
    return stage_code.digest(repository, closure(BY_NAME[name]), ENVIRONMENT)


def closure(stage: Stage) -> Closure:
    return stage_code.stage_closure(REPOSITORY, stage)


@pytest.fixture(scope="module")
def changed_by(copied: Path) -> dict[str, set[StageName]]:
    """By each file: the stages that have another digest when it alone is changed."""
    repository, found = Repository(copied), dict[str, set[StageName]]()
    closures = {stage.name: closure(stage) for stage in STAGES}

    def digests(edited: str = "") -> dict[StageName, str]:
        # All others are as they were read at first.
        repository._digests.pop(edited, None)
        return {name: stage_code.digest(repository, each, ENVIRONMENT) for name, each in closures.items()}

    with pytest.MonkeyPatch.context() as patched:
        # What does not depend on these files is found once.
        patched.setattr(stage_code, "pinned", functools.cache(stage_code.pinned))
        patched.setattr(ENVIRONMENT, "versions", functools.cache(ENVIRONMENT.versions))
        before = digests()
        for path in sorted(copied.rglob("*")):
            if path.is_file() and path.name != "artifacts.toml":
                name, content = path.relative_to(copied).as_posix(), path.read_bytes()
                path.write_bytes(content + b"\n")
                found[name] = {stage for stage, digest in digests(name).items() if digest != before[stage]}
                path.write_bytes(content)
                repository._digests.pop(name, None)
        assert digests() == before
    return found


@by_name
def test_every_file_within_decides_and_none_outside(changed_by: dict[str, set[StageName]], stage: Stage) -> None:
    assert {name for name, stages in changed_by.items() if stage.name in stages} == closure(stage).files


@by_name
def test_the_stages_own_module_and_the_process_are_within(stage: Stage) -> None:
    assert {f"{stage.module.replace('.', '/')}.py", "pipeline/stages/__main__.py"} <= closure(stage).files
    assert {"farm/errors.py", "pipeline/request.py"} <= closure(stage).files


@pytest.mark.parametrize(
    ("name", "file"),
    [
        (StageName.CONVERT, "pipeline/inference/interpreter.py"),
        (StageName.CONVERT, "android-builder/generation/src/main/assets/unicode-classes.bin"),
        (StageName.VERIFY, "pipeline/flex/program.py"),
        (StageName.REFERENCE_RUN, "pipeline/flex/reference-2.14.lock"),
        (StageName.BUNDLE, "android-builder/bundler/Bundler.java"),
        (StageName.SDK, "android-builder/gradle/libs.versions.toml"),
        (StageName.PACKAGE, "android-builder/play.toml"),
    ],
)
def test_files_that_were_forgotten_once_are_within(name: StageName, file: str) -> None:
    assert file in closure(BY_NAME[name]).files


@by_name
def test_every_pinned_artifact_of_its_roles_decides_and_no_other(copied: Path, stage: Stage) -> None:
    before, original = digest(copied, stage.name), (copied / TABLE).read_text()
    roles = {Role[name] for name in closure(stage).roles}
    for artifact in pins.load().artifacts:
        (copied / TABLE).write_text(_with_another_hash(original, artifact.coordinates, artifact.role))
        changed = digest(copied, stage.name) != before
        assert changed == (artifact.role in roles), artifact
    (copied / TABLE).write_text(original)


def _with_another_hash(table: str, coordinates: str, role: Role) -> str:
    entry = f'coordinates = "{coordinates}"\nrole = "{role}"\nsha256 = "'
    head, found, tail = table.partition(entry)
    assert found
    return head + found + "0" * 64 + tail[64:]


def test_the_roles_are_those_that_a_stage_is_known_to_use() -> None:
    def roles(name: StageName) -> set[Role]:
        return {Role[each] for each in closure(BY_NAME[name]).roles}

    assert {Role.LIBRARY, Role.HOST_NATIVE, Role.PLATFORM} <= roles(StageName.JVM_CHECK)
    assert {Role.TEST, Role.TEST_PLATFORM, Role.COMPILER} <= roles(StageName.SCREENSHOTS)
    assert Role.BUNDLER in roles(StageName.BUNDLE)
    assert {Role.COMPILER, Role.SHRINKER, Role.NATIVE} <= roles(StageName.APP)
    assert Role.FLEX_RUNTIME in roles(StageName.STRINGS_APP)
    for name in (StageName.FETCH, StageName.CHECK, StageName.CONVERT, StageName.OPS, StageName.VERIFY):
        assert roles(name) == set()


def test_packages_decide_where_they_are_imported() -> None:
    def packages(name: StageName) -> set[str]:
        return {*ENVIRONMENT.versions(closure(BY_NAME[name]).imports)}

    assert {"tensorflow", "keras", "keras-hub", "numpy", "ai-edge-litert", "protobuf"} <= packages(StageName.CONVERT)
    assert {"ai-edge-litert", "numpy", "tokenizers", "pydantic-core", "python"} <= packages(StageName.VERIFY)
    assert "tensorflow" not in packages(StageName.PACKAGE)
    assert "numpy" not in packages(StageName.APP)


class Home:
    """A farm's folder over a copied repository, looked at each time."""

    def __init__(self, root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.folder = root, folder
        folder.mkdir()
        monkeypatch.setattr(locations, "ROOT", root)
        monkeypatch.setattr(stage_code, "FRESH_SECONDS", 0.0)
        monkeypatch.setattr(stage_code, "_latest", {})

    def digests(self) -> dict[str, str]:
        return dict(stage_code.of_stages(self.folder))


@pytest.fixture
def home(copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    return Home(copied, tmp_path / "home", monkeypatch)


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name, digest in after.items() if before[name] != digest}


def test_an_edited_module_is_seen_at_once(home: Home) -> None:
    file = home.root / "pipeline/stages/sdk.py"
    before, content = home.digests(), file.read_bytes()
    assert list(before) == [stage.name for stage in STAGES]
    assert len({*before.values()}) == len(STAGES)
    file.write_bytes(content + b"\n")
    assert changed(before, home.digests()) == {"sdk"}
    file.write_bytes(content)
    assert home.digests() == before


def test_an_edit_that_keeps_size_and_time_is_seen(home: Home) -> None:
    file = home.root / "pipeline/ops/dangers.toml"
    before, status, content = home.digests(), file.stat(), file.read_bytes()
    file.write_bytes(content.replace(b"a", b"b", 1))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert "ops" in changed(before, home.digests())
    file.write_bytes(content)


def test_new_data_and_new_modules_are_seen(home: Home) -> None:
    before = home.digests()
    new = home.root / "android-builder/screens/src/main/kotlin/deeper/New.kt"
    new.parent.mkdir()
    new.write_text("class New")
    assert changed(before, home.digests()) == {"screenshots"}
    shutil.rmtree(new.parent)
    # A package takes the place of the module of the same name.
    package = home.root / "pipeline/android/play/__init__.py"
    package.parent.mkdir()
    package.write_text("load = None")
    assert {"package", "bundle"} <= changed(before, home.digests())
    shutil.rmtree(package.parent)
    assert home.digests() == before


def test_what_was_found_serves_the_next_process_unread(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in home.root.rglob("*"):
        os.utime(path, ns=(1, 1))
    monkeypatch.setattr(stage_code, "SETTLED_NS", 0)
    before = home.digests()
    monkeypatch.setattr(stage_code, "_latest", {})
    monkeypatch.setattr(stage_code, "_find", lambda: pytest.fail("read again"))
    # Python compiles what it imports, which changes nothing.
    (home.root / "pipeline/ops/__pycache__").mkdir()
    assert home.digests() == before
    (home.root / "pipeline/ops/__pycache__").rmdir()


def test_what_is_being_edited_is_not_kept(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_code, "SETTLED_NS", 1 << 62)
    home.digests()
    assert list(home.folder.iterdir()) == []


def test_a_damaged_file_is_not_believed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    before = home.digests()
    (home.folder / stage_code.FILE).write_text('{"by": 1')
    monkeypatch.setattr(stage_code, "_latest", {})
    assert home.digests() == before


def test_what_was_just_found_is_not_looked_for_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    before = home.digests()
    monkeypatch.setattr(stage_code, "FRESH_SECONDS", 60.0)
    monkeypatch.setattr(stage_code._State, "holds", lambda _self: pytest.fail("looked again"))
    assert home.digests() == before


def test_threads_that_ask_at_once_have_it_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def find() -> SimpleNamespace:
        looks.append(1)
        time.sleep(0.05)
        return SimpleNamespace(digests={"verify": "0"}, holds=lambda: True)

    monkeypatch.setattr(stage_code, "_latest", {})
    monkeypatch.setattr(stage_code, "_find", find)
    monkeypatch.setattr(stage_code, "_keep", lambda path, state: None)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(stage_code.of_stages, [tmp_path] * 8))
    assert answers == [{"verify": "0"}] * 8
    assert len(looks) == 1
