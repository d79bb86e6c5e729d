"""What a job is: its settings, parsed once, frozen, and the key by which identical jobs are found."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path, PurePath
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, StrictInt, field_validator, model_validator

from farm import aars, digests, option_texts, recipes
from farm.appspec import AppSpec
from farm.errors import (
    CalibrationUnusable,
    ContextTooLong,
    EvaluationUnusable,
    RecipeNotRunnable,
    SequenceTooLong,
    SettingNotForIoMode,
    UnknownIoMode,
)
from farm.modelref import ModelKind, ModelRef
from farm.oplist import OpSet, find_ops, parse_names
from farm.options import OneOf, Option, OptionGroup
from farm.prompting import Mode
from farm.recipes import Activations
from farm.runtimes import APP_RUNTIME, FLEX_APP_RUNTIME, Runtime

# The longest text of a job that says none. Caches grow with the text, so that a long context costs nothing before it
# is used; where they are in the graph or of fixed length, each step costs what the context does.
DEFAULT_CONTEXT = 2048
CHAT_CONTEXT = 4096
FIXED_CONTEXT = 256
DEFAULT_PREFILL = (8, 32, 128)
DEFAULT_PROMPT_BYTES = 512
MAX_PROMPT_BYTES = 65536
MIN_CALIBRATION, MAX_CALIBRATION = 200, 65536
MIN_EVALUATION, MAX_EVALUATION = 400, 65536


_QUANTIZATION, _LIMITS = OptionGroup.QUANTIZATION, OptionGroup.LIMITS


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


def _recipe_name(text: str, folder: Path) -> str:  # noqa: ARG001  no paths in it
    return recipes.find(text).name


# Raised when a worker of an earlier version could not do a job of this one: a new field of the spec, a new stage,
# another meaning. Such a worker leaves the job to newer ones, so that versions may run side by side in an upgrade.
FORMAT = 7


class JobSpec(BaseModel):
    """One job. `context` and `prefill` in tokens; `context` is None for as many positions as the model has, at most
    CHAT_CONTEXT for one that chats, DEFAULT_CONTEXT for another, FIXED_CONTEXT where the length of the caches is fixed;
    `model_digest` is None until the model was fetched once. static_shapes: whether the file's lengths are fixed, for
    programs that resize no inputs; prefill is of such a file.

    lora: an adapter's absolute path, of an uploaded model its name, since there it is among the model's files;
    lora_digest: of its files, where the model itself is on a hub.

    prompt_bytes and output_tokens: the longest prompt and answer of a I/O mode that takes text; None for as many
    tokens as the context holds. The `tokens` mode does not look at them. tokenizer_graph is of the I/O mode `strings`,
    conversion_route of its graph `tftext`, which counts the prompt among output_tokens as KerasHub does.
    special_tokens is of the farm's own tokenizer. ops: which ops the model may
    hold, None for what the I/O mode needs; allow_ops: ops by name beside these. calibration: the text that a
    recipe's weights are prepared by, None for the farm's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model_kind: ModelKind
    model: str
    model_digest: str | None = None
    lora: Annotated[
        str | None,
        Option(
            "A LoRA adapter to merge into the model: a PEFT folder, or KerasHub's .lora.h5.",
            "ADAPTER", parse=option_texts.find_adapter, of_model=False,
        ),
    ] = None  # fmt: skip
    lora_digest: str | None = None
    recipe: Annotated[
        str,
        Option(
            "How the weights are stored; `farm recipes` lists them.",
            "RECIPE", _QUANTIZATION, ("--quant",), parse=_recipe_name,
        ),
    ] = "none"  # fmt: skip
    calibration: Annotated[
        str | None,
        Option(
            "A text like those that the model will read, for recipes that look at one.",
            "FILE", _QUANTIZATION, default="the farm's own", parse=option_texts.read_calibration,
            reads_file=True,
        ),
    ] = None  # fmt: skip
    evaluation: Annotated[
        str | None,
        Option(
            "A UTF-8 text to measure quality on.",
            "FILE", _QUANTIZATION, ("--eval-text",), default="the farm's own", parse=option_texts.read_evaluation,
            reads_file=True,
        ),
    ] = None  # fmt: skip
    io_mode: Annotated[
        IoMode,
        Option(
            f"How text gets in and out of the model: {', '.join(IoMode)}.",
            "IO_MODE", flags=("--io",), parse=OneOf(IoMode, "I/O mode", UnknownIoMode),
        ),
    ] = IoMode.TOKENS  # fmt: skip
    tokenizer_graph: Annotated[
        TokenizerGraph,
        Option(
            f"Whose tokenizer is in a file of the I/O mode {IoMode.STRINGS}: {', '.join(TokenizerGraph)}.",
            "GRAPH", parse=OneOf(TokenizerGraph, "tokenizer graph", UnknownIoMode),
        ),
    ] = TokenizerGraph.PORTABLE  # fmt: skip
    conversion_route: Annotated[
        ConversionRoute,
        Option(
            f"How the graph {TokenizerGraph.TFTEXT} is converted: {', '.join(ConversionRoute)}.",
            "ROUTE", parse=OneOf(ConversionRoute, "conversion route", UnknownIoMode),
        ),
    ] = ConversionRoute.SAVED_MODEL  # fmt: skip
    special_tokens: Annotated[
        SpecialTokens,
        Option(
            "What the farm's own tokenizer, in the app or in a graph, takes special tokens in a prompt for:"
            f" {', '.join(SpecialTokens)}.",
            "WAY", parse=OneOf(SpecialTokens, "way of reading special tokens", UnknownIoMode),
        ),
    ] = SpecialTokens.TEXT  # fmt: skip
    context: Annotated[
        StrictInt | None,
        Option(
            "The longest text, prompt included.", "TOKENS", _LIMITS,
            default=f"what the model has, at most {DEFAULT_CONTEXT}, or {CHAT_CONTEXT} where it chats;"
            f" {FIXED_CONTEXT} for the I/O modes {IoMode.BYTES} and {IoMode.STRINGS} and with --static-shapes",
        ),
    ] = None  # fmt: skip
    prefill: Annotated[
        tuple[StrictInt, ...],
        Option(
            "Prefill chunk sizes of a file with fixed lengths.", "N,N,...", _LIMITS,
            default=",".join(map(str, DEFAULT_PREFILL)), parse=option_texts.parse_prefill,
        ),
    ] = DEFAULT_PREFILL  # fmt: skip
    static_shapes: Annotated[
        bool,
        Option(
            "Fix the lengths in the file, for runtimes and delegates that can't resize inputs; no app is made of it.",
            group=_LIMITS,
        ),
    ] = False
    prompt_bytes: Annotated[
        StrictInt, Option("The longest prompt of an I/O mode that takes text.", "BYTES", _LIMITS)
    ] = DEFAULT_PROMPT_BYTES
    output_tokens: Annotated[
        StrictInt | None,
        Option(
            "The longest answer of an I/O mode that takes text.", "TOKENS", _LIMITS, default="what the context holds"
        ),
    ] = None
    ops: Annotated[
        OpSet | None,
        Option(
            "Which ops the model may hold: builtin, flex (what the stock Flex AAR has), tftext, or a file of names.",
            "SET|FILE", _LIMITS, default="what the I/O mode needs", parse=find_ops, of_model=False,
        ),
    ] = None  # fmt: skip
    allow_ops: Annotated[
        tuple[str, ...],
        Option(
            "An op that the model may hold beside these; may be repeated.", "OP", _LIMITS, ("--allow-op",),
            repeated=True, of_model=False,
        ),
    ] = ()  # fmt: skip
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
        if self.wanted_context < 16:
            raise ContextTooLong(f"A context of {self.wanted_context} tokens is too short; use 16 or more.")
        if not 16 <= self.prompt_bytes <= MAX_PROMPT_BYTES:
            raise SequenceTooLong(
                f"A longest prompt of {self.prompt_bytes} bytes is refused; use a number from 16 to {MAX_PROMPT_BYTES}."
            )
        if self.output_tokens is not None and not 1 <= self.output_tokens <= self.wanted_context:
            raise SequenceTooLong(
                f"A longest answer of {self.output_tokens} tokens does not fit into the context of"
                f" {self.wanted_context}; use a number from 1 to the context."
            )
        return self

    @field_validator("evaluation")
    @classmethod
    def _evaluation(cls, value: str | None) -> str | None:
        if value is not None and not MIN_EVALUATION <= len(value.strip()) <= MAX_EVALUATION:
            found = "is empty" if not value.strip() else f"has {len(value.strip())} characters"
            raise EvaluationUnusable(
                f"The evaluation text {found}; give {MIN_EVALUATION} to {MAX_EVALUATION} characters of the kind that"
                " the model will read."
            )
        return value

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
        recipe = recipes.find(self.recipe)
        if recipe.activations is Activations.STATIC_INT8 and self.io_mode is not IoMode.TOKENS:
            raise RecipeNotRunnable(
                f"The recipe {self.recipe} is of the I/O mode {IoMode.TOKENS} alone: {self.io_mode}"
                f" reads matrices in loops,"
                " where activations can't be calibrated; choose int8, or that I/O mode."
            )
        if recipe.four_bit and self.io_mode is IoMode.STRINGS:
            raise RecipeNotRunnable(
                f"The recipe {recipe.alias} has int4 weights, which {self.runtime}, the runtime of the I/O mode"
                f" {IoMode.STRINGS}, does not compute; choose int8, or the I/O mode {IoMode.TOKENS}."
            )
        if self.calibration is not None and not recipe.calibrated:
            calibrated = ", ".join(known.alias for known in recipes.RECIPES if known.calibrated)
            raise CalibrationUnusable(
                f"The recipe {recipe.alias} needs no calibration text; leave it out, or choose one of {calibrated}."
            )
        if self.tokenizer_graph is TokenizerGraph.TFTEXT and self.io_mode is not IoMode.STRINGS:
            raise SettingNotForIoMode(
                f"The tokenizer graph {self.tokenizer_graph} is of the I/O mode {IoMode.STRINGS} and not"
                f" of {self.io_mode}; add"
                f" --io {IoMode.STRINGS}."
            )
        if self.static_shapes and self.io_mode is not IoMode.TOKENS:
            raise SettingNotForIoMode(
                f"Fixed lengths are of the I/O mode {IoMode.TOKENS}; leave --static-shapes out, or add"
                f" --io {IoMode.TOKENS}."
            )
        if self.app.aar != aars.STOCK and self.io_mode is not IoMode.STRINGS:
            raise SettingNotForIoMode(
                f"An AAR is chosen for the I/O mode {IoMode.STRINGS} and not for {self.io_mode}; add"
                f" --io {IoMode.STRINGS}, or"
                " leave --aar out."
            )
        if self.io_mode is IoMode.STRINGS and (self.app.mode is Mode.CHAT or self.app.chat_template is not None):
            raise SettingNotForIoMode(
                f"A chat is of the I/O modes {IoMode.TOKENS} and {IoMode.BYTES}, and this job has {self.io_mode}; leave"
                " --mode chat and --chat-template out, or choose another I/O mode."
            )
        if self.special_tokens is SpecialTokens.READ and self.tokenizer_graph is TokenizerGraph.TFTEXT:
            raise SettingNotForIoMode(
                "KerasHub's own graph takes special tokens for what KerasHub does; choose the tokenizer graph"
                f" {TokenizerGraph.PORTABLE}, or leave --special-tokens out."
            )
        default_route = type(self).model_fields["conversion_route"].default
        if self.conversion_route is not default_route and self.tokenizer_graph is not TokenizerGraph.TFTEXT:
            raise SettingNotForIoMode(
                f"The conversion route {self.conversion_route} is of the tokenizer graph {TokenizerGraph.TFTEXT}; add"
                f" --io {IoMode.STRINGS} --tokenizer-graph {TokenizerGraph.TFTEXT}, or leave it out."
            )
        return self

    def require_used(self) -> Self:
        """The spec itself, or SettingNotForIoMode when it limits texts that its I/O mode does not take."""
        limits = (("prompt_bytes", DEFAULT_PROMPT_BYTES), ("output_tokens", None))
        for name, default in limits if self.io_mode is IoMode.TOKENS else ():
            if getattr(self, name) != default:
                raise SettingNotForIoMode(
                    f"{name} is of the I/O modes that take text, and this job has {self.io_mode}; leave it out, or add"
                    f" --io {IoMode.BYTES}."
                )
        if self.grows and self.prefill != DEFAULT_PREFILL:
            raise SettingNotForIoMode(
                "Prefill chunk sizes are of files with fixed lengths, and this job's file reads a prompt of any length;"
                " leave them out, or add --static-shapes."
            )
        return self

    @property
    def model_ref(self) -> ModelRef:
        """The model as a reference."""
        return ModelRef(self.model_kind, self.model, None if self.model_kind is ModelKind.UPLOADED else self.lora)

    @property
    def grows(self) -> bool:
        """Whether the caches grow with the text, outside of the graph."""
        return self.io_mode is IoMode.TOKENS and not self.static_shapes

    @property
    def wanted_context(self) -> int:
        """The longest text in tokens, before the model is known."""
        return self.context or (DEFAULT_CONTEXT if self.grows else FIXED_CONTEXT)

    def fitted(self, positions: int | None, chats: bool = False) -> Self:
        """The job with a context that is a number: the default, or a model's positions where these are fewer."""
        if self.context is not None:
            return self
        most = CHAT_CONTEXT if chats and self.grows else self.wanted_context
        return type(self)(**{**dict(self), "context": most if positions is None else min(most, positions)})

    @property
    def prefill_lengths(self) -> tuple[int, ...]:
        """The prefill signatures' lengths: those that fit into the context."""
        context = self.wanted_context
        return tuple(sorted({length for length in self.prefill if 1 < length <= context})) or (context,)

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
        return self.longest_answer if self.tokenizer_graph is TokenizerGraph.TFTEXT else self.wanted_context

    @property
    def longest_answer(self) -> int:
        """How many tokens a I/O mode that takes text writes at most."""
        return self.wanted_context if self.output_tokens is None else self.output_tokens

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
        if self.lora is not None:
            spec["lora"] = PurePath(self.lora).name
        return digests.of_json({"spec": spec, "code": code})
