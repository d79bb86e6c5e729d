"""The stages of a job, in order: what each takes, makes, may use, and may cost.

A stage is a function of its inputs, of some fields of the job's spec and of its own code. The SHA-256 over these is
the stage's key: a stage whose key has a result in the database is not run again. Resuming after a crash, sharing
between jobs and building the app once per version are all this one rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from farm.aars import STOCK
from farm.artifacts import ArtifactName as A
from farm.jobspec import IoMode, JobSpec, TokenizerGraph


class StageName(StrEnum):
    """Every stage, in the order in which a job runs them."""

    FETCH = "fetch"
    CHECK = "check"
    CONVERT = "convert"
    OPS = "ops"
    VERIFY = "verify"
    LITERT_LM = "litert-lm"
    REFERENCE_RUN = "reference-run"
    AAR = "aar"
    APP = "app"
    STRINGS_APP = "stringsapp"
    PACKAGE = "package"
    JVM_CHECK = "jvm-check"
    ARM_CHECK = "arm-check"
    SCREENSHOTS = "screenshots"
    BUNDLE = "bundle"
    SDK = "sdk"


class Resource(StrEnum):
    """What a stage may ask for beside its inputs; `worker/resources.py` says what each brings."""

    MODEL = "model"
    SIGNING_KEY = "signing-key"
    PERMITTED_OPS = "permitted-ops"
    SUPPLIED_AAR = "supplied-aar"
    REFERENCE_ENVIRONMENT = "reference-environment"
    ARM_MACHINE = "arm-machine"
    PROCESSOR_LIST = "processor-list"


class Queue(StrEnum):
    """Which kind of worker can run a stage."""

    CONVERT = "convert"
    ANDROID = "android"


def _always(_spec: JobSpec) -> bool:
    return True


def _grows(spec: JobSpec) -> bool:
    """LiteRT-LM resizes what it runs, and has the loop and the tokenizer itself."""
    return spec.grows


def _runs_on_jvm(spec: JobSpec) -> bool:
    """The app of these I/O modes has a runtime for this machine's JVM too."""
    return spec.io_mode is not IoMode.STRINGS


def _has_strings_app(spec: JobSpec) -> bool:
    """KerasHub's own graph needs ops that the stock AAR has not: only another one makes an app of it."""
    needs_other = spec.tokenizer_graph is TokenizerGraph.TFTEXT and spec.app.aar == STOCK
    return spec.io_mode is IoMode.STRINGS and not needs_other


def _has_reference_run(spec: JobSpec) -> bool:
    """The farm has TensorFlow in Python in the version of the stock AAR."""
    return _has_strings_app(spec) and spec.app.aar == STOCK


def _has_package(spec: JobSpec) -> bool:
    return _runs_on_jvm(spec) or _has_strings_app(spec)


@dataclass(frozen=True)
class Cache:
    """A folder of the farm's caches. files: a pattern of the names that a stage may put there, whole."""

    name: str
    files: str

    def takes(self, file: str) -> bool:
        """Whether a file of that name may be put there."""
        return re.fullmatch(self.files, file, re.ASCII) is not None


@dataclass(frozen=True)
class Stage:
    """One step of a job.

    title: what a user reads while it runs. spec_fields: dotted names of the spec's fields that decide the result.
    weight: expected part of the job's time (all add up to about 1), for progress. time_limit in seconds.
    resources: what it is given beside its inputs. ahead: a later stage whose process is started while this one runs,
    since interpreters and imports take long to start. caches: those that it reads and may add files to; reads_caches:
    further ones that it only reads. may_skip: later stages that it may find this job can't have. when: whether a job
    has the stage at all.

    Its code is not named: it is what its module imports, see pipeline/provenance.
    """

    name: StageName
    title: str
    queue: Queue
    inputs: tuple[A, ...]
    outputs: tuple[A, ...]
    spec_fields: tuple[str, ...]
    weight: float
    time_limit: float
    resources: frozenset[Resource] = frozenset()
    ahead: StageName | None = None
    caches: tuple[Cache, ...] = ()
    reads_caches: tuple[str, ...] = ()
    may_skip: tuple[StageName, ...] = ()
    when: Callable[[JobSpec], bool] = _always

    @property
    def module(self) -> str:
        """The dotted name of the module that does its work."""
        return f"pipeline.stages.{self.name.value.replace('-', '_')}"


