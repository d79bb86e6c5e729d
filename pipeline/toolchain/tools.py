"""The programs that the Android half runs: which Debian package brings each, where it lies, which version it is."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from farm.errors import ToolMissing
from pipeline import process


class Tool(StrEnum):
    """A program by its name on PATH."""

    JAVA = "java"
    JAVAC = "javac"
    KEYTOOL = "keytool"
    JARSIGNER = "jarsigner"
    MAVEN = "mvn"
    AAPT2 = "aapt2"
    APKSIGNER = "apksigner"
    ZIPALIGN = "zipalign"


@dataclass(frozen=True)
class Origin:
    """package: the Debian package. purpose: what the farm does with it. version: arguments that print the version;
    None when the program can't."""

    package: str
    purpose: str
    version: tuple[str, ...] | None


ORIGINS: Mapping[Tool, Origin] = {
    Tool.JAVA: Origin("openjdk-17-jdk-headless", "runs kotlinc, R8 and the app's code on the host", ("-version",)),
    Tool.JAVAC: Origin("openjdk-17-jdk-headless", "compiles the app's resource class", ("-version",)),
    Tool.KEYTOOL: Origin("openjdk-17-jdk-headless", "makes and reads signing keys", None),
    Tool.JARSIGNER: Origin("openjdk-17-jdk-headless", "checks the bundle's signature", None),
    Tool.MAVEN: Origin("maven", "fetches the Android toolchain", ("--version",)),
    Tool.AAPT2: Origin("aapt", "compiles and links the app's resources", ("version",)),
    Tool.APKSIGNER: Origin("apksigner", "signs and verifies the APK", ("version",)),
    Tool.ZIPALIGN: Origin("zipalign", "checks alignment inside the APK", None),
}


def find(tool: Tool) -> Path:
    """The program's path; ToolMissing names the Debian package that brings it."""
    found = shutil.which(tool.value)
    if found is None:
        raise ToolMissing(
            f"The program {tool.value} is missing ({ORIGINS[tool].purpose}); install it with"
            f" `apt-get install {ORIGINS[tool].package}`."
        )
    return Path(found)


def java_home() -> Path:
    """The JDK's folder, by where its compiler lies."""
    return find(Tool.JAVAC).resolve().parents[1]


def version(tool: Tool) -> str | None:
    """The first line that tells the program's version; None when it can't tell. ToolMissing when it is missing."""
    program, arguments = find(tool), ORIGINS[tool].version
    if arguments is None:
        return None
    said = process.run(
        (program, *arguments), timeout=30, error=ToolMissing, hint=f"install {ORIGINS[tool].package} again"
    )
    lines = [line.strip() for line in (said.stdout + said.stderr).splitlines() if any(map(str.isdigit, line))]
    return lines[0] if lines else None
