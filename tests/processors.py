"""Runs the tests of numbers with other processors' kernels; `scripts/processors` starts it.

OpenBLAS, NumPy and oneDNN are told which instructions to use. XNNPACK, which runs the written files, asks the processor
and takes no advice: there the tests run in qemu's user-mode emulation of processors with fewer instructions.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from numpy._core._multiarray_umath import __cpu_dispatch__  # type: ignore[import-not-found]  # in no stub

ROOT = Path(__file__).parents[1]
EMULATOR = ROOT / ".toolchain" / "qemu-x86_64-static"
PACKAGE = "qemu-user-static"
# Whoever compares what two runtimes, processors or numbers of threads compute belongs here.
NUMBERS = (
    "tests/unit/pipeline/inference",
    "tests/unit/pipeline/conversion",
    "tests/integration/test_app_engine.py",
    "tests/integration/test_binding.py",
    "tests/integration/test_bytes_mode.py",
    "tests/integration/test_families.py",
    "tests/integration/test_instruct_model.py",
    "tests/integration/test_jvm_check_stage.py",
    "tests/integration/test_keras_graph.py",
    "tests/integration/test_model_variants.py",
    "tests/integration/test_numpy_oracles.py",
    "tests/integration/test_quality_faults.py",
    "tests/integration/test_recipes_and_runtimes.py",
    "tests/integration/test_strings_mode.py",
    "tests/integration/test_verify_stage.py",
)
# Emulation takes twenty times as long: what opens written files, and little else.
EMULATED = ("tests/unit/pipeline/inference", "tests/integration/test_verify_stage.py")
# What this NumPy chooses between by itself, beyond SSE; it warns of others, and warnings are errors.
BEYOND_SSE = " ".join(name for name in __cpu_dispatch__ if name not in ("SSSE3", "SSE41", "POPCNT", "SSE42"))
THREADS = "TEST_THREADS"


@dataclass(frozen=True)
class Processor:
    """A choice of kernels. variables: what tells the libraries; cpu: what qemu emulates, None for this machine."""

    name: str
    variables: Mapping[str, str] = field(default_factory=dict)
    cpu: str | None = None

    @property
    def tests(self) -> tuple[str, ...]:
        """What runs on it."""
        return NUMBERS if self.cpu is None else EMULATED

    def command(self) -> list[str | Path]:
        """What stands for `python`."""
        prefix: list[str | Path] = [] if self.cpu is None else [EMULATOR, "-cpu", self.cpu]
        return [*prefix, sys.executable]


PROCESSORS = (
    Processor("this machine, 1 thread", {THREADS: "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}),
    Processor("this machine, 2 threads", {THREADS: "2", "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}),
    Processor(
        "SSE4.1",
        {
            "ONEDNN_MAX_CPU_ISA": "SSE41", "OPENBLAS_CORETYPE": "Nehalem", "NPY_DISABLE_CPU_FEATURES": BEYOND_SSE,
            THREADS: "1",
        },
    ),
    Processor("AVX2", {"ONEDNN_MAX_CPU_ISA": "AVX2", "OPENBLAS_CORETYPE": "Haswell", THREADS: "2"}),
    Processor("without oneDNN", {"TF_ENABLE_ONEDNN_OPTS": "0", "OPENBLAS_CORETYPE": "Zen", THREADS: "2"}),
    # qemu 7.2 computes NumPy's tanh by AVX2 and FMA wrong (1e13 for 1): NumPy and OpenBLAS keep to SSE there.
    Processor(
        "XNNPACK on AVX, emulated",
        {"OPENBLAS_CORETYPE": "Nehalem", "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3", THREADS: "1"},
        "max,-avx2,-fma,-f16c",
    ),
    Processor(
        "XNNPACK on AVX2 and FMA, emulated",
        {"OPENBLAS_CORETYPE": "Nehalem", "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3", THREADS: "1"},
        "max",
    ),
)  # fmt: skip


def threads() -> int:
    """With how many threads a test lets a runtime compute."""
    return int(os.environ.get(THREADS, "1"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run them one after another; 1 when a test failed on one."""
    parser = argparse.ArgumentParser(prog="scripts/processors", description="The tests of numbers on other kernels.")
    parser.add_argument("--only", default="", help="rows whose names hold this text")
    parser.add_argument("tests", nargs="*", help="instead of those that a row has")
    options = parser.parse_args(arguments)
    rows = [row for row in PROCESSORS if options.only.lower() in row.name.lower()]
    if not rows:
        parser.error(f"no row has {options.only!r} in its name; there are: {', '.join(row.name for row in PROCESSORS)}")
    if any(row.cpu for row in rows):
        fetch_emulator()
    failed = [row.name for row in rows if not passes(row, options.tests)]
    _say(f"failed on: {', '.join(failed)}" if failed else f"passed on: {', '.join(row.name for row in rows)}")
    return 1 if failed else 0


def passes(row: Processor, chosen: Sequence[str]) -> bool:
    """Run a row's tests, whose output is shown."""
    _say(f"== {row.name}")
    began = time.monotonic()
    tests = tuple(chosen) or row.tests
    command = [*row.command(), "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | dict(row.variables), check=False)
    _say(f"== {row.name}: {'passed' if done.returncode == 0 else 'FAILED'} in {time.monotonic() - began:.0f} s")
    return done.returncode == 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def fetch_emulator() -> None:
    """Take qemu out of Debian's package, which apt checks; nothing is installed."""
    if EMULATOR.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", PACKAGE), cwd=folder, check=True)
        (package,) = Path(folder).glob("*.deb")
        subprocess.run(("dpkg-deb", "-x", package, f"{folder}/root"), check=True)
        shutil.move(f"{folder}/root/usr/bin/{EMULATOR.name}", EMULATOR)


if __name__ == "__main__":
    sys.exit(main())
