"""From what was asked for to a job's spec: the all-optional form of JobSpec, from several places one over the other."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, StrictBool, StrictInt, StrictStr, ValidationError, create_model

from farm import modelref
from farm.appspec import AppSpec
from farm.errors import FarmError, KeystorePasswordMissing, SequenceTooLong, SettingsInvalid, UsageError
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.oplist import OpSet, parse_names, read_names
from farm.options import OptionField, option_fields

FIELDS: Mapping[str, OptionField] = {
    field.name: field for model in (JobSpec, AppSpec) for field in option_fields(model)
}


def _given(field: OptionField) -> Any:
    if field.option.repeated:
        return list[StrictStr]
    plain: Any = {bool: StrictBool, int: StrictInt, str: StrictStr}[field.kind]
    return list[StrictInt] | plain if isinstance(field.default, tuple) else plain


# Every option as it is written in farm.toml or in a model's metadata; none is needed, and no other is taken.
JobOptions: type[BaseModel] = create_model(
    "JobOptions",
    __config__=ConfigDict(extra="forbid", frozen=True),
    **{name: (_given(field) | None, None) for name, field in FIELDS.items()},  # type: ignore[call-overload]
)


@dataclass(frozen=True)
class Layer:
    """Options from one place, by their fields' names. folder: of relative paths. source: named in messages, empty for
    the command line. of_model: whether a model's own metadata say it, which name no file."""

    values: Mapping[str, Any]
    folder: Path = Path()
    source: str = ""
    of_model: bool = False

    def value(self, name: str) -> Any:
        """The option's value; an error of the option, which names the source."""
        given, field = self.values[name], FIELDS[name]
        parse = None if self.of_model and field.option.reads_file else field.option.parse
        try:
            if isinstance(given, str) and parse is not None:
                return parse(given, self.folder)
            if isinstance(given, list | tuple):
                return tuple(parse(each, self.folder) if parse and isinstance(each, str) else each for each in given)
        except FarmError as error:
            raise type(error)(f"{self.source}: {error}" if self.source else str(error)) from error
        return given


def build_spec(model: str | None, layers: Sequence[Layer], template: JobSpec | None = None) -> JobSpec:
    """The job that was asked for: later layers go before earlier ones, and all before the template.

    SpecError, ModelNotFound, KeystoreUnusable, KeystorePasswordMissing or UsageError say what is wrong.
    """
    values = template.model_dump() if template else {}
    if model is not None:
        reference = modelref.parse(model)
        values |= {"model_kind": reference.kind, "model": reference.value}
    elif template is None:
        raise UsageError("A job needs a model; name one, as in: farm submit ./my_model --quant int8")
    uploaded = template is not None and template.model_kind is ModelKind.UPLOADED
    if model is not None or not uploaded:
        # The model may have changed since the template's job; submitting looks it up again.
        values |= {"model_digest": None, "lora_digest": None}
    if model is not None and uploaded:
        values["lora"] = None  # the name of a file that went with the template's model
    given = {name: layer for layer in layers for name in layer.values}
    chosen = {name: layer.value(name) for name, layer in given.items() if name not in ("ops", "allow_ops")}
    own = {name: value for name, value in chosen.items() if name in JobSpec.model_fields}
    app = (template.app if template else AppSpec()).model_dump()
    app |= {name: value for name, value in chosen.items() if name in AppSpec.model_fields}
    spec = JobSpec(**values | own | _ops(layers, template) | {"app": _checked(AppSpec(**app))})
    if "prefill" in chosen and max(spec.prefill, default=0) > spec.wanted_context:
        raise SequenceTooLong(
            f"A prefill length of {max(spec.prefill)} does not fit into the context of {spec.wanted_context} tokens;"
            " leave it out or raise --context."
        )
    return spec.require_used()


def refusal(error: ValidationError, source: str, extra: Iterable[str] = ()) -> SettingsInvalid:
    """What pydantic refuses as a sentence, an unknown key with the closest that there is. extra: further keys."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    key = str(first["loc"][-1]) if first["loc"] else ""
    if first["type"] != "extra_forbidden":
        expected = _EXPECTED.get(first["type"], first["msg"])
        return SettingsInvalid(f"{source} is wrong at {place} (it must be {expected}); correct it.")
    by_flag = {flag: name for name, field in FIELDS.items() for flag in _words(field)}
    known = [*FIELDS, *extra]
    close = [by_flag[key]] if key in by_flag else difflib.get_close_matches(key, [*known, *by_flag], n=1)
    hint = f"did you mean {by_flag.get(close[0], close[0])}?" if close else f"it may hold {', '.join(known)}."
    return SettingsInvalid(f"{source} has an unknown key {place}; {hint}")


_EXPECTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}


def _words(field: OptionField) -> list[str]:
    """A flag's name as one would write it as a key."""
    return [flag.split("/")[0].removeprefix("--").replace("-", "_") for flag in field.flags]


def _ops(layers: Sequence[Layer], template: JobSpec | None) -> dict[str, object]:
    """The allowlist: the last layer that names a set, and the names of all; a file replaces what was before it."""
    ops, names = (template.ops, template.allow_ops) if template else (None, ())
    listed: tuple[str, ...] = ()
    file: tuple[Layer, Path] | None = None
    for layer in layers:
        if "ops" in layer.values:
            found = layer.value("ops")
            ops, file = (OpSet.LISTED, (layer, found)) if isinstance(found, Path) else (found, None)
            names = () if file else names
        names = (*names, *layer.values.get("allow_ops", ()))
    if file is not None:
        listed = read_names(file[1])
    return {"ops": ops, "allow_ops": parse_names([*listed, *names])}


def _checked(app: AppSpec) -> AppSpec:
    if app.keystore is not None and app.password_source is None:
        raise KeystorePasswordMissing(
            "A keystore needs a password; say where it is with --keystore-password-source file:PATH or env:NAME."
        )
    if app.keystore is None and (app.key_alias or app.password_source or app.key_password_source):
        raise UsageError("A key alias or password needs a keystore; add --keystore PATH.")
    return app
