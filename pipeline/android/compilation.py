"""From Kotlin to dex: kotlinc, javac and R8, each a plain call of the pinned toolchain."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

from farm.errors import StageCrashed
from pipeline import process
from pipeline.android import archive
from pipeline.toolchain import tools
from pipeline.toolchain.maven import Toolchain
from pipeline.toolchain.pins import Role
from pipeline.toolchain.tools import Tool

COMPILE_TIMEOUT = 600.0
SHRINK_TIMEOUT = 1200.0
HINT = "see the stage's log and the sources in android-builder."
# Programs that run once: the second compiler tier of the JVM costs more than it gains, even in R8's half minute.
JVM = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx2g")


def compile_kotlin(
    toolchain: Toolchain,
    sources: Path,
    classpath: Sequence[Path],
    target: Path,
    module: str,
    friends: Sequence[Path] = (),
) -> None:
    """Compile all Kotlin sources below a folder into the jar `target`. friends: jars whose internals they use."""
    classes = target.with_suffix(".classes")
    befriended = [f"-Xfriend-paths={','.join(map(str, friends))}"] if friends else []
    process.run(
        (
            tools.find(Tool.JAVA), *JVM, "-cp", _joined(_compiler(toolchain)),
            "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler", "-no-stdlib", "-no-reflect",
            "-jvm-target", toolchain.pins.target.jvm_target, "-module-name", module,
            *befriended, "-classpath", _joined(classpath), "-d", classes, sources,
        ),
        timeout=COMPILE_TIMEOUT, error=StageCrashed, hint=HINT,
    )  # fmt: skip
    archive.write_tree(target, classes)
    shutil.rmtree(classes)


def compile_java(toolchain: Toolchain, sources: Path, target: Path) -> None:
    """Compile all Java sources below a folder, which use nothing but each other, into the jar `target`."""
    classes = target.with_suffix(".classes")
    process.run(
        (
            tools.find(Tool.JAVAC), "-J-XX:TieredStopAtLevel=1", "--release", toolchain.pins.target.jvm_target,
            "-g:none", "-d", classes, *sorted(sources.rglob("*.java")),
        ),
        timeout=COMPILE_TIMEOUT, error=StageCrashed, hint=HINT,
    )  # fmt: skip
    archive.write_tree(target, classes)
    shutil.rmtree(classes)


def shrink(toolchain: Toolchain, jars: Sequence[Path], rules: Sequence[Path], target: Path) -> tuple[Path, ...]:
    """R8: make `classes.dex`, `classes2.dex` ... in the folder `target` of what the rules keep of the jars."""
    arguments: list[str | Path] = ["--release", "--min-api", str(toolchain.pins.target.min_sdk)]
    # The platform's artifact lacks java.*, without which R8 would know nothing of strings and files.
    for platform in (tools.java_home(), *toolchain.paths(Role.PLATFORM)):
        arguments += ["--lib", platform]
    for rule in rules:
        arguments += ["--pg-conf", rule]
    target.mkdir(parents=True, exist_ok=True)
    process.run(
        (
            tools.find(Tool.JAVA), *JVM, "-cp", _joined(toolchain.paths(Role.SHRINKER)),
            "com.android.tools.r8.R8", *arguments, "--no-data-resources", "--output", target, *jars,
        ),
        timeout=SHRINK_TIMEOUT, error=StageCrashed, hint=HINT,
    )  # fmt: skip
    return tuple(sorted(target.glob("classes*.dex")))


def extract_libraries(jar: Path, abi: str, target: Path) -> tuple[Path, ...]:
    """Copy the shared libraries for an ABI out of a runtime jar into the folder `target`."""
    target.mkdir(parents=True, exist_ok=True)
    found = []
    with zipfile.ZipFile(jar) as source:
        for name in source.namelist():
            if name.startswith(f"lib/{abi}/") and name.endswith(".so"):
                path = target / Path(name).name
                path.write_bytes(source.read(name))
                found.append(path)
    return tuple(found)


def _compiler(toolchain: Toolchain) -> tuple[Path, ...]:
    """kotlinc's own class path: it needs the standard library too."""
    standard = [one for one in toolchain.pins.with_role(Role.LIBRARY) if one.name == "kotlin-stdlib"]
    return (*toolchain.paths(Role.COMPILER), *(toolchain.path(one) for one in standard))


def _joined(paths: Sequence[Path]) -> str:
    return ":".join(map(str, paths))
