"""A job's packaging at GPT-2 base size: prints docs/benchmarks-packaging.md.

    python -m benchmarks.packaging [--folder FOLDER] [--model MODEL] [--write]

GPT-2 base with random weights, int8; MODEL takes another one, which the page then names. Takes about three minutes.
FOLDER (default: a temporary one) keeps the model from run to run. `--write` writes the page.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from benchmarks import spine
from benchmarks.rows import Row, table
from benchmarks.spine import Farm, Report, say
from farm import settings
from farm.appspec import Abi
from pipeline.android import host_run, prebuilt, screenshots
from pipeline.android.archive import CHUNK_BYTES
from pipeline.android.assembly import MODEL_ASSET
from pipeline.android.base import AppBase, AppSources
from pipeline.android.checks import TOKENIZER_ASSET
from pipeline.android.golden import Golden, GoldenLimits, GoldenPrompt
from pipeline.android.robolectric import Harness
from pipeline.inference.generation import generate
from pipeline.inference.interpreter import TokenModel, open_token_model
from pipeline.inference.reference import Reference
from pipeline.toolchain import maven
from pipeline.toolchain.maven import Toolchain

PAGE = spine.ROOT / "docs" / "benchmarks-packaging.md"
# What a job does after its model is verified, but for the app itself, which is built once per version.
STAGES = ("package", "jvm-check", "screenshots", "bundle", "sdk")
PROMPT_TOKENS = 32
NEW_TOKENS = 100
RUNS = 5
MB = 1_000_000
REMARKS = """\
The engine's time on the JVM is that of TFLite itself: copying logits, choosing and JNI take 0.1 ms a token. Profiled by
`perf`, both sides spend the same in the products with the weights, and the rest goes into the attention, for which
XNNPACK packs the keys and values of all places at each step: by a scalar loop in the Java library's build of TFLite
2.20 (37 % of all samples), by AVX-512 in LiteRT 2.3 (14 %) and in TensorFlow 2.19's own build (6 %). That is this build
for x86_64; what it is on a phone's ARM processor was not measured.
"""


def main() -> None:
    """Run everything and print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    with spine.kept_folder(arguments.folder) as folder:
        model = arguments.model or spine.random_base(folder, 1)
        subject = arguments.model.name if arguments.model else "GPT-2 base size with random weights"
        page = render(subject, measure(model, folder))
    print(page)
    if arguments.write:
        PAGE.write_text(page)


def measure(model: Path, folder: Path) -> list[Row]:
    """Every row of the table; progress goes to stderr."""
    with tempfile.TemporaryDirectory(prefix="farm-home-", dir=folder) as home:
        farm = Farm(Path(home))
        say("the app, once")
        app, _ = farm.submit(spine.ROOT / "examples" / "tiny_gpt2", "--quant", "none")
        say("the job")
        report, _ = farm.submit(model)
        package = report.model.with_name("app.apk")
        say("the engine on the JVM and in Python, in turns")
        java, python = rates(package, report.model, Path(home))
        say("from the tap to the first token")
        first = first_token(package, Path(home))
        rows = [
            *packaging(report),
            Row("the app's code (dex)", 1, app.metric("app", "dex_size") / MB, "MB"),
            *sizes(report, package),
        ]
        ratio = java / python
        speed = f"{java:.1f} against {python:.1f} tokens/s"
        return [
            *rows,
            Row("the engine on the JVM", 0.9, ratio, "of Python's interpreter", speed, at_least=True),
            Row("from the tap to the first token, on this machine's JVM", None, first, "s", "model open, median"),
        ]


def packaging(report: Report) -> Iterable[Row]:
    """What the stages took."""
    times = ", ".join(f"{stage} {report.seconds(stage):.1f}" for stage in STAGES)
    yield Row("packaging in all", 60, sum(map(report.seconds, STAGES)), "s", times)
    peaks = {stage: report.peak(stage) / spine.GIB for stage in STAGES}
    most = max(peaks, key=lambda stage: peaks[stage])
    yield Row("packaging, peak memory", 1, peaks[most], "GiB", f"in the stage {most}")
    yield Row("the APK alone", 10, report.seconds("package"), "s")


