"""What this machine has and lacks for the farm, each with its fix."""

from __future__ import annotations

import contextlib
import io
import platform
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata

import psutil

from cli import units
from farm import locations
from farm.errors import FarmError, ToolMissing
from farm.settings import SandboxMode, Settings
from pipeline.toolchain import arm_machine, maven, tools
from pipeline.toolchain.tools import Tool
from worker import sandbox
from worker.sandbox import Bubblewrap

DISTRIBUTION = "keras-android-farm"
FETCHING = "farm doctor --fetch"
PYTHON = (3, 11)
# What one job of a GPT-2 size writes, with its scratch files.
DISK_WANTED = 4 << 30
MEMORY_WANTED = 3 << 30


class Health(StrEnum):
    """Whether jobs can do without."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


@dataclass(frozen=True)
class Check:
    """One finding. fix: what to do, empty when nothing is to be done."""

    subject: str
    health: Health
    found: str
    fix: str = ""


def examine(settings: Settings) -> Iterator[Check]:
    """Every check, one after another; the quick ones first."""
    yield check_python()
    yield from check_packages()
    yield from check_names()
    for tool in Tool:
        yield check_tool(tool)
    yield check_toolchain(settings)
    yield check_arm_machine(settings)
    yield check_sandbox(settings)
    yield check_memory(settings)
    yield check_disk(settings)
    yield check_database(settings)


def check_python() -> Check:
    """The interpreter's version: TensorFlow 2.19 and the lock are for 3.11."""
    version = platform.python_version()
    if tuple(map(int, platform.python_version_tuple()[:2])) == PYTHON:
        return Check("Python", Health.OK, version)
    wanted = ".".join(map(str, PYTHON))
    return Check("Python", Health.MISSING, version, f"Install the farm with Python {wanted}: {installation(wanted)}")


def check_packages() -> Iterator[Check]:
    """The Python packages that conversion needs; those that are pinned must have exactly that version."""
    for requirement in metadata.requires(DISTRIBUTION) or ():
        match = re.fullmatch(r'([\w.-]+)(==|>=)([\w.]+) *; *extra == ["\']convert["\']', requirement)
        if match is None:
            continue
        name, relation, wanted = match.groups()
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield Check(name, Health.MISSING, "not installed", f"Run: {installation()}")
            continue
        if found == wanted or relation == ">=":
            yield Check(name, Health.OK, found)
        else:
            yield Check(name, Health.WARNING, f"{found} instead of {wanted}", f"Run: {installation()}")


def check_names() -> Iterator[Check]:
    """Packages of the farm whose names another distribution of the environment has too: one overwrites the other."""
    owners = metadata.packages_distributions()
    for name in sorted(locations.PACKAGES):
        if others := sorted(set(owners.get(name, ())) - {DISTRIBUTION}):
            fix = f"Install the farm in an environment of its own: {installation()}"
            yield Check(name, Health.WARNING, f"also a package of {', '.join(others)}", fix)


def installation(python: str = "3.11") -> str:
    """The command that installs the farm with all that jobs need."""
    return (
        "scripts/bootstrap"
        if locations.CHECKOUT
        else (f"uv tool install --reinstall --python {python} '{DISTRIBUTION}[convert,android]'")
    )


def check_tool(tool: Tool) -> Check:
    """A program of the Android half."""
    origin = tools.ORIGINS[tool]
    try:
        # The command lines that are run for the versions are of no interest here.
        with contextlib.redirect_stderr(io.StringIO()):
            found = tools.version(tool) or str(tools.find(tool))
    except ToolMissing:
        fix = f"Run: apt-get install {origin.package}  ({origin.purpose})"
        return Check(tool.value, Health.MISSING, "not installed or broken", fix)
    return Check(tool.value, Health.OK, found)


def check_toolchain(settings: Settings) -> Check:
    """The Maven artifacts that the app is built with."""
    there = maven.at(settings.toolchain)
    missing = there.missing()
    total = len(there.pins.artifacts)
    if missing:
        found = f"{len(missing)} of {total} missing, {missing[0].file_name} first"
        return Check("Android toolchain", Health.MISSING, found, f"Run: {FETCHING}")
    return Check("Android toolchain", Health.OK, f"{units.count(total, 'artifact')} in {settings.toolchain}")


def check_arm_machine(settings: Settings) -> Check:
    """What runs the app's code on the processors of phones."""
    found = arm_machine.find(settings.toolchain)
    if settings.arm_seconds <= 0:
        return Check(
            "phone processors", Health.WARNING, "switched off", "Unset FARM_ARM_SECONDS to check models there."
        )
    if found is None:
        return Check("phone processors", Health.WARNING, "no emulator", f"Run: {FETCHING}")
    return Check("phone processors", Health.OK, ", ".join(cpu.model for cpu in found.cpus))


def check_sandbox(settings: Settings) -> Check:
    """The sandbox that stages run in."""
    if settings.sandbox is SandboxMode.OFF:
        return Check("sandbox", Health.WARNING, "switched off", "Unset FARM_SANDBOX to run stages in a sandbox.")
    found = sandbox.find()
    if isinstance(found, Bubblewrap):
        return Check("sandbox", Health.OK, f"{found.description} works")
    health = Health.MISSING if settings.sandbox is SandboxMode.REQUIRED else Health.WARNING
    return Check("sandbox", health, found, "Run: apt-get install bubblewrap  (and let it make user namespaces)")


def check_memory(settings: Settings) -> Check:
    """Memory for the largest stage."""
    free = psutil.virtual_memory().available
    found = f"{units.size(free)} free, a stage may use {units.size(settings.memory_limit)}"
    if min(free, settings.memory_limit) >= MEMORY_WANTED:
        return Check("memory", Health.OK, found)
    return Check("memory", Health.WARNING, found, f"Have {units.size(MEMORY_WANTED)} free for larger models.")


def check_disk(settings: Settings) -> Check:
    """Room in the farm's folder, or where it will be made."""
    folder = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    found = f"{units.size(free)} free at {settings.home}"
    if free < settings.disk_reserve:
        return Check("disk", Health.MISSING, found, "Free some room, or set FARM_HOME to another folder.")
    if free < DISK_WANTED:
        return Check("disk", Health.WARNING, found, f"Have {units.size(DISK_WANTED)} free for larger models.")
    return Check("disk", Health.OK, found)


def check_database(settings: Settings) -> Check:
    """Whether the farm's database opens."""
    # Brings the database's library, which the other checks do not need.
    from client.local import LocalFarm

    try:
        LocalFarm(settings).jobs(limit=1)
    except FarmError as error:
        return Check("database", Health.MISSING, "unusable", error.sentence)
    return Check("database", Health.OK, "opens")
