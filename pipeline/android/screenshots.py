"""Pictures of the app having answered a golden prompt with its own model."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from farm import caches as cache_files
from farm import digests
from farm.errors import HostMismatch
from farm.prompting import Mode, Prompting
from farm.stages import SCREENS
from pipeline.android.base import AppSources
from pipeline.android.golden import Golden
from pipeline.android.robolectric import Harness
from pipeline.toolchain import pins

DATA_FILES = ("android-builder/screens/src/main/kotlin/**/*",)

TIMEOUT = 900.0
HINT = "the app's screen can't be drawn on this machine; see the stage's log."
CLASS = "dev.kerasfarm.screens.Screenshots"
WAITING = "dev.kerasfarm.screens.FirstToken"
LIGHT, DARK = "screenshot-light.png", "screenshot-dark.png"
# What each class draws, in pixels; Play takes these sizes.
SIZES: Mapping[str, tuple[str, Mapping[str, tuple[int, int]]]] = {
    "phone": (CLASS, {LIGHT: (1078, 1918), DARK: (1078, 1918)}),
    "play": (
        "dev.kerasfarm.screens.StorePictures",
        {
            f"{device}-{theme}.png": pixels
            for device, pixels in (("phone", (1080, 1920)), ("tablet-7", (1200, 1920)), ("tablet-10", (1600, 2560)))
            for theme in ("light", "dark")
        },
    ),
}
# Where the compiled driver is kept between jobs.
CACHE = SCREENS.name
# A picture of a conversation shows so many turns.
TURNS = 3


def prompt(golden: Golden, prompting: Prompting) -> str | None:
    """The prompt to show: the first that the model's metadata suggest, else of those in words the one that the model
    writes most after; None when there is none."""
    in_words = [one for one in golden.prompts if one.text is not None and one.text.strip()]
    suggested = {prompting.fill(text) for text in prompting.prompts}
    own = next((one for one in in_words if one.text in suggested), None)
    shown = own or max(in_words, key=lambda one: len(one.tokens), default=None)
    return None if shown is None else shown.text


def typed(golden: Golden, prompting: Prompting, own: Sequence[str]) -> str | None:
    """What to type into the app: the user's own first prompt, else that of a golden one; None when there is none."""
    if own:
        return own[0]
    text = prompt(golden, prompting)
    # Of a question in its template the app wants the question.
    question = None if text is None else prompting.question(text)
    return text if question is None else question


def questions(golden: Golden, prompting: Prompting, own: Sequence[str]) -> tuple[str, ...]:
    """What to type into the app, one after the other: in the mode chat up to three questions, else one text; none where
    there are no prompts in words."""
    first = typed(golden, prompting, own)
    if first is None or prompting.mode is not Mode.CHAT:
        return () if first is None else (first,)
    held = next((one for one in golden.conversations if len(one.turns) >= TURNS), None)
    if own:
        found = list(own)
    elif held is not None:
        # The conversation that was verified: its questions belong together.
        found = [turn.question for turn in held.turns]
    else:
        others = (prompting.question(one.text) for one in golden.prompts if one.text is not None)
        found = [first, *(one for one in others if one is not None and one != first)]
    return tuple(found[:TURNS])


def driver(harness: Harness, sources: AppSources, caches: Path, adopt: Path) -> Path:
    """The compiled driver from `caches`, or newly compiled in `adopt`, from where it gets into the cache."""
    files = sorted(sources.screens.rglob("*.kt"))
    parts = [digests.of_file(path) for path in (*files, pins.TABLE, harness.base.library_jar, harness.base.app_jar)]
    name = f"screens-{digests.of_json({'parts': parts})[:32]}.jar"
    kept = cache_files.find(caches, CACHE, name)
    if kept is not None:
        return kept
    target = adopt / name
    harness.compile(sources.screens, (), target)
    return target


def take(
    harness: Harness, package: Path, driver_jar: Path, texts: Sequence[str], light: Path, dark: Path
) -> float:  # fmt: skip
    """Let the app of the APK answer the texts and draw it in both themes; the seconds that it took.

    HostMismatch when the app refuses its model, writes nothing, or can't be drawn.
    """
    folder = harness.scratch / "pictures"
    seconds = draw(harness, package, driver_jar, texts, CLASS, folder)
    for name, target in ((LIGHT, light), (DARK, dark)):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder / name, target)
    return seconds


def draw(
    harness: Harness, package: Path, driver_jar: Path, texts: Sequence[str], drawer: str, folder: Path
) -> float:  # fmt: skip
    """Let a class of the driver draw its pictures into the folder; the seconds that it took. HostMismatch."""
    folder.mkdir(parents=True, exist_ok=True)
    properties = {"screenshots.folder": str(folder)}
    properties |= {f"screenshots.prompt.{number}": text for number, text in enumerate(texts)}
    tests = harness.run(package, (driver_jar,), (drawer,), properties, timeout=TIMEOUT, error=HostMismatch, hint=HINT)
    return sum(test.seconds for test in tests)


def first_token(harness: Harness, package: Path, driver_jar: Path, text: str) -> float:
    """Seconds from the tap on the button to the first token after the text: the median of some tries. HostMismatch."""
    told = harness.scratch / "first-token.txt"
    harness.scratch.mkdir(parents=True, exist_ok=True)
    properties = {"first.token.prompt": text, "first.token.seconds": str(told)}
    harness.run(package, (driver_jar,), (WAITING,), properties, timeout=TIMEOUT, error=HostMismatch, hint=HINT)
    return statistics.median(map(float, told.read_text().split()))
