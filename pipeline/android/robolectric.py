"""Runs JUnit classes against a finished APK on this machine's JVM: Robolectric's Android, the real TensorFlow Lite."""

from __future__ import annotations

import json
import os
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farm.errors import FarmError
from pipeline import process
from pipeline.android import compilation
from pipeline.android.base import AppBase
from pipeline.android.project import escape_property
from pipeline.toolchain import tools
from pipeline.toolchain.maven import Toolchain
from pipeline.toolchain.pins import Role
from pipeline.toolchain.tools import Tool

MAIN = "dev.kerasfarm.screens.MainKt"
JVM = (
    # A small nursery: garbage is collected before it takes more memory.
    "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmn32m",
    # Robolectric replaces methods of the platform that the JVM guards.
    "--add-opens=java.base/java.io=ALL-UNNAMED", "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "-Drobolectric.offline=true",
)  # fmt: skip
# Robolectric reads an asset that is opened by its descriptor, such as the model, into the heap, and may hold the last
# test's still: so much beside two of them.
HEAP_BYTES = 256 << 20
# A model that is closed shall give its memory back before the next test opens it, not keep it for small things: glibc's
# word for what is too large for that, in bytes.
ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": str(256 << 10),
    "MALLOC_ARENA_MAX": "2",
    # The JVM decodes file names and arguments by it.
    "LC_ALL": "C.UTF-8",
}


@dataclass(frozen=True)
class JUnitTest:
    """How one test went. failure: its stack trace, None when it passed."""

    name: str
    seconds: float
    failure: str | None


@dataclass(frozen=True)
class Harness:
    """What every run needs: the app's classes, the pinned artifacts, a folder for what they unpack."""

    base: AppBase
    toolchain: Toolchain
    scratch: Path

    def libraries(self) -> tuple[Path, ...]:
        """What JUnit classes are compiled against and run with, but for themselves."""
        ours = (self.base.library_jar, self.base.app_jar, self.base.identifiers)
        chosen = self.toolchain.paths(Role.LIBRARY), self.toolchain.paths(Role.TEST)
        # The plain platform comes last: it brings org.json to classes outside of Robolectric's class loader.
        return (*ours, *map(self.classes, chosen[0] + chosen[1]), *self.toolchain.paths(Role.PLATFORM))

    def compile(self, sources: Path, others: Sequence[Path], target: Path) -> None:
        """Compile JUnit classes into the jar `target`; others: jars that they use besides `libraries`."""
        target.parent.mkdir(parents=True, exist_ok=True)
        ours = (self.base.library_jar, self.base.app_jar)
        compilation.compile_kotlin(self.toolchain, sources, (*others, *self.libraries()), target, target.stem, ours)

    def run(
        self, package: Path, jars: Sequence[Path], classes: Sequence[str], properties: Mapping[str, str],
        *, timeout: float, error: type[FarmError], hint: str,
    ) -> tuple[JUnitTest, ...]:  # fmt: skip
        """Run all tests of the classes against the APK; `error` when one of them fails or the JVM ends early."""
        settings = self.scratch / "settings"
        self._configure(package, settings)
        natives = self.toolchain.paths(Role.HOST_NATIVE)
        (platform,) = self.toolchain.paths(Role.TEST_PLATFORM)
        own = {
            "robolectric.dependency.dir": str(platform.parent),
            "org.bytedeco.javacpp.cachedir": str(self.scratch),
            "java.io.tmpdir": str(self.scratch),
        }
        completed = process.run(
            (
                tools.find(Tool.JAVA), *JVM, f"-Xmx{HEAP_BYTES + 2 * package.stat().st_size}",
                *(f"-D{name}={value}" for name, value in (own | dict(properties)).items()),
                "-cp", ":".join(map(str, (settings, *jars, *natives, *self.libraries()))), MAIN, *classes,
            ),
            timeout=timeout, error=error, hint=hint, env=os.environ | ENVIRONMENT,
        )  # fmt: skip
        tests = read_lines(completed.stdout)
        failures = [(test.name, test.failure) for test in tests if test.failure is not None]
        for name, trace in failures:
            sys.stderr.write(f"{name}: {trace}\n")
        if failures or not tests:
            name, trace = failures[0] if failures else ("JUnit", "no test ran")
            raise error(f"{name} failed: {trace.splitlines()[0].strip().rstrip('.')}; {hint}")
        return tests

    def _configure(self, package: Path, folder: Path) -> None:
        """Write the file by which Robolectric finds the app, as the Android build of Gradle does."""
        target = folder / "com" / "android" / "tools" / "test_config.properties"
        target.parent.mkdir(parents=True, exist_ok=True)
        lines = {
            "android_merged_manifest": self.base.manifest.resolve(),
            "android_resource_apk": package.resolve(),
            "android_custom_package": self.toolchain.pins.target.namespace,
        }
        target.write_text("".join(f"{name}={escape_property(str(value))}\n" for name, value in lines.items()))

    def classes(self, artifact: Path) -> Path:
        """A jar as it is; of an Android library the jar in it."""
        if artifact.suffix != ".aar":
            return artifact
        target = self.scratch / f"{artifact.stem}.jar"
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(artifact) as library:
                target.write_bytes(library.read("classes.jar"))
        return target


def read_lines(output: str) -> tuple[JUnitTest, ...]:
    """The tests that the program told of, one JSON line each; other lines are the app's own."""
    found = []
    for line in output.splitlines():
        if line.startswith('{"'):
            told: dict[str, Any] = json.loads(line)
            found.append(JUnitTest(told["test"], told["seconds"], told["failure"]))
    return tuple(found)
