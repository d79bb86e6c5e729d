"""How long the app's mode chat lets its user wait, on the JVM: prints docs/benchmarks-chat.md.

    python -m benchmarks.chat [--folder FOLDER] [--write]

`examples/tiny_instruct` with a template; the figures are those of the app's own code, not of the model. Takes about two
minutes, and as long again where the app has to be built. FOLDER (default: a temporary one) keeps that from run to run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import spine
from benchmarks.packaging import built_app
from benchmarks.rows import Row, table
from farm import locations, settings
from farm.appspec import AppSpec
from farm.artifacts import ArtifactName
from farm.errors import HostMismatch
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.stages import StageName
from pipeline.android import assembly, resources, screenshots, token_table
from pipeline.android.base import AppBase, AppSources
from pipeline.android.robolectric import Harness
from pipeline.request import StageRequest
from pipeline.stages import convert
from pipeline.toolchain import maven
from pipeline.toolchain.maven import Toolchain
from pipeline.toolchain.pins import Role

PAGE = spine.ROOT / "docs" / "benchmarks-chat.md"
CLASS = "dev.kerasfarm.screens.ChatMetrics"
TIMEOUT = 900.0
MILLISECONDS = 1000.0
# What a chunk of an answer may take, so that a frame of 16 ms has room for the rest.
CHUNK_GOAL = 4.0
PIECES = {"before": ["Question: "], "after": ["\n"], "trim": "none"}


def main() -> None:
    """Measure and print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (chosen.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        chain = maven.at(settings.load().toolchain)
        page = render(list(rows(measure(chain, built_app(chain, folder), folder))))
    print(page)
    if chosen.write:
        PAGE.write_text(page)


def measure(chain: Toolchain, base: AppBase, folder: Path) -> dict[str, Any]:
    """What the class of the driver wrote down."""
    harness = Harness(base, chain, folder / "robolectric")
    driver = screenshots.driver(harness, AppSources(), folder, folder / "adopted")
    told = folder / "chat-metrics.json"
    told.unlink(missing_ok=True)
    hint = "the mode chat can't be measured on this machine; see what the class says above."
    harness.run(
        package(chain, base, folder), (driver,), (CLASS,), {"chat.metrics": str(told)},
        timeout=TIMEOUT, error=HostMismatch, hint=hint,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(told.read_text())
    return found


def package(chain: Toolchain, base: AppBase, folder: Path) -> Path:
    """An unsigned APK with the example's model, which holds conversations."""
    workdir = Path(tempfile.mkdtemp(dir=folder))
    for name in ("inputs", "outputs", "scratch", "caches"):
        (workdir / name).mkdir()
    request = StageRequest(
        stage=StageName.CONVERT, spec=JobSpec(model_kind=ModelKind.FOLDER, model="tiny_instruct"), workdir=workdir,
        caches=workdir / "caches", toolchain=chain.folder, keystore=None, threads=1,
    )  # fmt: skip
    request.input(ArtifactName.SOURCE).symlink_to(locations.EXAMPLES / "tiny_instruct")
    convert.run(request, lambda _share, _activity: None)
    described = request.output(ArtifactName.MODEL_INFO)
    described.write_text(json.dumps(as_chat(json.loads(described.read_text()))))
    table_file = request.scratch / "tokenizer.bin"
    token_table.write_token_table(request.output(ArtifactName.TOKENIZER), table_file)
    needed = (ArtifactName.MODEL, ArtifactName.TOKENIZER, ArtifactName.MODEL_INFO)
    assets = {assembly.JOB_ASSETS[name]: request.output(name) for name in needed}
    assets[assembly.TOKEN_TABLE_ASSET] = table_file
    pins = chain.pins.target
    platform_jar = chain.paths(Role.PLATFORM)[0]
    linked = resources.link(base.manifest, base.resources, base.ids, platform_jar, AppSpec(), pins, workdir)
    target = workdir / "app.apk"
    assembly.assemble(linked, base, assets, (), pins.page_size, target)
    return target


def as_chat(info: dict[str, Any]) -> dict[str, Any]:
    """The model's description with a template of plain words."""
    end = info["stop_tokens"][0]
    chat = {
        "format": 1, "begin": [end], "no_system": [], "default_system": None, "system": None, "user": PIECES,
        "assistant": {"before": ["Answer:"], "after": [end], "trim": "none"}, "generation": ["Answer:"],
        "thinking": None, "source": "the benchmark",
    }  # fmt: skip
    return info | {"chat": chat, "prompting": info["prompting"] | {"mode": "chat"}}


def rows(found: dict[str, Any]) -> Iterator[Row]:
    """The page's figures."""
    fresh = f"all {found['fresh_tokens']} tokens in {found['fresh_seconds'] * MILLISECONDS:.1f} ms"
    whole = f"of {found['fresh_tokens']} in all"
    yield Row("tokens read for a question behind 200 tokens", 40, found["held_tokens"], "tokens", whole)
    yield Row("time to its first token", None, found["held_seconds"] * MILLISECONDS, "ms", f"against {fresh}")
    median = f"median {found['chunk_median'] * MILLISECONDS:.2f} ms of {found['chunks']} chunks"
    goal = "one word more of an answer of 2,000 words, 99th percentile"
    yield Row(
        goal,
        CHUNK_GOAL,
        found["chunk_99"] * MILLISECONDS,
        "ms",
        f"processor time to parse, set up and lay out; {median}",
    )
    one = f"with one {found['start_one'] * MILLISECONDS:.0f} ms, the first of the process"
    yield Row("start to the conversation, 1,000 kept", None, found["start_many"] * MILLISECONDS, "ms", one)
    yield Row("words looked up in 1,000 conversations", None, found["search_many"] * MILLISECONDS, "ms")


def render(figures: list[Row]) -> str:
    """The page."""
    lines = [
        "# Conversations",
        "",
        "Printed by `python -m benchmarks.chat --write`; not written by hand.",
        "",
        f"The app's own classes on a JVM, on {os.cpu_count()} cores ({platform.machine()}). What a phone's processor"
        " takes was not measured.",
        "",
    ]
    return "\n".join([*lines, *table(figures), ""])


if __name__ == "__main__":
    main()
