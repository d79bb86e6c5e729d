"""`farm status`."""

from __future__ import annotations

import typer

from cli import job_page, tables, units
from cli.arguments import AsJson, MaybeJobId
from cli.connection import connect
from cli.json_views import event_object, job_object
from cli.terminal import Terminal, open_terminal
from client.protocol import Farm
from farm.states import JobState

LAST_JOBS = 10
MOST_ACTIVE = 1000


def command(ctx: typer.Context, job: MaybeJobId = None, as_json: AsJson = False) -> None:
    """Show the queue and the last jobs, or everything about one job."""
    terminal = open_terminal(as_json)
    farm = connect(ctx)
    if job is None:
        show_overview(farm, terminal)
        return
    found = farm.job(job)
    events = farm.events(found.id)
    if as_json:
        terminal.write_json({**job_object(found), "events": [event_object(event) for event in events]})
    else:
        job_page.show_everything(found, events, terminal)


def show_overview(farm: Farm, terminal: Terminal) -> None:
    """The running and waiting jobs, then the last that ended."""
    running = farm.jobs(states=[JobState.RUNNING], limit=MOST_ACTIVE)
    queued = farm.jobs(states=[JobState.QUEUED], limit=MOST_ACTIVE)
    ended = farm.jobs(states=[state for state in JobState if state.terminal], limit=LAST_JOBS)
    shown = [*sorted(queued, key=lambda job: job.position or 0, reverse=True)[-LAST_JOBS:], *running, *ended]
    if terminal.as_json:
        jobs = [job_object(job) for job in shown]
        terminal.write_json({"queued": len(queued), "running": len(running), "jobs": jobs})
        return
    if not shown:
        terminal.show("No jobs yet; start one with: farm submit examples/tiny_gpt2 --quant int8 --wait")
        return
    if running or queued:
        terminal.show(f"{units.count(len(running), 'job')} running, {len(queued)} waiting\n")
    terminal.show(tables.job_table(shown))
