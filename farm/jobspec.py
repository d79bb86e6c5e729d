"""What a job is: its settings, parsed once, frozen, and the key that makes equal jobs equal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, StrictInt, field_validator, model_validator

from farm import aars, digests, recipes
from farm.errors import (
    BadApplicationId,
    BadAppSetting,
    CalibrationUnusable,
    ContextTooLong,
    RecipeNotRunnable,
    SequenceTooLong,
    SettingNotForIoMode,
    UnknownAbi,
    UnknownIoMode,
)
from farm.modelref import ModelKind, ModelRef
from farm.oplist import OpSet, parse_names
from farm.prompting import Mode, Prompting
from farm.runtimes import APP_RUNTIME, FLEX_APP_RUNTIME, Runtime

DEFAULT_CONTEXT = 256
DEFAULT_PREFILL = (8, 32, 128)
DEFAULT_PROMPT_BYTES = 512
MAX_PROMPT_BYTES = 65536
MIN_CALIBRATION, MAX_CALIBRATION = 200, 65536
MAX_VERSION_CODE = 2_100_000_000
JAVA_KEYWORDS = frozenset(
    "abstract assert boolean break byte case catch char class const continue default do double else enum extends false"
    " final finally float for goto if implements import instanceof int interface long native new null package private"
    " protected public return short static strictfp super switch synchronized this throw throws transient true try"
    " void volatile while".split()
)


class IoMode(StrEnum):
    """How text gets in and out of the model."""

    TOKENS = "tokens"
    BYTES = "bytes"
    STRINGS = "strings"


class TokenizerGraph(StrEnum):
    """Whose tokenizer and loop are in a file of the I/O mode `strings`: the farm's own, or KerasHub's and TF Text's."""

    PORTABLE = "portable"
    TFTEXT = "tftext"


class ConversionRoute(StrEnum):
    """What TFLite's converter is given of a model with KerasHub's own graph."""

    SAVED_MODEL = "saved-model"
    CONCRETE_FUNCTIONS = "concrete-functions"
    KERAS_MODEL = "keras-model"


class SpecialTokens(StrEnum):
    """What a tokenizer in the graph takes special tokens in a prompt for: text, or the tokens that they spell."""

    TEXT = "text"
    READ = "read"


class Abi(StrEnum):
    """The CPU types that the app carries a runtime for."""

    ARM64 = "arm64-v8a"
    X86_64 = "x86_64"


