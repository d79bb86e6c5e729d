"""A10 for chat templates: random ones are taken apart or refused in a sentence, within their limits."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from farm import locations
from pipeline.chat import child
from tests.trial import Trial

# Of a template that is stopped: what Python does between two looks at the clock.
SLACK = 4.0
ALL_SECONDS = 3000


@pytest.mark.goal(id="A10")
def test_random_templates_are_taken_apart_or_refused(trial: Trial) -> None:
    count = trial.size(300, 10_000)
    ran = subprocess.run(
        [sys.executable, "-m", "tests.fixtures.template_fuzz", str(trial.seed), str(count)],
        cwd=locations.ROOT, capture_output=True, text=True, timeout=ALL_SECONDS, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    found = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(found) == count
    apart = 0
    for each in found:
        assert each["seconds"] < child.CPU_SECONDS + SLACK, each["template"]
        # A reason is one line of plain text, and nothing of the farm's own insides.
        assert each["refused"].isprintable(), each
        assert not {"Traceback", "pydantic", "validation error"} & set(each["refused"].split()), each
        assert (each["chat"] is None) == bool(each["refused"]), each
        apart += each["chat"] is not None
    slowest = max(each["seconds"] for each in found)
    trial.measured(
        f"{count:,} chat templates: {apart:,} taken apart, the others refused, the slowest in {slowest:.1f} s"
    )
    # Some stay whole, and most do not.
    assert 0 < apart < count
