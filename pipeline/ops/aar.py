"""What the native libraries of an AAR, a jar or an APK bring: ABIs, page sizes, TFLite's version, registered ops."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from ai_edge_litert import schema_py_generated as schema
from pydantic import BaseModel, ConfigDict

from farm import digests
from farm.errors import AarUnusable
from pipeline.binaries import machine_code, native, zip_reading
from pipeline.ops import versions
from pipeline.ops.reading import OpKind, OpUse

LIBRARY = re.compile(r"(?:jni|lib)/(?P<abi>arm64-v8a|armeabi-v7a|x86|x86_64)/(?P<name>[^/]+\.so)")
# A method of the class that loads Flex, which only the library with Flex defines.
FLEX_ENTRY = b"Java_org_tensorflow_lite_flex_FlexDelegate_"
TFTEXT_NAME = re.compile(rb"TFText>[A-Za-z0-9]{1,60}")
CLASSES = "classes.jar"
LARGEST_LIBRARY = 1 << 29
MOST_LIBRARIES = 64

_OPERATORS = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}


class Answer(StrEnum):
    """Whether a library has an op: as its code says, or as far as that can be told."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Library(BaseModel):
    """A shared library. size and load_alignment in bytes; the latter None for 32-bit libraries, which it is not asked
    of."""

    model_config = ConfigDict(frozen=True)

    name: str
    size: int
    load_alignment: int | None


class AbiReading(BaseModel):
    """What there is for one ABI.

    flex: whether a library with Flex is there. builtins: least and greatest version by name; kernels: TensorFlow's ops
    behind Flex; both are empty when the code does not show them. named: TF Text's own ops for TFLite, of which only
    the names can be seen.
    """

    model_config = ConfigDict(frozen=True)

    libraries: tuple[Library, ...] = ()
    version: str | None = None
    flex: bool = False
    builtins: dict[str, tuple[int, int]] = {}
    kernels: tuple[str, ...] = ()
    named: tuple[str, ...] = ()

    @property
    def page_size(self) -> int | None:
        """The largest page, in bytes, that all libraries can be loaded with."""
        return min((one.load_alignment for one in self.libraries if one.load_alignment is not None), default=None)

    def has(self, use: OpUse) -> Answer:
        """Whether the operator finds its kernel here."""
        if use.kind is OpKind.BUILTIN:
            if not self.builtins:
                return Answer.UNKNOWN
            least, greatest = self.builtins.get(use.name, (0, -1))
            return Answer.YES if least <= use.version <= greatest else Answer.NO
        if use.runs is not None:
            if self.flex and not self.kernels:
                return Answer.UNKNOWN
            return Answer.YES if use.runs in self.kernels else Answer.NO
        if use.kind is OpKind.TFTEXT:
            return Answer.UNKNOWN if use.name in self.named else Answer.NO
        return Answer.UNKNOWN


class AarReading(BaseModel):
    """All that was read. files: SHA-256 by file name."""

    model_config = ConfigDict(frozen=True)

    name: str
    files: dict[str, str]
    abis: dict[str, AbiReading]

    def has(self, use: OpUse) -> dict[str, Answer]:
        """The answer for each ABI."""
        return {abi: reading.has(use) for abi, reading in self.abis.items()}


def read(path: Path, name: str | None = None) -> AarReading:
    """Read an AAR, a jar or an APK; AarUnusable when it is none, or has no native library."""
    sentence = f"{path} is no AAR that can be opened; give another one."
    try:
        with zip_reading.opened(path, AarUnusable, sentence) as package:
            abis = dict(_read_abis(package, path))
    except OSError as error:
        raise AarUnusable(sentence) from error
    if not abis:
        raise AarUnusable(f"{path} has no native library below jni/; give an AAR with TensorFlow Lite in it.")
    return AarReading(name=name or path.name, files={path.name: digests.of_file(path)}, abis=abis)


def has_class(path: Path, name: str) -> bool:
    """Whether the AAR's own classes have one of that entry's name; AarUnusable when they can't be read."""
    sentence = f"The {CLASSES} of {path} can't be opened; give another AAR."
    try:
        with zip_reading.opened(path, AarUnusable, sentence) as package:
            if CLASSES not in package.namelist():
                return False
            with package.open(CLASSES) as content, zipfile.ZipFile(content) as classes:
                return name in classes.namelist()
    except OSError as error:
        raise AarUnusable(sentence) from error


def combine(name: str, readings: Sequence[AarReading]) -> AarReading:
    """What several archives bring together."""
    abis = sorted({abi for reading in readings for abi in reading.abis})
    return AarReading(
        name=name,
        files={file: digest for reading in readings for file, digest in reading.files.items()},
        abis={abi: _merge([one.abis[abi] for one in readings if abi in one.abis]) for abi in abis},
    )


def _read_abis(package: zipfile.ZipFile, path: Path) -> Iterator[tuple[str, AbiReading]]:
    found: dict[str, list[AbiReading]] = {}
    entries = [(match, entry) for entry in package.infolist() if (match := LIBRARY.fullmatch(entry.filename))]
    if len(entries) > MOST_LIBRARIES or any(entry.file_size > LARGEST_LIBRARY for _, entry in entries):
        raise AarUnusable(
            f"{path} has more than {MOST_LIBRARIES} native libraries or one above {LARGEST_LIBRARY >> 20} MB, which no"
            " AAR of TensorFlow Lite has; give another one."
        )
    for match, entry in entries:
        found.setdefault(match["abi"], []).append(_read_library(match["name"], package.read(entry)))
    for abi in sorted(found):
        yield abi, _merge(found[abi])


def _read_library(name: str, data: bytes) -> AbiReading:
    try:
        alignment: int | None = native.read_library(data).load_alignment
        registered = machine_code.read(data)
    except ValueError:
        return AbiReading(libraries=(Library(name=name, size=len(data), load_alignment=None),), flex=FLEX_ENTRY in data)
    return AbiReading(
        libraries=(Library(name=name, size=len(data), load_alignment=alignment),),
        version=registered.version,
        flex=FLEX_ENTRY in data,
        builtins={
            _OPERATORS[number]: span for number, span in sorted(registered.builtins.items()) if number in _OPERATORS
        },
        kernels=tuple(sorted(registered.kernels)),
        named=tuple(sorted({match.decode() for match in TFTEXT_NAME.findall(data)})),
    )


def _merge(readings: Sequence[AbiReading]) -> AbiReading:
    return AbiReading(
        libraries=tuple(library for reading in readings for library in reading.libraries),
        version=min((one.version for one in readings if one.version), key=versions.as_numbers, default=None),
        flex=any(reading.flex for reading in readings),
        builtins={name: span for reading in readings for name, span in reading.builtins.items()},
        kernels=tuple(sorted({name for reading in readings for name in reading.kernels})),
        named=tuple(sorted({name for reading in readings for name in reading.named})),
    )