class AppSpec(BaseModel):
    """What the packaged app is called, what it does and how it is signed.

    keystore: path of the user's own PKCS12 or JKS file, None for the farm's; password_source: `file:PATH` or
    `env:NAME`, never the password itself. filter: whether the app refuses unsuitable words. mode and prompt_template:
    None for what the model's own metadata say. library_model: whether `generation.aar` brings the model with it.
    aar: the library of the I/O mode `strings`, as farm.aars spells it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    application_id: str = "dev.kerasfarm.autocomplete"
    label: str = "Autocomplete"
    version_code: StrictInt = 1
    version_name: str = "1.0"
    abis: tuple[Abi, ...] = (Abi.ARM64, Abi.X86_64)
    keystore: str | None = None
    key_alias: str | None = None
    password_source: str | None = None
    filter: bool = True
    library_model: bool = False
    aar: str = aars.STOCK
    mode: Mode | None = None
    prompt_template: str | None = None

    @model_validator(mode="after")
    def _prompting(self) -> Self:
        self.prompting(Prompting())
        return self

    def prompting(self, own: Prompting) -> Prompting:
        """How the app speaks to a model that says `own` of itself."""
        return own.changed(self.mode, self.prompt_template)

    @field_validator("application_id")
    @classmethod
    def _application_id(cls, value: str) -> str:
        words = value.split(".")
        legal = all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", word) and word not in JAVA_KEYWORDS for word in words)
        if len(words) < 2 or not legal or len(value) > 150:
            raise BadApplicationId(
                f"Android refuses the application id {value!r}; use at least two parts joined by dots, each a letter"
                " followed by letters, digits or underscores and no Java keyword, as in org.example.story."
            )
        return value

    @field_validator("version_code")
    @classmethod
    def _version_code(cls, value: int) -> int:
        if not 1 <= value <= MAX_VERSION_CODE:
            raise BadAppSetting(f"The version code {value} is refused; use a number from 1 to {MAX_VERSION_CODE}.")
        return value

    @field_validator("label", "version_name")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if not value.strip() or len(value) > 100 or any(ord(letter) < 32 for letter in value):
            raise BadAppSetting(f"{value[:40]!r} is refused as a name or version; use one line of 1 to 100 characters.")
        return value

    @field_validator("aar")
    @classmethod
    def _aar(cls, value: str) -> str:
        file = aars.file_of(value)
        if value not in (aars.STOCK, aars.BAZEL) and (file is None or not file.is_absolute()):
            raise BadAppSetting(f"{value[:60]!r} is refused as an AAR; use {aars.STOCK}, {aars.BAZEL} or file:PATH.")
        return value

    @field_validator("abis")
    @classmethod
    def _some_abi(cls, value: tuple[Abi, ...]) -> tuple[Abi, ...]:
        if not value:
            raise UnknownAbi(f"An app needs at least one ABI of {', '.join(Abi)}.")
        return tuple(sorted(set(value)))


# Raised when a worker of an earlier version could not do a job of this one: a new field of the spec, a new stage,
# another meaning. Such a worker leaves the job to newer ones, so that versions may run side by side in an upgrade.
FORMAT = 3


class JobSpec(BaseModel):
    """One job. `context` and `prefill` in tokens; `model_digest` is None until the model was fetched once.

    prompt_bytes and output_tokens: the longest prompt and answer of a I/O mode that takes text; None for as many
    tokens as the context holds. The `tokens` mode does not look at them. tokenizer_graph is of the I/O mode `strings`,
    conversion_route of its graph `tftext`, which counts the prompt among output_tokens as KerasHub does.
    special_tokens is of the graphs with the farm's own tokenizer. ops: which ops the model may
    hold, None for what the I/O mode needs; allow_ops: ops by name beside these. calibration: the text of a recipe
    with int8 activations, None for the farm's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model_kind: ModelKind
    model: str
    model_digest: str | None = None
    io_mode: IoMode = IoMode.TOKENS
    tokenizer_graph: TokenizerGraph = TokenizerGraph.PORTABLE
    conversion_route: ConversionRoute = ConversionRoute.SAVED_MODEL
    recipe: str = "none"
    context: StrictInt = DEFAULT_CONTEXT
    prefill: tuple[StrictInt, ...] = DEFAULT_PREFILL
    prompt_bytes: StrictInt = DEFAULT_PROMPT_BYTES
    output_tokens: StrictInt | None = None
    special_tokens: SpecialTokens = SpecialTokens.TEXT
    calibration: str | None = None
    ops: OpSet | None = None
    allow_ops: tuple[str, ...] = ()
    app: AppSpec = AppSpec()

    @field_validator("recipe")
    @classmethod
    def _recipe(cls, value: str) -> str:
        return recipes.find(value).name

    @field_validator("allow_ops")
    @classmethod
    def _op_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return parse_names(value)

    @model_validator(mode="after")
    def _lengths(self) -> Self:
        if self.context < 16:
            raise ContextTooLong(f"A context of {self.context} tokens is too short; use 16 or more.")
        if not 16 <= self.prompt_bytes <= MAX_PROMPT_BYTES:
            raise SequenceTooLong(
                f"A longest prompt of {self.prompt_bytes} bytes is refused; use a number from 16 to {MAX_PROMPT_BYTES}."
            )
        if self.output_tokens is not None and not 1 <= self.output_tokens <= self.context:
            raise SequenceTooLong(
                f"A longest answer of {self.output_tokens} tokens does not fit into the context of {self.context}; use"
                " a number from 1 to the context."
            )
        return self

    @field_validator("calibration")
    @classmethod
    def _calibration(cls, value: str | None) -> str | None:
        if value is not None and not MIN_CALIBRATION <= len(value) <= MAX_CALIBRATION:
            raise CalibrationUnusable(
                f"A calibration text of {len(value)} characters is refused; give {MIN_CALIBRATION} to {MAX_CALIBRATION}"
                " characters of the kind that the model will read."
            )
        return value

    @model_validator(mode="after")
    def _together(self) -> Self:
        calibrated = recipes.find(self.recipe).calibrated
        if calibrated and self.io_mode is not IoMode.TOKENS:
            raise RecipeNotRunnable(
                f"The recipe {self.recipe} is of the I/O mode {IoMode.TOKENS} alone: {self.io_mode}"
                f" reads matrices in loops,"
                " where activations can't be calibrated; choose int8, or that I/O mode."
            )
        if self.calibration is not None and not calibrated:
            raise CalibrationUnusable(
                f"The recipe {self.recipe} needs no calibration text; leave it out, or choose full-int8."
            )
        if self.tokenizer_graph is TokenizerGraph.TFTEXT and self.io_mode is not IoMode.STRINGS:
            raise SettingNotForIoMode(
                f"The tokenizer graph {self.tokenizer_graph} is of the I/O mode {IoMode.STRINGS} and not"
                f" of {self.io_mode}; add"
                f" --io {IoMode.STRINGS}."
            )
        if self.app.aar != aars.STOCK and self.io_mode is not IoMode.STRINGS:
            raise SettingNotForIoMode(
                f"An AAR is chosen for the I/O mode {IoMode.STRINGS} and not for {self.io_mode}; add"
                f" --io {IoMode.STRINGS}, or"
                " leave --aar out."
            )
        if self.special_tokens is SpecialTokens.READ and not self.own_tokenizer:
            raise SettingNotForIoMode(
                "Special tokens can be read by the farm's own tokenizer in a graph alone; choose"
                f" --io {IoMode.BYTES}, or --io {IoMode.STRINGS} with the tokenizer graph {TokenizerGraph.PORTABLE}, or"
                " leave --special-tokens out."
            )
        default_route = type(self).model_fields["conversion_route"].default
        if self.conversion_route is not default_route and self.tokenizer_graph is not TokenizerGraph.TFTEXT:
            raise SettingNotForIoMode(
                f"The conversion route {self.conversion_route} is of the tokenizer graph {TokenizerGraph.TFTEXT}; add"
                f" --io {IoMode.STRINGS} --tokenizer-graph {TokenizerGraph.TFTEXT}, or leave it out."
            )
        return self

    @property
    def model_ref(self) -> ModelRef:
        """The model as a reference."""
        return ModelRef(self.model_kind, self.model)

    @property
    def prefill_lengths(self) -> tuple[int, ...]:
        """The prefill signatures' lengths: those that fit into the context."""
        return tuple(sorted({length for length in self.prefill if 1 < length <= self.context})) or (self.context,)

    @property
    def own_tokenizer(self) -> bool:
        """Whether the farm's own tokenizer is in the graph."""
        return self.io_mode is not IoMode.TOKENS and self.tokenizer_graph is TokenizerGraph.PORTABLE

    @property
    def runtime(self) -> Runtime:
        """The oldest runtime that must take the file: that of the app."""
        return FLEX_APP_RUNTIME if self.io_mode is IoMode.STRINGS else APP_RUNTIME

    @property
    def longest_text(self) -> int:
        """How many tokens prompt and answer have together at most."""
        return self.longest_answer if self.tokenizer_graph is TokenizerGraph.TFTEXT else self.context

    @property
    def longest_answer(self) -> int:
        """How many tokens a I/O mode that takes text writes at most."""
        return self.context if self.output_tokens is None else self.output_tokens

    @property
    def allowed_ops(self) -> OpSet:
        """The set of ops that the model may hold: what the job asks for, else what its I/O mode needs."""
        if self.ops is not None or self.io_mode is not IoMode.STRINGS:
            return self.ops or OpSet.BUILTIN
        return OpSet.TFTEXT if self.tokenizer_graph is TokenizerGraph.TFTEXT else OpSet.FLEX

    def key(self, code: str) -> str:
        """SHA-256 over everything that decides the result; `code` is the digest of the farm's own sources."""
        spec = self.model_dump(mode="json")
        if self.model_digest is not None and not self.model_kind.on_hub:
            # Where the files lie does not matter, but a job shows the name that its model was handed in by.
            del spec["model_kind"]
            spec["model"] = self.model_ref.short_name
        return digests.of_json({"spec": spec, "code": code})


