"""A model's ledger and what an AAR registers, for people and as JSON."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from rich.text import Text

from cli import units
from cli.tables import plain_table
from cli.terminal import Terminal, printable
from pipeline.ops.aar import AarReading, Answer
from pipeline.ops.ledger import Ledger, LedgerEntry

MOST_PLACES = 6
STYLES = {Answer.YES: "green", Answer.NO: "red", Answer.UNKNOWN: "dim"}


def show_ledger(ledger: Ledger, terminal: Terminal) -> None:
    """Every op of a model with the AARs that have it."""
    if terminal.as_json:
        terminal.write_json(ledger.model_dump(mode="json"))
        return
    names = list(dict.fromkeys(name for entry in ledger.ops for name in entry.aars))
    titles = [printable(name.partition(":")[0]) for name in names]
    table = plain_table("kind", "op", "version", "times", "since", *titles, "where", right=("version", "times"))
    for entry in ledger.ops:
        shown = entry.name if entry.runs in (None, entry.name.removeprefix("Flex")) else f"{entry.name}={entry.runs}"
        table.add_row(
            Text(entry.kind.value, "" if entry.kind == "builtin" else "yellow"),
            Text(printable(shown), "bold red" if entry.danger else ""),
            str(entry.version),
            str(entry.count),
            entry.since or "",
            *(_answers(entry.aars.get(name, {})) for name in names),
            Text(printable(places(entry)), "dim"),
        )
    terminal.show(table)
    terminal.show("")
    terminal.show(ledger.summary)
    for entry in ledger.ops:
        if entry.danger:
            terminal.show(Text(f"{printable(entry.name)} is refused in jobs: {printable(entry.danger)}.", "red"))
    for name in names:
        terminal.remark(f"{printable(name)}: read from its machine code.")


def show_aar(reading: AarReading, terminal: Terminal) -> None:
    """ABIs, pages, versions and numbers of registered ops."""
    if terminal.as_json:
        terminal.write_json(reading.model_dump(mode="json"))
        return
    table = plain_table(
        "ABI", "libraries", "size", "pages", "TFLite", "built-in ops", "Flex ops", "TF Text ops",
        right=("size", "pages", "built-in ops", "Flex ops", "TF Text ops"),
    )  # fmt: skip
    for abi, found in reading.abis.items():
        table.add_row(
            printable(abi),
            printable("\n".join(one.name for one in found.libraries)),
            "\n".join(units.size(one.size) for one in found.libraries),
            f"{found.page_size >> 10} KB" if found.page_size else "",
            found.version or "",
            str(len(found.builtins)) if found.builtins else "not to be read",
            str(len(found.kernels)) if found.kernels else "not to be read" if found.flex else "no Flex",
            str(len(found.named) or ""),
        )
    terminal.show(table)
    terminal.remark("\nThe ops are those that the code registers; --json names them.")


def places(entry: LedgerEntry) -> str:
    """Where an op is: parts of the model, layers that follow each other as one, else the graphs."""
    counts: Mapping[str, int] = entry.parts or entry.graphs
    found = list(_folded(counts))
    more = f", {len(found) - MOST_PLACES} more" if len(found) > MOST_PLACES else ""
    return ", ".join(found[:MOST_PLACES]) + more


def _folded(names: Iterable[str]) -> Iterable[str]:
    """`layer 0 up`, `layer 1 up` -> `layers 0-1 up`."""
    layers: defaultdict[str, list[int]] = defaultdict(list)
    for name in names:
        match = re.fullmatch(r"layer (\d+)(.*)", name)
        if match is None:
            yield name
        else:
            layers[match[2]].append(int(match[1]))
    for part, numbers in layers.items():
        first, last = min(numbers), max(numbers)
        yield f"layer {first}{part}" if first == last else f"layers {first}-{last}{part}"


def _answers(answers: Mapping[str, Answer]) -> Text:
    """One word when all ABIs agree, else those that differ."""
    known = {abi: answer for abi, answer in answers.items() if answer is not Answer.UNKNOWN}
    values = set(known.values())
    if len(values) > 1:
        return Text(", ".join(f"{abi} {answer.value}" for abi, answer in known.items()), "yellow")
    word = next(iter(values), Answer.UNKNOWN)
    return Text("?" if word is Answer.UNKNOWN else word.value, STYLES[word])
