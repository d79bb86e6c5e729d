"""Compares an AAR with a job: its ABIs, the ops of its model, its version, its pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from farm.appspec import Abi
from farm.errors import AarUnfit
from pipeline.ops import aar, known_aars, versions
from pipeline.ops.aar import AarReading, Answer
from pipeline.ops.reading import OpKind, OpUse
from pipeline.toolchain.maven import Toolchain
from pipeline.toolchain.pins import Role

INTERPRETER = "tensorflow-lite"
# What a library of either kind is called in every AAR that the interpreter's classes know.
INTERPRETER_LIBRARY = "libtensorflowlite_jni.so"
INTERPRETER_CLASS = "org/tensorflow/lite/NativeInterpreterWrapper.class"


def with_interpreter(path: Path, chain: Toolchain) -> AarReading:
    """A supplied AAR; what it lacks of the interpreter, library or classes, the pinned one brings. AarUnusable,
    ToolMissing."""
    found = aar.read(path)
    has_library = any(library.name == INTERPRETER_LIBRARY for one in found.abis.values() for library in one.libraries)
    if has_library and aar.has_class(path, INTERPRETER_CLASS):
        return found
    (interpreter,) = (one for one in chain.pins.with_role(Role.FLEX_RUNTIME) if one.name == INTERPRETER)
    # The stock reading is not of this file alone, so that it is read again: it is small.
    pinned = aar.read(chain.path(interpreter))
    if has_library:
        return found.model_copy(update={"files": found.files | pinned.files})
    completed = aar.combine(found.name, [found, pinned])
    return completed.model_copy(update={"abis": {abi: completed.abis[abi] for abi in found.abis}})


def require_fit(found: AarReading, uses: Sequence[OpUse], abis: Sequence[Abi], page_size: int) -> tuple[str, ...]:
    """AarUnfit for what would fail on a phone; else sentences about what a reader should know."""
    missing = [abi.value for abi in abis if abi.value not in found.abis]
    if missing:
        raise AarUnfit(
            f"{found.name} has no library for {missing[0]} (it has {', '.join(found.abis)}); leave the ABI out with"
            " --abi, or take another AAR."
        )
    unknown: set[str] = set()
    for use in uses:
        answers = {abi.value: found.abis[abi.value].has(use) for abi in abis}
        lacking = [abi for abi, answer in answers.items() if answer is Answer.NO]
        if lacking:
            raise AarUnfit(f"{found.name} does not register {_words(use)} for {lacking[0]}; {_fix(use)}")
        if Answer.UNKNOWN in answers.values():
            unknown.add(use.name)
    return tuple(_notes(found, abis, page_size, unknown))


def _notes(found: AarReading, abis: Sequence[Abi], page_size: int, unknown: set[str]) -> list[str]:
    notes = []
    readings = [found.abis[abi.value] for abi in abis]
    small = [one for reading in readings for one in reading.libraries if (one.load_alignment or page_size) < page_size]
    if small:
        notes.append(
            f"Not ready for Google Play: {' and '.join(dict.fromkeys(one.name for one in small))} of the app with"
            f" {found.name} can be loaded with pages of {(small[0].load_alignment or 0) >> 10} KB only, where current"
            f" phones have {page_size >> 10} KB; an AAR built with --aar bazel or given by --aar file:PATH fixes it."
        )
    stock = known_aars.load(known_aars.STOCK)
    wanted = next(iter(stock.abis.values())).version
    other = next((one.version for one in readings if one.version and not _same_release(one.version, wanted)), None)
    if other is not None:
        notes.append(
            f"{found.name} is TFLite {other}; the farm ran the model in its own versions only, not in that one."
        )
    if unknown:
        notes.append(
            f"Whether {found.name} registers {', '.join(sorted(unknown))} could not be read from its code; try the app"
            " on a phone."
        )
    return notes


def _same_release(one: str, other: str | None) -> bool:
    return other is not None and versions.as_numbers(one)[:2] == versions.as_numbers(other)[:2]


def _words(use: OpUse) -> str:
    return f"{use.name} version {use.version}" if use.kind is OpKind.BUILTIN else use.name


def _fix(use: OpUse) -> str:
    if use.kind is OpKind.BUILTIN:
        return "choose a recipe whose ops it knows (`farm ops` shows each version's first runtime), or a newer AAR."
    return "choose the portable graph, or give an AAR that has it with --aar file:PATH or --aar bazel."
