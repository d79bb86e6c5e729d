"""Twelve deliberate faults in two real models: shows that a job refuses each, and what would let it through; writes a
part of docs/quality.md.

    python -m benchmarks.quality_faults [--model NAME ...] [--recipe RECIPE ...] [--fault WORD ...] [--folder FOLDER]
        [--write]

Every fault is put to a whole job's conversion and verification. A fault of the computation is met twice: first by the
comparison of the decoder with its witness in float32, and then, as if it had come in behind that comparison, by the
verification of the written file; `--recipe float32` is the first alone. About an hour for both models and three recipes
on two cores. Gemma 3 270M needs GEMMA_TERMS=accepted. FOLDER (default: a temporary one) keeps converted graphs and what
was measured from run to run.
"""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import importlib
import json
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.model_faults import FileFault, ModelFault, change_info, file_faults, model_faults
from farm import caches, digests, locations
from farm.appspec import AppSpec
from farm.artifacts import ArtifactName
from farm.errors import FarmError, ReferenceMismatch
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.stages import StageName
from pipeline.conversion import decoder_check, full_forward
from pipeline.conversion.golden_conversation import converse
from pipeline.conversion.opening import OpenedModel, open_model
from pipeline.request import StageRequest
from pipeline.stages import convert, verify
from pipeline.tokenizers.export import export_tokenizer

PAGE = locations.ROOT / "docs" / "quality.md"
BEGIN, END = "<!-- python -m benchmarks.quality_faults --write -->", "<!-- end -->"
SOUND = "none (the sound model)"
NOT_MEASURED = "–"
RECIPES = ("none", "fp16", "int8")
# In a recipe's place: the comparison in float32 alone, which takes seconds a fault.
IN_FLOAT32 = "float32"
LIMIT = re.compile(r"([a-z][\w' -]*?) ([\d.e+-]+|nan|inf) \((?:at most|at least) [\d.e+-]+\)")
# A model that has no template of its own is asked in its family's.
GEMMA_TEMPLATE = "<start_of_turn>user\n{prompt}<end_of_turn>\n<start_of_turn>model\n"


@dataclass(frozen=True)
class Model:
    """An example, and the context that shows all its settings: Gemma's windows are 512 tokens wide."""

    name: str
    title: str
    context: int
    template: str | None = None


MODELS = (
    Model("smollm2", "SmolLM2-135M-Instruct", 256),
    Model("gemma3_270m", "Gemma 3 270M", 1024, GEMMA_TEMPLATE),
)


@dataclass(frozen=True)
class Outcome:
    """What a job said of a model: refusals as error sentences, None where there is none. by_comparison: in float32,
    before anything was written; by_verification: of the written file. figures: of a file that passed."""

    by_comparison: str | None
    by_verification: str | None
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def refused(self) -> bool:
        """Whether the job ends here."""
        return bool(self.by_comparison or self.by_verification)

    def cell(self) -> str:
        """In a table: what refuses it, with the first figure."""
        if self.by_verification is None and not self.figures:
            return NOT_MEASURED
        if self.by_verification is None:
            kl, same = self.figures["divergence"], self.figures["top1_agreement"]
            passed = f"passes: {kl:.2g} nats, {100 * same:.1f} %"
            return f"{passed}; refused in float32" if self.by_comparison else passed
        found = LIMIT.findall(self.by_verification)
        if not found:
            return "refused: " + ("template" if "template" in self.by_verification else "tokens")
        what, value = found[0]
        return f"refused: {what.split('; ')[-1]} {value}" + (f" and {len(found) - 1} more" if found[1:] else "")


