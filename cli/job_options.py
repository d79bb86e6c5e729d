"""The options of a job on a command line, made from the fields of its spec."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from cli import completion
from farm.job_request import FIELDS, Layer
from farm.options import OptionField

F = TypeVar("F", bound=Callable[..., None])
# What a shell can complete, by the option's field.
_COMPLETIONS: dict[str, Callable[[str], Any]] = {"recipe": completion.recipes, "abis": completion.abis}


def with_job_options(command: F) -> F:
    """Put every option of a job in the place of the command's `**options`.

    None of them has a default there: what is not said comes from the job that is cloned, from farm.toml, from the
    model's metadata, or from the spec.
    """
    signature = inspect.signature(command, eval_str=True)
    own = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(field))
        for name, field in FIELDS.items()
    ]
    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own] + added
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters} | {"return": None}
    return command


def command_line(options: dict[str, Any]) -> Layer:
    """What was said of them on the command line."""
    return Layer({name: value for name, value in options.items() if value is not None and value != []})


def _annotation(field: OptionField) -> Any:
    option = field.option
    kind: Any = list[str] if option.repeated else field.kind
    described = typer.Option(
        *field.flags,
        metavar=None if field.kind is bool else option.metavar,
        help=field.help,
        show_default=False,
        rich_help_panel=option.group.value,
        autocompletion=_COMPLETIONS.get(field.name),
    )
    return Annotated[kind | None, described]
