"""The versions by which Android Studio builds are those of the farm's table."""

from __future__ import annotations

import re
import tomllib

from farm import digests, locations
from pipeline.android import version_catalog
from pipeline.toolchain import pins
from pipeline.toolchain.pins import Role

BUILDER = locations.ANDROID_BUILDER


def test_the_files_are_those_of_the_table() -> None:
    for name, content in version_catalog.files(pins.load()).items():
        assert (BUILDER / name).read_text() == content, (
            f"run `python -m pipeline.android.version_catalog` to write {name}"
        )


def test_the_version_catalog_names_the_versions_that_the_command_line_build_uses() -> None:
    table, found = pins.load(), tomllib.loads((BUILDER / version_catalog.CATALOG).read_text())
    pinned = {f"{one.group}:{one.name}": one.version for role in Role for one in table.with_role(role)}
    assert {one["module"]: one["version"] for one in found["libraries"].values()}.items() <= pinned.items()
    assert found["versions"]["kotlin"] == pinned["org.jetbrains.kotlin:kotlin-compiler-embeddable"]
    assert found["versions"]["target-sdk"] == str(table.target.target_sdk)


def test_the_wrapper_is_gradles_own() -> None:
    assert digests.of_file(BUILDER / version_catalog.WRAPPER_JAR) == pins.load().gradle.wrapper_sha256


def test_gradles_scripts_ask_for_nothing_that_the_version_catalog_lacks() -> None:
    found = tomllib.loads((BUILDER / version_catalog.CATALOG).read_text())
    offered = {name.replace("-", ".") for name in found["libraries"]}
    offered |= {f"{kind}.{name.replace('-', '.')}" for kind in ("versions", "plugins") for name in found[kind]}
    scripts = sorted(BUILDER.glob("**/*.gradle.kts"))
    asked = {
        name.removesuffix(".get")
        for script in scripts
        for name in re.findall(r"\blibs\.([a-z.]+[a-z])", script.read_text())
    }
    assert len(scripts) == 7
    assert asked <= offered
    assert {name for name in offered if not name.startswith("versions.")} <= asked


def test_the_modules_are_named_as_the_farm_names_them() -> None:
    app = (BUILDER / "app" / "build.gradle.kts").read_text()
    assert f'namespace = "{pins.load().target.namespace}"' in app
    settings = (BUILDER / "settings.gradle.kts").read_text()
    assert all(f'include(":{name}")' in settings for name in ("app", "generation"))
    others = {path.parent.name for path in BUILDER.glob("*/build.gradle.kts")} - {"app", "generation"}
    assert others == set(re.findall(r'"([a-z]+)"', settings.partition("listOf(")[2].partition(")")[0]))
    with_sources = {path.parent.name for path in BUILDER.glob("*/src")}
    assert with_sources == others | {"app", "generation", "screens"}
    assert "../screens/src/main/kotlin" in app
    assert all(f"{name}()" in settings for name in ("google", "mavenCentral"))