def sizes(report: Report, package: Path) -> Iterable[Row]:
    """What the app takes beside its model: on the phone, and as Play sends it."""
    with zipfile.ZipFile(package) as opened:
        libraries = {
            abi: sum(one.compress_size for one in opened.infolist() if one.filename.startswith(f"lib/{abi.value}/"))
            for abi in Abi
        }
        model = opened.getinfo(MODEL_ASSET).file_size
        tokenizer = opened.getinfo(TOKENIZER_ASSET).compress_size
    rest = package.stat().st_size - model - sum(libraries.values())
    largest = max(libraries, key=lambda abi: libraries[abi])
    installed = rest + libraries[largest]
    # The tokenizer comes with the model, and grows with its vocabulary.
    remark = (
        f"{largest} has the largest libraries ({libraries[largest] / MB:.1f} MB); with the model's tokenizer, which is"
        f" {tokenizer / MB:.2f} MB, {installed / MB:.1f} MB"
    )
    without = (installed - tokenizer) / MB
    yield Row("everything but the model and its tokenizer, per ABI", 14, without, "MB", remark)
    download = report.metric("bundle", "bundle_download") - compressed(report.model)
    less = "the bundle's download less the compressed model"
    yield Row("everything but the model as a download", 6, download / MB, "MB", less)


def compressed(path: Path) -> int:
    """Bytes of a file as bundletool compresses it for a download."""
    packer, size = zlib.compressobj(wbits=31), 0
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            size += len(packer.compress(chunk))
    return size + len(packer.flush())


# Only the speed counts here: no answer of Keras's is followed.
NOTHING_FOLLOWED = Reference((), np.zeros(0, np.int32), np.zeros((0, 1), np.float32), ())


def rates(package: Path, model: Path, scratch: Path) -> tuple[float, float]:
    """Tokens a second of the app's engine on the JVM and of Python's interpreter: medians of runs in turns."""
    chain = maven.at(settings.load().toolchain)
    base = built_app(chain, scratch)
    prompt = tuple((7919 * place) % 2000 for place in range(PROMPT_TOKENS))
    context = open_token_model(model, spine.THREADS).contract.context
    count = min(NEW_TOKENS, context - PROMPT_TOKENS - 1)
    # The first prompts warm the JVM up.
    prompts = (GoldenPrompt(text=None, prompt_tokens=prompt, tokens=(), margins=(1.0,) * count),) * 3
    golden = Golden(format=1, prompts=prompts, limits=GoldenLimits(near_tie=0.0))
    java, python = [], []
    for _ in range(RUNS):
        answer = host_run.run(base, chain, package, golden, NOTHING_FOLLOWED, spine.THREADS, scratch / "jvm-check")[-1]
        java.append(len(answer.tokens) / answer.decode_seconds)
        python.append(python_rate(open_token_model(model, spine.THREADS), list(prompt), count))
    return statistics.median(java), statistics.median(python)


def built_app(chain: Toolchain, scratch: Path) -> AppBase:
    """The app's classes, built once a run."""
    target = scratch / "app"
    if not target.is_dir():
        prebuilt.provide(chain, scratch / "kept", target, lambda _share, activity: say(activity))
    return AppBase(target / prebuilt.name())


def python_rate(model: TokenModel, prompt: list[int], count: int) -> float:
    """Tokens a second of one text, its first token left out, which ends the reading of the prompt."""
    times = [time.perf_counter() for _token in generate(model, prompt, count, ())]
    return (len(times) - 1) / (times[-1] - times[0])


def first_token(package: Path, scratch: Path) -> float:
    """Seconds from the tap on the button to the first written token, on the screen of the JVM's Android."""
    chain = maven.at(settings.load().toolchain)
    harness = Harness(built_app(chain, scratch), chain, scratch / "screens")
    driver = screenshots.driver(harness, AppSources(), scratch, scratch / "adopted")
    return screenshots.first_token(harness, package, driver, "The list of all functions")


def render(subject: str, rows: list[Row]) -> str:
    """The page. subject: which model."""
    lines = [
        "# Packaging",
        "",
        "Printed by `python -m benchmarks.packaging --write`; not written by hand.",
        "",
        f"{subject} at int8, {spine.THREADS} threads, on {os.cpu_count()} cores ({platform.machine()}). The app is"
        " built before, once per version.",
        "",
    ]
    return "\n".join([*lines, *table(rows), "", REMARKS])


if __name__ == "__main__":
    main()
