"""Options of `farm submit` that shape the app and say who signs it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from cli import completion
from farm import jobspec
from farm.prompting import PLACE, Mode

DEFAULTS = jobspec.AppSpec()
# None of them has a default on the command line: what is not said comes from the job that is cloned, or from AppSpec.
_shaping = partial(typer.Option, show_default=False, rich_help_panel="The app")
_signing = partial(typer.Option, show_default=False, rich_help_panel="Signing")

Label = Annotated[
    str | None, _shaping(metavar="LABEL", help=f"The name below the app's icon (default: {DEFAULTS.label}).")
]
ApplicationId = Annotated[
    str | None, _shaping(metavar="ID", help=f"The application id (default: {DEFAULTS.application_id}).")
]
VersionName = Annotated[
    str | None, _shaping(metavar="VERSION", help=f"The version that people see (default: {DEFAULTS.version_name}).")
]
VersionCode = Annotated[
    int | None,
    _shaping(metavar="NUMBER", help=f"The version that Android compares (default: {DEFAULTS.version_code})."),
]
Abis = Annotated[
    list[str] | None,
    _shaping(
        metavar="ABI",
        help=f"A CPU type to carry a runtime for; may be repeated (default: {', '.join(jobspec.Abi)}).",
        autocompletion=completion.abis,
    ),
]
WordFilter = Annotated[
    bool | None,
    _shaping(
        "--filter/--no-filter",
        help="Refuse unsuitable words in the app, in what is typed and in what is written (default: --filter).",
    ),
]
LibraryModel = Annotated[
    bool | None,
    _shaping(
        "--aar-with-model/--aar-without-model",
        help="Put the model into generation.aar too (default: --aar-without-model).",
    ),
]
ModeName = Annotated[
    str | None,
    _shaping(
        metavar="MODE",
        help=f"What the app does with what is typed: {', '.join(Mode)} (default: what the model's metadata say,"
        f" else {Mode.COMPLETE}).",
    ),
]
PromptTemplate = Annotated[
    str | None,
    _shaping(
        metavar="FILE|TEXT",
        help=f"What an instruct model reads, with {PLACE} where the question goes (default: the model's own).",
    ),
]
Aar = Annotated[
    str | None,
    _shaping(
        metavar="AAR",
        help="The library of the I/O mode `strings`'s app: stock (the published one), file:PATH, or bazel (one that"
        " `farm aar` built; default: stock).",
    ),
]
Keystore = Annotated[
    Path | None, _signing(metavar="PATH", help="Your own PKCS12 or JKS keystore (default: the farm's own key).")
]
KeyAlias = Annotated[str | None, _signing(metavar="ALIAS", help="The key in the keystore (default: its only key).")]
PasswordSource = Annotated[
    str | None, _signing(metavar="SOURCE", help="Where the keystore's password is: file:PATH or env:NAME.")
]