def parse_io_mode(text: str) -> IoMode:
    """The I/O mode of that name, or UnknownIoMode."""
    try:
        return IoMode(text)
    except ValueError:
        raise UnknownIoMode(f"There is no I/O mode {text!r}; choose one of {', '.join(IoMode)}.") from None


def parse_tokenizer_graph(text: str) -> TokenizerGraph:
    """The tokenizer graph of that name, or UnknownIoMode."""
    try:
        return TokenizerGraph(text)
    except ValueError:
        raise UnknownIoMode(
            f"There is no tokenizer graph {text!r}; choose one of {', '.join(TokenizerGraph)}."
        ) from None


def parse_conversion_route(text: str) -> ConversionRoute:
    """The conversion route of that name, or UnknownIoMode."""
    try:
        return ConversionRoute(text)
    except ValueError:
        raise UnknownIoMode(
            f"There is no conversion route {text!r}; choose one of {', '.join(ConversionRoute)}."
        ) from None


def parse_special_tokens(text: str) -> SpecialTokens:
    """The way of reading special tokens of that name, or UnknownIoMode."""
    try:
        return SpecialTokens(text)
    except ValueError:
        raise UnknownIoMode(
            f"Special tokens can't be taken for {text!r}; choose one of {', '.join(SpecialTokens)}."
        ) from None


def parse_abis(texts: Sequence[str]) -> tuple[Abi, ...]:
    """The ABIs of these names, or UnknownAbi."""
    found = []
    for text in texts:
        try:
            found.append(Abi(text))
        except ValueError:
            raise UnknownAbi(f"There is no runtime for the ABI {text!r}; choose from {', '.join(Abi)}.") from None
    return tuple(found)
