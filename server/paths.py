"""Sentences for clients elsewhere: where the farm's files lie on its machine is nobody's business there."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from client.protocol import EventView, JobView
from farm import locations
from farm.settings import Settings


class PathHider:
    """Takes the farm's folders off the names in a text: of `/var/lib/farm/work/x/config.json` stays `config.json`."""

    def __init__(self, settings: Settings) -> None:
        own = (settings.home, settings.work, settings.store, settings.toolchain)
        roots = (*own, locations.ROOT, Path(tempfile.gettempdir()))
        # The longest first: one may lie in another.
        names = sorted({str(each) for root in roots for each in (root, root.resolve())}, key=len, reverse=True)
        self._path = re.compile(
            rf"(?<![\w/])(?:{'|'.join(map(re.escape, names))})(?:/[^\s'\",;:()]*[^\s'\",;:().])?(?![\w/])"
        )

    def text(self, text: str) -> str:
        """The text, each path of the farm's by its last part."""
        return self._path.sub(lambda match: match[0].rstrip("/").rpartition("/")[2], text)

    def job(self, job: JobView) -> JobView:
        """The job with such sentences."""
        error = None if job.error is None else replace(job.error, sentence=self.text(job.error.sentence))
        stages = tuple(
            replace(each, activity=self.text(each.activity), note=None if each.note is None else self.text(each.note))
            for each in job.stages
        )
        return replace(job, error=error, notes=tuple(map(self.text, job.notes)), stages=stages)

    def events(self, events: Sequence[EventView]) -> list[EventView]:
        """The events with such messages."""
        return [replace(each, message=self.text(each.message)) for each in events]
