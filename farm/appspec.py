"""What a packaged app is called, what it does and how it is signed."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, StrictInt, field_validator, model_validator

from farm import aars, icons, option_texts
from farm.errors import BadApplicationId, BadAppSetting, ChatTemplateUnusable, UnknownAbi, UnknownMode
from farm.options import OneOf, Option, OptionGroup
from farm.prompting import LONGEST_SUGGESTION, MOST_SUGGESTIONS, PLACE, Mode, Prompting

MAX_VERSION_CODE = 2_100_000_000
JAVA_KEYWORDS = frozenset(
    "abstract assert boolean break byte case catch char class const continue default do double else enum extends false"
    " final finally float for goto if implements import instanceof int interface long native new null package private"
    " protected public return short static strictfp super switch synchronized this throw throws transient true try"
    " void volatile while".split()
)
_APP, _SIGNING = OptionGroup.APP, OptionGroup.SIGNING


class Abi(StrEnum):
    """The CPU types that the app carries a runtime for."""

    ARM64 = "arm64-v8a"
    X86_64 = "x86_64"


def parse_abi(text: str, folder: Path = Path()) -> Abi:
    """The ABI of that name; UnknownAbi. The names that other tools have for the same are understood."""
    same = {"arm64": Abi.ARM64, "aarch64": Abi.ARM64, "x86-64": Abi.X86_64, "amd64": Abi.X86_64}
    return same.get(text) or OneOf(Abi, "runtime for the ABI", UnknownAbi)(text, folder)


class AppSpec(BaseModel):
    """What the packaged app is called, what it does and how it is signed.

    keystore: path of the user's own PKCS12 or JKS file, None for the farm's; password_source and key_password_source:
    `file:PATH` or `env:NAME`, never the password itself. icon: a PNG as farm.icons makes it, in Base64. filter: whether
    the app refuses unsuitable words. mode and prompt_template: None for what the model's own metadata say.
    chat_template: its text; thinking: as wanted in farm.chat.Thinking. library_model: whether `generation.aar` brings
    the model with it. aar: the library of the I/O mode `strings`, as farm.aars spells it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: Annotated[str, Option("The name below the app's icon.", "LABEL", _APP, ("--name",))] = "Autocomplete"
    application_id: Annotated[str, Option("The application id.", "ID", _APP, ("--app-id",))] = (
        "dev.kerasfarm.autocomplete"
    )
    version_name: Annotated[str, Option("The version that people see.", "VERSION", _APP, ("--app-version",))] = "1.0"
    version_code: Annotated[StrictInt, Option("The version that Android compares.", "NUMBER", _APP)] = 1
    abis: Annotated[
        tuple[Abi, ...],
        Option(
            "A CPU type to carry a runtime for; may be repeated.", "ABI", _APP, ("--abi",), parse=parse_abi,
            repeated=True,
        ),
    ] = (Abi.ARM64, Abi.X86_64)  # fmt: skip
    icon: Annotated[
        str | None,
        Option(
            "The app's icon, a PNG or SVG.",
            "FILE", _APP, default="two lines and a cursor", parse=icons.read_icon, reads_file=True,
        ),
    ] = None  # fmt: skip
    color: Annotated[
        str | None,
        Option("The colour of the app's buttons and of its icon's ground.", "#RRGGBB", _APP, default="#00695C"),
    ] = None
    prompts: Annotated[
        tuple[str, ...],
        Option(
            "A beginning or a question of your own field: a golden prompt, a suggestion, the pictures' text; may be"
            " repeated.",
            "TEXT", _APP, ("--prompt",), default="the model's own, else the farm's", repeated=True,
        ),
    ] = ()  # fmt: skip
    filter: Annotated[
        bool,
        Option(
            "Refuse unsuitable words in the app, in what is typed and in what is written.",
            group=_APP, flags=("--filter/--no-filter",), default="--filter",
        ),
    ] = True  # fmt: skip
    mode: Annotated[
        Mode | None,
        Option(
            f"What the app does with what is typed: {', '.join(Mode)}.",
            "MODE", _APP,
            default=f"what the model's metadata say, else {Mode.CHAT} with a chat template, else {Mode.COMPLETE}",
            parse=OneOf(Mode, "mode", UnknownMode),
        ),
    ] = None  # fmt: skip
    prompt_template: Annotated[
        str | None,
        Option(
            f"What an instruct model reads, with {PLACE} where the question goes.",
            "FILE|TEXT", _APP, default="the model's own", parse=option_texts.read_template,
            reads_file=True,
        ),
    ] = None  # fmt: skip
    chat_template: Annotated[
        str | None,
        Option(
            "The model's chat template in Jinja, as Transformers has it.",
            "FILE", _APP, default="the model's own, else that of its family", parse=option_texts.read_chat_template,
            reads_file=True,
        ),
    ] = None  # fmt: skip
    thinking: Annotated[
        bool,
        Option(
            "Begin conversations with thinking on, where the template can.",
            group=_APP, flags=("--thinking/--no-thinking",), default="--no-thinking",
        ),
    ] = False  # fmt: skip
    library_model: Annotated[
        bool,
        Option(
            "Put the model into generation.aar too.",
            group=_APP, flags=("--aar-with-model/--aar-without-model",), default="--aar-without-model",
        ),
    ] = False  # fmt: skip
    aar: Annotated[
        str,
        Option(
            "The library of the I/O mode `strings`'s app: stock (the published one), file:PATH, or bazel (one that"
            " `farm aar` built).",
            "AAR", _APP, parse=aars.parse, of_model=False,
        ),
    ] = aars.STOCK  # fmt: skip
    keystore: Annotated[
        str | None,
        Option(
            "Your own PKCS12 or JKS keystore.",
            "PATH", _SIGNING, default="the farm's own key", parse=option_texts.find_keystore, of_model=False,
        ),
    ] = None  # fmt: skip
    key_alias: Annotated[
        str | None, Option("The key in the keystore.", "ALIAS", _SIGNING, default="its only key", of_model=False)
    ] = None
    password_source: Annotated[
        str | None,
        Option(
            "Where the keystore's password is: file:PATH or env:NAME.",
            "SOURCE", _SIGNING, ("--keystore-password-source",), parse=option_texts.parse_password_source,
            of_model=False,
        ),
    ] = None  # fmt: skip
    key_password_source: Annotated[
        str | None,
        Option(
            "Where the key's own password is, as above.",
            "SOURCE", _SIGNING, default="the keystore's", parse=option_texts.parse_password_source, of_model=False,
        ),
    ] = None  # fmt: skip

    @model_validator(mode="after")
    def _prompting(self) -> Self:
        self.prompting(Prompting())
        return self

    def prompting(self, own: Prompting) -> Prompting:
        """How the app speaks to a model that says `own` of itself."""
        return own.changed(self.mode, self.prompt_template, self.prompts)

    @field_validator("chat_template")
    @classmethod
    def _chat_template(cls, value: str | None) -> str | None:
        if value is not None and (not value.strip() or len(value) > option_texts.LONGEST_CHAT_TEMPLATE):
            raise ChatTemplateUnusable(
                f"A chat template of {len(value)} characters is refused; give a Jinja template of at most"
                f" {option_texts.LONGEST_CHAT_TEMPLATE}."
            )
        return value

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

    @field_validator("icon")
    @classmethod
    def _icon(cls, value: str | None) -> str | None:
        if value is not None:
            icons.decode(value)
        return value

    @field_validator("color")
    @classmethod
    def _color(cls, value: str | None) -> str | None:
        if value is not None and re.fullmatch(r"#[0-9A-Fa-f]{6}", value) is None:
            raise BadAppSetting(f"{value[:40]!r} is refused as a colour; write red, green and blue as in #00695C.")
        return value

    @field_validator("prompts")
    @classmethod
    def _prompts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(value) > MOST_SUGGESTIONS:
            raise BadAppSetting(f"{len(value)} prompts are too many; give at most {MOST_SUGGESTIONS}.")
        for text in value:
            if not text.strip() or len(text) > LONGEST_SUGGESTION or not text.isprintable():
                raise BadAppSetting(
                    f"{text[:40]!r} is refused as a prompt; use one line of 1 to {LONGEST_SUGGESTION} characters."
                )
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
