"""How a setting of a job is given: its name on the command line, its help, and how its text becomes a value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Generic, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from farm.errors import FarmError

E = TypeVar("E", bound=StrEnum)
# A text and the folder of the relative paths in it become a value; anything else is given as it is.
Parse = Callable[[str, Path], object]


class OptionGroup(StrEnum):
    """Under which heading `farm submit --help` shows an option."""

    MODEL = "Model"
    QUANTIZATION = "Quantization"
    APP = "App"
    SIGNING = "Signing"
    LIMITS = "Limits"


@dataclass(frozen=True)
class Option:
    """The annotation that makes a field of a job's spec an option.

    flags: `--field-name` where empty. default: how the default is described where the field's own value does not say
    it. parse: of a text; a list's items are parsed one by one. repeated: the option may be given more than once.
    of_model: whether a model's own metadata may set it, which come from a stranger. reads_file: whether parse reads the
    file of that name; a model's metadata hold the content instead.
    """

    help: str
    metavar: str = "TEXT"
    group: OptionGroup = OptionGroup.MODEL
    flags: tuple[str, ...] = ()
    default: str | None = None
    parse: Parse | None = None
    repeated: bool = False
    of_model: bool = True
    reads_file: bool = False


@dataclass(frozen=True)
class OptionField:
    """An option with the field that it sets. kind: what a command line takes: bool, int or str."""

    name: str
    option: Option
    kind: type
    default: Any

    @property
    def flags(self) -> tuple[str, ...]:
        """The option's names on a command line."""
        return self.option.flags or (f"--{self.name.replace('_', '-')}",)

    @property
    def help(self) -> str:
        """The help with the default."""
        shown = self.option.default
        if shown is None and isinstance(self.default, tuple):
            shown = ", ".join(map(str, self.default))
        elif shown is None and self.default is not None:
            shown = str(self.default)
        return f"{self.option.help.rstrip('.')} (default: {shown})." if shown else self.option.help


@cache
def option_fields(model: type[BaseModel]) -> tuple[OptionField, ...]:
    """A model's options by the order of its fields."""
    return tuple(
        OptionField(name, option, _kind(field), field.get_default())
        for name, field in model.model_fields.items()
        for option in field.metadata
        if isinstance(option, Option)
    )


class OneOf(Generic[E]):
    """Reads a member of an enumeration by its value; the error names all."""

    def __init__(self, kind: type[E], noun: str, error: type[FarmError]) -> None:
        self._kind = kind
        self._noun = noun
        self._error = error

    def __call__(self, text: str, folder: Path = Path()) -> E:  # noqa: ARG002  no paths in it
        """The member, or the error."""
        try:
            return self._kind(text)
        except ValueError:
            raise self._error(f"There is no {self._noun} {text!r}; choose from {', '.join(self._kind)}.") from None


def _kind(field: FieldInfo) -> type:
    given: Any = field.annotation
    if get_origin(given) in (Union, UnionType):
        given = next(each for each in get_args(given) if each is not type(None))
    if get_origin(given) is Annotated:
        given = get_args(given)[0]
    return given if given in (bool, int) else str
