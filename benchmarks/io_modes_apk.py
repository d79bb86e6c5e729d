"""The APK of the I/O mode `bytes` against that of the I/O mode `strings`: the same model, sizes of the finished files.

    python -m benchmarks.io_modes_apk [MODEL] [--quant RECIPE] [--abi ABI ...]

Runs both jobs on this machine's farm (equal ones are not run again) and prints what each part of their APKs weighs. The
limit is that of the I/O mode `bytes`: its model and 14 MB for each ABI of the app.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from cli.package_parts import package_parts
from client.local import LocalFarm
from farm import settings
from farm.artifacts import ArtifactName
from farm.job_request import Layer, build_spec
from farm.jobspec import JobSpec
from farm.states import JobState

MEGABYTE = 1e6
BYTES_LANE_LIMIT = 14.0


def finished_package(farm: LocalFarm, spec: JobSpec, folder: Path) -> Path:
    """The APK of the job, which is run to its end here."""
    job = farm.submit(spec).job
    farm.ensure_worker()
    while not (found := farm.job(job.id)).state.terminal:
        time.sleep(1.0)
    assert found.state is JobState.SUCCEEDED, found.error
    path = folder / f"{spec.io_mode}.apk"
    farm.download(job.id, ArtifactName.APK, path)
    return path


def main() -> None:
    """Make both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="examples/tiny_gpt2")
    parser.add_argument("--quant", default="int8")
    parser.add_argument("--abi", action="append", default=None)
    given = parser.parse_args()
    abis = tuple(given.abi or ("arm64-v8a", "x86_64"))
    farm = LocalFarm(settings.load())
    totals = {}
    with tempfile.TemporaryDirectory() as folder:
        for io_mode in ("bytes", "strings"):
            options = Layer({"recipe": given.quant, "io_mode": io_mode, "abis": abis})
            path = finished_package(farm, build_spec(given.model, [options]), Path(folder))
            parts = {part.kind: part.packed / MEGABYTE for part in package_parts(path)}
            totals[io_mode] = path.stat().st_size / MEGABYTE
            print(f"{io_mode} io_mode: {totals[io_mode]:.1f} MB, model + {totals[io_mode] - parts['model']:.1f} MB")
            for kind, size in parts.items():
                print(f"    {kind:32s} {size:8.1f} MB")
            if io_mode == "bytes":
                rest = (totals[io_mode] - parts["model"]) / len(abis)
                print(f"    beside the model, for each ABI: {rest:.1f} MB (limit {BYTES_LANE_LIMIT} MB)")
    print(f"bytes / strings: {totals['bytes'] / totals['strings']:.3f} for {', '.join(abis)}")


if __name__ == "__main__":
    main()
