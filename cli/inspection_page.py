"""What is inside a model file, for people and as JSON."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.text import Text

from cli import units
from cli.package_parts import PackagePart, package_parts
from cli.tables import plain_table
from cli.terminal import Terminal, printable
from pipeline.inference import archive, inspection, memory
from pipeline.inference.inspection import Inspection
from pipeline.inference.memory import MemoryEstimate

LARGEST = 10


@dataclasses.dataclass(frozen=True)
class Findings:
    """A model, what its longest text takes of memory, and the package around it if there is one."""

    model: Inspection
    parts: tuple[PackagePart, ...]
    memory: MemoryEstimate | None

    @classmethod
    def of(cls, path: Path) -> Findings:
        """Look into a `.tflite`, an APK or a bundle, which has its model compressed; FileUnreadable."""
        with plain_model(path) as model:
            found = inspection.inspect(model)
            return cls(found, package_parts(path), memory.estimate(found, archive.find_limit(path)))

    def json_object(self) -> dict[str, Any]:
        """Everything that was found."""
        return {
            **dataclasses.asdict(self.model),
            "memory": self.memory and dataclasses.asdict(self.memory),
            "custom_operators": list(self.model.custom_operators),
            "package": [dataclasses.asdict(part) for part in self.parts],
        }


@contextmanager
def plain_model(path: Path) -> Iterator[Path]:
    """The file itself, or the model of a package that holds it compressed."""
    if not zipfile.is_zipfile(path):
        yield path
        return
    with archive.opened_package(path) as package:
        entry = archive.entry_of(package, archive.MODEL_ASSET)
        if entry.compress_type == zipfile.ZIP_STORED:
            yield path
            return
        with tempfile.TemporaryDirectory(prefix="farm-") as folder:
            model = Path(folder) / archive.MODEL_FILE
            with package.open(entry) as source, model.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
            yield model


def show(findings: Findings, terminal: Terminal, every_tensor: bool) -> None:
    """Package, sizes, signatures, operators, tensors."""
    model = findings.model
    if findings.parts:
        _show_package(findings.parts, terminal)
    terminal.show(Text(f"Model, {units.size(model.file_bytes)}", "bold"))
    sizes = plain_table("constants", "number", "size", "share", right=("number", "size", "share"))
    for kind in model.sizes:
        share = kind.bytes / model.file_bytes
        sizes.add_row(kind.kind, str(kind.constants or ""), units.size(kind.bytes), f"{share * 100:.1f} %")
    terminal.show(sizes)
    if findings.memory is not None:
        _show_memory(findings.memory, terminal)
    _show_signatures(model, terminal)
    _show_operators(model, terminal)
    _show_tensors(model, terminal, every_tensor)


def _show_package(parts: tuple[PackagePart, ...], terminal: Terminal) -> None:
    terminal.show(Text(f"Package, {units.size(sum(part.packed for part in parts))} in its entries", "bold"))
    table = plain_table("part", "files", "in the APK", "unpacked", "", right=("files", "in the APK", "unpacked"))
    for part in parts:
        table.add_row(
            part.kind,
            str(part.entries),
            units.size(part.packed),
            units.size(part.unpacked),
            Text("stored" if part.stored else "compressed", "dim"),
        )
    terminal.show(table)
    terminal.show("")


def _show_memory(memory: MemoryEstimate, terminal: Terminal) -> None:
    weights, cache = units.size(memory.weight_bytes), units.size(memory.cache_bytes)
    terminal.show(
        f"\nMemory for a text of {memory.context} tokens, the longest: about {units.size(memory.bytes)}"
        f" ({weights} of weights, {cache} of key-value caches)"
    )


def _show_signatures(model: Inspection, terminal: Terminal) -> None:
    terminal.show("")
    terminal.show(Text("Signatures", "bold"))
    table = plain_table("name", "inputs", "outputs")
    for signature in sorted(model.signatures, key=lambda one: (len(one.name), one.name)):  # prefill_8 before prefill_32
        table.add_row(
            Text(printable(signature.name), "bold"),
            printable("\n".join(_folded(signature.inputs))),
            printable("\n".join(_folded(signature.outputs))),
        )
    terminal.show(table)


def _folded(tensors: tuple[str, ...]) -> list[str]:
    """Tensors that differ only in their layer's number as one line."""
    counts: Counter[str] = Counter()
    for tensor in tensors:
        name, _, kind = tensor.partition(": ")
        stem = name.rstrip("0123456789")
        counts[f"{stem}*: {kind}" if stem != name and stem.endswith("_") else tensor] += 1
    return [f"{tensor} x {count}" if count > 1 else tensor for tensor, count in counts.items()]


def _show_operators(model: Inspection, terminal: Terminal) -> None:
    terminal.show("")
    terminal.show(Text("Operators", "bold"))
    names = {signature.subgraph: signature.name for signature in model.signatures}
    graphs = sorted(
        {operator.subgraph for operator in model.operators}, key=lambda graph: (len(names.get(graph, "")), graph)
    )
    columns = [names.get(graph, f"graph {graph}") for graph in graphs]
    table = plain_table("operator", "version", *columns, right=("version", *columns))
    counts = Counter({(one.name, one.version, one.builtin, one.subgraph): one.count for one in model.operators})
    for name, version, builtin in sorted({key[:3] for key in counts}):
        cells = [str(counts[name, version, builtin, graph] or "") for graph in graphs]
        table.add_row(Text(printable(name), "" if builtin else "bold red"), str(version), *cells)
    terminal.show(table)
    if model.custom_operators:
        terminal.show(Text(f"Not built in: {printable(', '.join(model.custom_operators))}", "red"))


def _show_tensors(model: Inspection, terminal: Terminal, every: bool) -> None:
    constants = {tensor.buffer: tensor for tensor in model.tensors if tensor.stored_bytes}
    chosen = list(model.tensors) if every else sorted(constants.values(), key=lambda one: -one.stored_bytes)[:LARGEST]
    terminal.show("")
    terminal.show(Text("Tensors" if every else "Largest constants", "bold"))
    table = plain_table("name", "type", "shape", "size", right=("size",))
    for tensor in chosen:
        size = units.size(tensor.stored_bytes) if tensor.stored_bytes else ""
        table.add_row(printable(tensor.name), tensor.type, f"[{', '.join(map(str, tensor.shape))}]", size)
    terminal.show(table)
    if not every:
        terminal.remark(f"\n{units.count(len(model.tensors), 'tensor')} in all; --tensors lists them.")
