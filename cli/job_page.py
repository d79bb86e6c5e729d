"""Everything about one job, for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.table import Table
from rich.text import Text

from cli import measures, tables, units
from cli.json_views import published
from cli.terminal import Terminal, printable
from client.protocol import EventView, JobView
from farm import recipes
from farm.jobspec import IoMode, SpecialTokens, TokenizerGraph
from farm.prompting import Mode
from farm.settings import SandboxMode
from farm.states import JobState

MOST_EVENTS = 20
_SANDBOXES = {
    SandboxMode.REQUIRED: "required",
    SandboxMode.OFF: "off: stages run as ordinary processes",
}


def show_result(job: JobView, terminal: Terminal) -> None:
    """How a job ended: stages, measures, files, notes."""
    terminal.show(headline(job))
    _section(terminal, tables.stage_table(job.stages))
    _section(terminal, grid(measures.headlines(job)))
    _section(terminal, tables.artifact_table(job))
    _show_notes(job, terminal)


def show_everything(job: JobView, events: Sequence[EventView], terminal: Terminal) -> None:
    """The job's settings, result and history."""
    terminal.show(headline(job))
    if job.error:
        terminal.show(Text(printable(job.error.sentence), "red"))
    _section(terminal, grid(settings(job)))
    _section(terminal, tables.stage_table(job.stages))
    _section(terminal, tables.metric_table(job.metrics))
    _section(terminal, tables.measurement_table(job.measurements))
    _section(terminal, tables.artifact_table(job))
    _show_notes(job, terminal)
    if events:
        history = tables.plain_table("when", "event", "stage", "message")
        for event in events[-MOST_EVENTS:]:
            stage = event.stage.value if event.stage else ""
            kind = event.kind.replace("-", " ")
            # What the page begins with is not said again by each event.
            message = "see above" if job.error and event.message == job.error.sentence else printable(event.message)
            history.add_row(f"{event.at.astimezone():%H:%M:%S}", kind, stage, Text(message, "dim"))
        _section(terminal, history)
    suggest(job, terminal)


def suggest(job: JobView, terminal: Terminal) -> None:
    """Say which command a user most likely wants next; nothing to programs."""
    words = suggestion(job)
    if words and not terminal.as_json:
        terminal.remark(f"\n{words}" if job.state.terminal else words)


def headline(job: JobView) -> Text:
    """One line: id, state, duration or position."""
    line = Text.assemble("Job ", (job.id, "bold"), " ", tables.state_text(job.state))
    if job.started_at and job.finished_at:
        line.append(f" in {units.duration((job.finished_at - job.started_at).total_seconds())}")
    elif not job.state.terminal:
        line.append(f": {printable(tables.outcome(job))}")
    if job.attempt > 1:
        line.append(f", attempt {job.attempt}")
    if job.cancel_requested and not job.state.terminal:
        line.append(", is being cancelled")
    return line


def settings(job: JobView) -> Iterator[tuple[str, str]]:
    """What was asked for."""
    spec, app = job.spec, job.spec.app
    recipe = recipes.find(spec.recipe)
    yield "model", spec.model_ref.text
    if spec.lora is not None:
        yield "adapter", spec.lora
    yield "recipe", recipe.name if recipe.name == recipe.alias else f"{recipe.alias} ({recipe.name})"
    fixed = f", fixed, prefill {', '.join(map(str, spec.prefill_lengths))}" if spec.static_shapes else ""
    most = f"the model's own, at most {spec.wanted_context}" if spec.context is None else str(spec.wanted_context)
    yield "context", f"{most} tokens{fixed}"
    if spec.io_mode is not IoMode.TOKENS:
        limits = f"prompts up to {spec.prompt_bytes} bytes, answers up to {spec.longest_answer} tokens"
        graph = f" with {spec.tokenizer_graph}" if spec.tokenizer_graph is TokenizerGraph.TFTEXT else ""
        read = ", special tokens read" if spec.special_tokens is SpecialTokens.READ else ""
        yield "io_mode", f"{spec.io_mode}{graph}, {limits}{read}"
    if spec.ops is not None or spec.allow_ops:
        yield "ops", " and ".join(filter(None, [spec.allowed_ops.value, ", ".join(spec.allow_ops)]))
    yield "app", f"{app.label} {app.version_name} ({app.version_code}), {app.application_id}, {', '.join(app.abis)}"
    if app.mode is not None or app.prompt_template is not None:
        yield "mode", f"{app.mode or Mode.INSTRUCT}" + (f", {app.prompt_template!r}" if app.prompt_template else "")
    looks = ["own icon"] if app.icon is not None else []
    looks += [f"colour {app.color}"] if app.color is not None else []
    if looks:
        yield "looks", ", ".join(looks)
    if app.prompts:
        yield "prompts", "; ".join(map(repr, app.prompts))
    if spec.io_mode is IoMode.STRINGS:
        yield "AAR", app.aar
    if job.sandbox is not SandboxMode.AUTO:
        yield "sandbox", _SANDBOXES[job.sandbox]
    yield "signed with", app.keystore or "the farm's own key"
    yield "submitted", f"{job.created_at.astimezone():%Y-%m-%d %H:%M:%S} ({units.age(job.created_at)})"


def grid(rows: Iterable[tuple[str, str]]) -> Table:
    """Names and values without lines."""
    table = Table.grid(padding=(0, 2))
    for name, value in rows:
        table.add_row(Text(name, "dim"), printable(value))
    return table


def suggestion(job: JobView) -> str:
    """The command that a user most likely wants next."""
    match job.state:
        case JobState.SUCCEEDED:
            return f"Next: farm download {job.id}" if published(job) else ""
        case JobState.FAILED | JobState.CANCELLED:
            return f"Next: farm logs {job.id}   then farm retry {job.id}"
        case _:
            return f"Next: farm watch {job.id}"


def _show_notes(job: JobView, terminal: Terminal) -> None:
    for note in job.notes:
        terminal.show(Text(f"Note: {printable(note)}", "yellow"))


def _section(terminal: Terminal, table: Table) -> None:
    if table.row_count:
        terminal.show("")
        terminal.show(table)
