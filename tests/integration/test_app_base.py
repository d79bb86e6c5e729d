"""The app without a model: what its tree holds, and that building is a function of the sources."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from farm.appspec import Abi
from farm.errors import StageCrashed
from pipeline.android import compilation, notices, resources
from pipeline.android.base import AppBase, AppSources
from pipeline.binaries import native
from pipeline.toolchain.maven import Toolchain
from pipeline.toolchain.pins import Role

NAMESPACE = "dev.kerasfarm.app"
# What the farm's own native runtime calls back by name.
CALLED_FROM_NATIVE_CODE = (
    "org.bytedeco.javacpp.Loader",
    "org.bytedeco.javacpp.Pointer",
    "org.bytedeco.tensorflowlite.global.tensorflowlite",
)


def _code(base: AppBase) -> frozenset[str]:
    return frozenset().union(*(native.defined_classes(path.read_bytes()) for path in base.dex_files()))


def test_the_code_holds_the_app_and_what_native_code_calls(app_base: AppBase) -> None:
    classes = _code(app_base)
    assert f"{NAMESPACE}.ui.MainActivity" in classes
    assert set(CALLED_FROM_NATIVE_CODE) <= classes
    assert sum(path.stat().st_size for path in app_base.dex_files()) < 1_500_000


def test_the_jars_hold_the_apps_unshrunk_classes(app_base: AppBase) -> None:
    jars = {
        app_base.library_jar: "dev/kerasfarm/generation/engine/LanguageModel.class",
        app_base.app_jar: "dev/kerasfarm/app/ui/MainActivity.class",
        app_base.host_jar: "dev/kerasfarm/host/Main.class",
    }
    for path, name in jars.items():
        with zipfile.ZipFile(path) as jar:
            assert name in jar.namelist()
            package = "/".join(name.split("/")[:3])
            assert all(one.startswith((package, "META-INF/")) for one in jar.namelist())


@pytest.mark.parametrize("abi", Abi)
def test_every_abi_has_libraries_for_large_pages(app_base: AppBase, abi: Abi) -> None:
    libraries = {path.name: native.read_library(path.read_bytes()) for path in app_base.libraries(abi)}
    assert set(libraries) == {"libjnijavacpp.so", "libjnitensorflowlite.so"}
    assert {library.abi for library in libraries.values()} == {abi.value}
    assert all(library.load_alignment % 16384 == 0 for library in libraries.values())


@pytest.mark.parametrize("abi", Abi)
def test_the_runtime_holds_what_its_notices_say_and_nothing_that_they_leave_out(app_base: AppBase, abi: Abi) -> None:
    code = b"".join(path.read_bytes() for path in app_base.libraries(abi))
    table = notices.load()
    symbols = {part.name: part.symbol for part in table.parts if part.symbol is not None}
    assert {name for name, symbol in symbols.items() if symbol.encode() not in code} == set()
    assert {name for name, symbol in table.absent.items() if symbol.encode() in code} == set()


def test_the_tree_holds_no_model_and_all_of_the_apps_own_assets(app_base: AppBase) -> None:
    folders = (AppSources().library / "assets", AppSources().main / "assets")
    assert {
        path.relative_to(folder).as_posix() for folder in folders for path in folder.rglob("*") if path.is_file()
    } == {name.removeprefix("assets/") for name in app_base.asset_files()}
    assert not list(app_base.folder.rglob("*.tflite"))


def test_resources_and_classes_come_out_the_same_twice(tmp_path: Path, android_toolchain: Toolchain) -> None:
    sources, target = AppSources(), android_toolchain.pins.target
    (platform,) = android_toolchain.paths(Role.PLATFORM)
    made = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        manifest, compiled, jar = folder / "AndroidManifest.xml", folder / "resources.zip", folder / "r.jar"
        resources.prepare_manifest(sources.main / "AndroidManifest.xml", manifest, target.namespace)
        resources.compile_resources(sources.main / "res", compiled)
        resources.generate_sources(manifest, compiled, platform, folder / "generated", target)
        compilation.compile_java(android_toolchain, folder / "generated" / "java", jar)
        made.append([path.read_bytes() for path in (manifest, compiled, folder / "generated" / "ids.txt", jar)])
    assert made[0] == made[1]


def test_kotlin_that_does_not_compile_fails_in_one_sentence(tmp_path: Path, android_toolchain: Toolchain) -> None:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "Broken.kt").write_text("fun broken( = 1\n")
    with pytest.raises(StageCrashed, match=r"^java failed: .*; see the stage's log and the sources in android-builder"):
        compilation.compile_kotlin(android_toolchain, tmp_path / "sources", (), tmp_path / "broken.jar", "broken")
    assert not (tmp_path / "broken.jar").exists()