# Weightless graphs by their keys, and the compiled driver of the app's screens.
GRAPHS = Cache("graphs", r"[0-9a-f]{64}\.tflite")
SCREENS = Cache("screens", r"screens-[0-9a-f]{32}\.jar")
# What a job can't have whose model needs a tokenizer that the app has not.
_OF_THE_APP = (
    StageName.LITERT_LM, StageName.REFERENCE_RUN, StageName.AAR, StageName.APP, StageName.STRINGS_APP,
    StageName.PACKAGE, StageName.JVM_CHECK, StageName.ARM_CHECK, StageName.SCREENSHOTS, StageName.BUNDLE, StageName.SDK,
)  # fmt: skip

_MODEL_FIELDS = (
    "recipe",
    "io_mode",
    "tokenizer_graph",
    "conversion_route",
    "context",
    "prefill",
    "static_shapes",
    "prompt_bytes",
    "output_tokens",
    "special_tokens",
    "calibration",
    "evaluation",
)
# The model's description names the reference and its digest, and how the model is spoken to.
_CONVERT_FIELDS = (
    *_MODEL_FIELDS, "model", "model_kind", "model_digest", "app.mode", "app.prompt_template", "app.prompts",
)  # fmt: skip

_PACKS = frozenset({Resource.SIGNING_KEY, Resource.PERMITTED_OPS})

