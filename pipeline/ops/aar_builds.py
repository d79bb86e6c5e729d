"""AARs that were built for chosen ops, kept by what decides them; one that has more ops than are needed serves too."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from farm import digests, locations
from farm.appspec import Abi
from farm.errors import AarBuildFailed, AarUnfit
from pipeline import process
from pipeline.ops import aar
from pipeline.ops.aar import Answer
from pipeline.ops.aar_fitness import INTERPRETER_LIBRARY
from pipeline.ops.reading import OpKind, OpUse

DATA_FILES = ("android-builder/flex-aar/*",)

CACHE = "aars"
RECIPE = locations.ANDROID_BUILDER / "flex-aar"
SETTINGS = RECIPE / "versions.json"
TIMEOUT = 6 * 3600.0
# What of a failed build tells the cause: Bazel's own last words.
TELLING = ("ERROR:", "error:", "FAILED:", "fatal:", "no such", "No space left")
HINT = "see android-builder/README.md for what the build needs."


class BuildKey(BaseModel):
    """What decides a build. ops: TensorFlow's ops behind Flex and TF Text's, sorted; recipe: the digest of the scripts
    and pinned versions."""

    model_config = ConfigDict(frozen=True)

    ops: tuple[str, ...]
    abis: tuple[str, ...]
    page_size: int
    recipe: str

    @property
    def digest(self) -> str:
        """SHA-256 over all of it."""
        return digests.of_json(self.model_dump(mode="json"))

    def serves(self, wanted: BuildKey) -> bool:
        """Whether an AAR of this key has all that is wanted of another."""
        same = (self.page_size, self.recipe) == (wanted.page_size, wanted.recipe)
        return same and set(wanted.ops) <= set(self.ops) and set(wanted.abis) <= set(self.abis)


@dataclass(frozen=True)
class BuiltAar:
    """An AAR in the cache."""

    path: Path
    key: BuildKey


def needed_ops(uses: Iterable[OpUse]) -> tuple[str, ...]:
    """The ops that a model needs beside TFLite's own, sorted."""
    found = {use.runs or use.name for use in uses if use.kind is not OpKind.BUILTIN}
    return tuple(sorted(found))


def key_for(uses: Iterable[OpUse], abis: Sequence[Abi]) -> BuildKey:
    """The key of the build that has exactly what a model needs."""
    settings = json.loads(SETTINGS.read_text())
    recipe = digests.of_sources(RECIPE, ("**/*",))
    return BuildKey(
        ops=needed_ops(uses), abis=tuple(sorted(abi.value for abi in abis)), page_size=settings["page_size"],
        recipe=recipe,
    )  # fmt: skip


def cached(caches: Path, wanted: BuildKey) -> BuiltAar | None:
    """The smallest AAR in the cache that serves; damaged entries are passed over."""
    found = []
    for description in sorted((caches / CACHE).glob("*.json")):
        try:
            key = BuildKey.model_validate_json(description.read_bytes())
        except (OSError, ValidationError):
            continue
        path = description.with_suffix(".aar")
        if path.is_file() and key.serves(wanted):
            found.append(BuiltAar(path, key))
    return min(found, key=lambda one: (len(one.key.ops), len(one.key.abis), one.path.name), default=None)


def find(caches: Path, uses: Iterable[OpUse], abis: Sequence[Abi]) -> BuiltAar:
    """The AAR for a model; AarUnfit, with the command that builds one, when there is none."""
    wanted = key_for(uses, abis)
    found = cached(caches, wanted)
    if found is None:
        words = " ".join(f"--abi {abi}" for abi in wanted.abis)
        raise AarUnfit(
            f"No AAR has been built for {', '.join(wanted.ops[:5]) or 'these ops'} yet; run, with this job's id for"
            f" JOB: farm aar JOB {words} (it takes Docker and hours), then farm retry JOB."
        )
    return found


def build(caches: Path, wanted: BuildKey, command: Sequence[str | Path] = (RECIPE / "build",)) -> BuiltAar:
    """Build the AAR, or take a cached one that serves. AarBuildFailed with the cause that the build's log names."""
    there = cached(caches, wanted)
    if there is not None:
        return there
    folder = caches / CACHE
    draft = folder / f"{wanted.digest[:16]}.{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        ops = draft / "ops.txt"
        ops.write_text("".join(f"{op}\n" for op in wanted.ops))
        log, output = draft / "build.log", draft / "tftext_tflite_flex.aar"
        words = (*command, "--ops", ops, "--abis", ",".join(wanted.abis), "--pages", str(wanted.page_size))
        try:
            process.run(
                (*words, "--log", log, "--output", output), timeout=TIMEOUT, error=AarBuildFailed, hint=HINT,
                env=_environment(),
            )  # fmt: skip
        except AarBuildFailed as error:
            raise AarBuildFailed(f"The AAR's build failed: {cause(log) or error.sentence}; {HINT}") from error
        _require_result(output, wanted)
        target = folder / f"{wanted.digest}.aar"
        output.replace(target)
        # The description last: an AAR without one is not seen.
        described = draft / "key.json"
        described.write_text(wanted.model_dump_json())
        described.replace(target.with_suffix(".json"))
        return BuiltAar(target, wanted)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def cause(log: Path) -> str | None:
    """The line of a build's log that tells most: the first error, since those after it follow from it."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    found = next((line.strip() for line in lines if any(word in line for word in TELLING)), None)
    return None if found is None else found[:300].rstrip(".;")


def _require_result(output: Path, wanted: BuildKey) -> None:
    """AarBuildFailed unless the build made what it was asked for, as its own libraries tell."""
    if not output.is_file():
        raise AarBuildFailed(f"The AAR's build ended without {output.name}; {HINT}")
    reading = aar.read(output)
    for abi in wanted.abis:
        if abi not in reading.abis:
            raise AarBuildFailed(f"The AAR that was built has no library for {abi}; {HINT}")
        found = reading.abis[abi]
        if INTERPRETER_LIBRARY not in {library.name for library in found.libraries}:
            raise AarBuildFailed(f"The AAR that was built has no {INTERPRETER_LIBRARY} for {abi}; {HINT}")
        if found.page_size is not None and found.page_size % wanted.page_size:
            raise AarBuildFailed(f"The AAR that was built has pages of {found.page_size} bytes for {abi}; {HINT}")
        for op in wanted.ops:
            kind = OpKind.CUSTOM if op.startswith("TFText>") else OpKind.FLEX
            use = OpUse(kind, op, 1, "", "", None if kind is OpKind.CUSTOM else op)
            if found.has(use) is Answer.NO:
                raise AarBuildFailed(f"The AAR that was built does not register {op} for {abi}; {HINT}")


def _environment() -> Mapping[str, str]:
    """The build needs what leads programs to Docker and the network, and nothing of the farm's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("FARM_")}