@dataclass
class Bench:
    """A model's source and its witness's answers, which are the same for every fault."""

    model: Model
    source: Path
    folder: Path
    threads: int = 2
    answers: dict[Any, Any] = field(default_factory=dict)
    converted: dict[str, Path] = field(default_factory=dict)

    def judge(self, recipe: str, fault: ModelFault | FileFault | None) -> Outcome:
        """Convert and verify the model with a fault in it."""
        with tempfile.TemporaryDirectory(prefix="fault-", dir=self.folder) as name:
            request = self._request(Path(name) / "convert", StageName.CONVERT, recipe)
            request.input(ArtifactName.SOURCE).symlink_to(self.source)
            mismatches: list[str] = []
            # A fault of what is packaged with the file comes after the conversion.
            outputs = self.converted.get(recipe) if isinstance(fault, FileFault) else None
            if outputs is None:
                with self._faulty(fault, mismatches):
                    if recipe == IN_FLOAT32:
                        return self._compare(request, mismatches)
                    convert.run(request, _silent)
                _keep_graphs(request)
                outputs = request.workdir / "outputs"
            if fault is None:
                self.converted[recipe] = self.folder / f"{self.model.name}-{recipe}-sound"
                shutil.rmtree(self.converted[recipe], ignore_errors=True)
                outputs = outputs.rename(self.converted[recipe])
            checked = self._request(Path(name) / "verify", StageName.VERIFY, recipe)
            for made in outputs.iterdir():
                shutil.copy(made, checked.workdir / "inputs" / made.name)
            if isinstance(fault, FileFault):
                change_info(checked.input(ArtifactName.MODEL_INFO), fault)
            compared = mismatches[0] if mismatches else None
            try:
                result = verify.run(checked, _silent)
            except FarmError as error:
                return Outcome(compared, error.sentence)
            return Outcome(compared, None, {metric.name: metric.value for metric in result.metrics})

    def _compare(self, request: StageRequest, mismatches: list[str]) -> Outcome:
        """End the conversion where the comparison in float32 is over."""
        with (
            mock.patch.object(convert, "find_own_graph", lambda *_: None),
            mock.patch.object(convert, "bind_own_graph", mock.Mock(side_effect=_Compared)),
            suppress(_Compared),
        ):
            convert.run(request, _silent)
        return Outcome(mismatches[0] if mismatches else None, None)

    def _request(self, workdir: Path, stage: StageName, recipe: str) -> StageRequest:
        for name in ("inputs", "outputs", "scratch"):
            (workdir / name).mkdir(parents=True)
        spec = JobSpec(
            model_kind=ModelKind.FOLDER,
            model=str(self.source),
            recipe="none" if recipe == IN_FLOAT32 else recipe,
            context=self.model.context,
            app=AppSpec(prompt_template=self.model.template),
        )
        return StageRequest(
            stage=stage, spec=spec, workdir=workdir, caches=self.folder / "caches", toolchain=workdir, keystore=None,
            threads=self.threads,
        )  # fmt: skip

    @contextmanager
    def _faulty(self, fault: ModelFault | FileFault | None, mismatches: list[str]) -> Iterator[None]:
        """Let conversion open the faulty model and go on where its comparison in float32 fails."""
        compare = decoder_check.require_equal

        def opened(*given: Any) -> OpenedModel:
            sound: OpenedModel = self._once("opened", open_model)(*given)
            witness = replace(sound, forward=_Remembered(sound.forward, self.answers))
            if not isinstance(fault, ModelFault):
                return witness
            faulty = fault.apply(sound.model.description, sound.model.weights)
            weights: Any = faulty.weights
            return replace(witness, model=replace(sound.model, description=faulty.description, weights=weights))

        def compared(*given: Any) -> float:
            try:
                return compare(*given)
            except ReferenceMismatch as error:
                mismatches.append(error.sentence)
                return 1.0

        with (
            mock.patch.object(convert, "open_model", opened),
            mock.patch.object(decoder_check, "require_equal", compared),
            # Compared with the sound model's logits, a faulty one looks as if its preparation had changed it.
            mock.patch.object(decoder_check, "require_unchanged", lambda *_: None),
            mock.patch.object(full_forward, "read_texts", self._once("texts", full_forward.read_texts)),
            mock.patch.object(full_forward, "continue_greedily", self._go_on(full_forward.continue_greedily)),
            mock.patch.object(convert, "converse", self._once("converse", converse)),
            # No limit asks how a model writes freely.
            mock.patch.object(full_forward, "write_freely", lambda *_: ()),
            mock.patch.object(convert, "export_tokenizer", self._once("tokenizer", export_tokenizer)),
        ):
            yield

    def _go_on(self, ask: Callable[..., Any]) -> Callable[..., Any]:
        """Once for each set of prompts: writing freely goes on from a prompt of its own by the same function."""

        def answer(forward: Any, plan: Any, *rest: Any) -> Any:
            return self._once(f"go on {plan.prompts}", ask)(forward, plan, *rest)

        return answer

    def _once(self, key: str, ask: Callable[..., Any]) -> Callable[..., Any]:
        def answer(*given: Any, **named: Any) -> Any:
            if key not in self.answers:
                self.answers[key] = ask(*given, **named)
            return self.answers[key]

        return answer


class _Compared(Exception):
    """The comparison in float32 is over."""


class _Remembered:
    """A forward pass that is asked once for each row of tokens."""

    def __init__(self, forward: Any, answers: dict[Any, Any]) -> None:
        self._forward, self._answers = forward, answers

    def logits(self, rows: Sequence[Sequence[int]]) -> Any:
        return self._forward.logits(rows)

    def logits_after(self, tokens: Any, last: int | None = None) -> Any:
        key = (tokens.tobytes(), last)
        if key not in self._answers:
            self._answers[key] = self._forward.logits_after(tokens, last)
        return self._answers[key]

    def logits_of_each(self, rows: Sequence[Any]) -> Any:
        return map(self.logits_after, rows)


def _silent(_share: float, _activity: str) -> None:
    return