STAGES: tuple[Stage, ...] = (
    Stage(
        StageName.FETCH, "fetching the model", Queue.CONVERT, (), (A.SOURCE,),
        ("model", "model_kind", "model_digest", "lora_digest"), 0.05, 3600,
        resources=frozenset({Resource.MODEL}), ahead=StageName.CONVERT,
    ),
    Stage(
        StageName.CHECK, "checking the model's files", Queue.CONVERT, (A.SOURCE,), (A.CHECKED,), (), 0.02, 300,
    ),
    Stage(
        StageName.CONVERT, "converting", Queue.CONVERT, (A.SOURCE, A.CHECKED),
        (A.MODEL, A.TOKENIZER, A.DESCRIPTION, A.REFERENCE, A.MODEL_INFO), _CONVERT_FIELDS, 0.42, 3600,
        resources=frozenset({Resource.PERMITTED_OPS}), ahead=StageName.OPS, caches=(GRAPHS,), may_skip=_OF_THE_APP,
    ),
    Stage(
        StageName.OPS, "listing the model's ops", Queue.CONVERT, (A.MODEL,), (A.OPS,),
        ("io_mode", "ops", "allow_ops"), 0.01, 600,
        resources=frozenset({Resource.PERMITTED_OPS}), ahead=StageName.VERIFY,
    ),
    Stage(
        StageName.VERIFY, "verifying the model", Queue.CONVERT, (A.MODEL, A.TOKENIZER, A.REFERENCE, A.MODEL_INFO),
        (A.GOLDEN, A.MODEL_CARD), _MODEL_FIELDS, 0.13, 1800, ahead=StageName.PACKAGE,
    ),
    Stage(
        StageName.LITERT_LM, "packing the model for LiteRT-LM", Queue.CONVERT,
        (A.MODEL, A.TOKENIZER, A.MODEL_INFO, A.GOLDEN), (A.LITERT_LM,), ("io_mode", "static_shapes"), 0.02, 1800,
        resources=frozenset({Resource.PROCESSOR_LIST}), when=_grows,
    ),
    Stage(
        StageName.REFERENCE_RUN, "running the model in TensorFlow of the AAR's version", Queue.CONVERT,
        (A.MODEL, A.MODEL_INFO, A.GOLDEN, A.REFERENCE), (A.REFERENCE_RUN,), ("io_mode", "app.aar"), 0.05, 1800,
        resources=frozenset({Resource.REFERENCE_ENVIRONMENT}), reads_caches=("reference-environment",),
        when=_has_reference_run,
    ),
    Stage(
        StageName.AAR, "checking the AAR against the job", Queue.ANDROID, (A.OPS, A.MODEL), (A.AAR,),
        ("io_mode", "app.aar", "app.abis"), 0.02, 900,
        resources=frozenset({Resource.SUPPLIED_AAR}), reads_caches=("aars",), when=_has_strings_app,
    ),
    Stage(
        StageName.APP, "building the app (once per version)", Queue.ANDROID, (), (A.APP_BASE,), (), 0.05, 1800,
        when=_runs_on_jvm,
    ),
    Stage(
        StageName.STRINGS_APP, "building the app of the I/O mode `strings` (once per version and AAR)", Queue.ANDROID,
        (A.AAR,), (A.APP_BASE,), ("app.aar",), 0.05, 1800,
        resources=frozenset({Resource.SUPPLIED_AAR}), reads_caches=("aars",), when=_has_strings_app,
    ),
    Stage(
        StageName.PACKAGE, "packaging and signing the app", Queue.ANDROID,
        (A.APP_BASE, A.MODEL, A.TOKENIZER, A.MODEL_INFO, A.MODEL_CARD), (A.APK,), ("app",), 0.1, 1800,
        resources=_PACKS, ahead=StageName.JVM_CHECK, when=_has_package,
    ),
    Stage(
        StageName.JVM_CHECK, "running the app's code against the model", Queue.ANDROID,
        (A.APP_BASE, A.APK, A.GOLDEN, A.REFERENCE), (A.HOST_RUN,), (), 0.05, 1800,
        ahead=StageName.ARM_CHECK, when=_runs_on_jvm,
    ),
    Stage(
        StageName.ARM_CHECK, "running the app's code on a phone's processors", Queue.ANDROID,
        (A.APP_BASE, A.APK, A.REFERENCE), (A.ARM_RUN,), (), 0.05, 1800,
        resources=frozenset({Resource.ARM_MACHINE}), ahead=StageName.SCREENSHOTS, when=_runs_on_jvm,
    ),
    Stage(
        StageName.SCREENSHOTS, "drawing the app's screen", Queue.ANDROID, (A.APP_BASE, A.APK, A.GOLDEN),
        (A.SCREENSHOT_LIGHT, A.SCREENSHOT_DARK), ("app.prompts",), 0.05, 1800, ahead=StageName.BUNDLE,
        caches=(SCREENS,), when=_runs_on_jvm,
    ),
    Stage(
        StageName.BUNDLE, "packaging the app for Google Play", Queue.ANDROID,
        (A.APP_BASE, A.MODEL, A.TOKENIZER, A.MODEL_INFO, A.MODEL_CARD), (A.BUNDLE,), ("app",), 0.03, 1800,
        resources=_PACKS, ahead=StageName.SDK, when=_runs_on_jvm,
    ),
    Stage(
        StageName.SDK, "packing the library and the project for developers", Queue.ANDROID,
        (A.APP_BASE, A.MODEL, A.TOKENIZER, A.MODEL_INFO, A.MODEL_CARD, A.GOLDEN), (A.LIBRARY, A.PROJECT),
        ("app",), 0.02, 1800, resources=frozenset({Resource.PERMITTED_OPS}), when=_runs_on_jvm,
    ),
)  # fmt: skip

BY_NAME: dict[StageName, Stage] = {stage.name: stage for stage in STAGES}


def stages_of(spec: JobSpec) -> tuple[Stage, ...]:
    """The stages that a job runs, in order."""
    return tuple(stage for stage in STAGES if stage.when(spec))