def _keep_graphs(request: StageRequest) -> None:
    """Move converted graphs into the cache, as the supervisor does."""
    for cache in (request.workdir / "adopt").glob("*"):
        kept = request.caches / cache.name
        kept.mkdir(parents=True, exist_ok=True)
        for path in cache.iterdir():
            caches.record(kept / path.name, digests.of_file(path))
            shutil.move(path, kept / path.name)


def judge_all(
    bench: Bench, recipes: Sequence[str], wanted: Callable[[str], bool], known: dict[str, dict[str, Any]]
) -> None:
    """Put every wanted fault to every recipe, and add the outcome to `known`, which is kept in the folder."""
    faults: list[ModelFault | FileFault | None] = [None, *model_faults(bench.model.context), *file_faults()]
    for fault in faults:
        what = SOUND if fault is None else fault.what
        if not wanted(what):
            continue
        for recipe in recipes:
            if recipe == IN_FLOAT32 and isinstance(fault, FileFault):
                continue
            key = f"{bench.model.name}|{what}|{recipe}"
            if key in known:
                continue
            started = time.perf_counter()
            outcome = bench.judge(recipe, fault)
            known[key] = {
                "by_comparison": outcome.by_comparison,
                "by_verification": outcome.by_verification,
                "figures": outcome.figures,
            }
            _print(f"{bench.model.name}, {recipe}, {what}: {outcome.cell()} ({time.perf_counter() - started:.0f} s)")
            (bench.folder / "known.json").write_text(json.dumps(known, indent=1))


def table(model: Model, recipes: Sequence[str], known: dict[str, dict[str, Any]]) -> list[str]:
    """A model's faults in Markdown."""
    recipes = [recipe for recipe in recipes if recipe != IN_FLOAT32]
    lines = [f"| {model.title} | in float32 | {' | '.join(f'`{recipe}`' for recipe in recipes)} |"]
    lines.append("|---" * (len(recipes) + 2) + "|")
    for what in [SOUND, *(f.what for f in model_faults(model.context)), *(f.what for f in file_faults())]:
        first, *found = [known.get(f"{model.name}|{what}|{recipe}") for recipe in (IN_FLOAT32, *recipes)]
        if not any((first, *found)):
            continue
        outcomes = [None if one is None else Outcome(**one) for one in found]
        compared = any(one is not None and one["by_comparison"] for one in (first, *found))
        in_float32 = "refused" if compared else "passes"
        if what in {fault.what for fault in file_faults()}:
            in_float32 = ""
        cells = [NOT_MEASURED if one is None else one.cell().removesuffix("; refused in float32") for one in outcomes]
        lines.append(f"| {what} | {in_float32} | {' | '.join(cells)} |")
    return lines


def with_tables(page: str, tables: dict[str, str]) -> str:
    """The page with these tables by their models' titles; those of other models stay."""
    before, _, rest = page.partition(BEGIN)
    old, _, after = rest.partition(END)
    kept = {each.split(" | ")[0].removeprefix("| "): each for each in old.strip().split("\n\n") if each}
    order = [model.title for model in MODELS]
    everything = sorted((kept | tables).items(), key=lambda one: order.index(one[0]))
    return "\n\n".join([before + BEGIN, *(each for _, each in everything), END + after])


def unexpected(known: dict[str, dict[str, Any]]) -> list[str]:
    """Faults that no step refuses, and sound models that one does."""
    wrong = []
    for key, outcome in known.items():
        refused = Outcome(**outcome).refused
        if refused == (SOUND in key):
            wrong.append(f"{key.replace('|', ', ')}: {'refused' if refused else 'accepted'}")
    return wrong


def _print(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def main() -> None:
    """Run what is asked for and print the tables; exit code 1 where a fault passes or a sound model does not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", choices=[model.name for model in MODELS])
    parser.add_argument("--recipe", action="append")
    parser.add_argument("--fault", action="append", help="part of a fault's name; 'sound' for none")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    recipes = given.recipe or RECIPES
    models = [model for model in MODELS if given.model is None or model.name in given.model]

    def wanted(what: str) -> bool:
        return given.fault is None or any(word in what for word in given.fault)

    with tempfile.TemporaryDirectory(prefix="quality-faults-") as temporary:
        folder = (given.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        kept = folder / "known.json"
        known = json.loads(kept.read_text()) if kept.is_file() else {}
        for model in models:
            source = locations.EXAMPLES / model.name
            importlib.import_module(f"examples.{model.name}.__main__").make(source)
            judge_all(Bench(model, source, folder, given.threads), recipes, wanted, known)
    tables = {model.title: "\n".join(table(model, recipes, known)) for model in models}
    sys.stdout.write("\n\n".join(tables.values()) + "\n")
    if given.write:
        PAGE.write_text(with_tables(PAGE.read_text(), tables))
    if wrong := unexpected(known):
        raise SystemExit("\n".join(["Not as it should be:", *wrong]))


if __name__ == "__main__":
    main()
