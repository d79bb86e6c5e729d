"""From the words of a command line to a job's spec."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from client.profiles import OpRules
from farm import aars, modelref
from farm.errors import (
    BadPromptTemplate,
    CalibrationUnusable,
    KeystorePasswordMissing,
    KeystoreUnusable,
    SequenceTooLong,
    UsageError,
)
from farm.jobspec import (
    AppSpec,
    JobSpec,
    parse_abis,
    parse_conversion_route,
    parse_io_mode,
    parse_special_tokens,
    parse_tokenizer_graph,
)
from farm.modelref import ModelKind
from farm.oplist import OpSet, parse_ops
from farm.prompting import LONGEST_TEMPLATE, PLACE, parse_mode

# More than a template may have, so that a file too large is refused as such.
TEMPLATE_FILE_CHARACTERS = 2 * LONGEST_TEMPLATE
PASSWORD_SOURCE = re.compile(r"file:(?P<path>.+)|env:(?P<name>[A-Za-z_][A-Za-z0-9_]*)")


@dataclass(frozen=True)
class JobRequest:
    """What was given on the command line; None and the empty tuple stand for what was not. rules: the profile's."""

    model: str | None = None
    recipe: str | None = None
    io_mode: str | None = None
    tokenizer_graph: str | None = None
    conversion_route: str | None = None
    context: int | None = None
    prefill: str | None = None
    prompt_bytes: int | None = None
    output_tokens: int | None = None
    special_tokens: str | None = None
    calibration: Path | None = None
    ops: str | None = None
    allow_ops: tuple[str, ...] = ()
    rules: OpRules | None = None
    label: str | None = None
    application_id: str | None = None
    version_name: str | None = None
    version_code: int | None = None
    abis: tuple[str, ...] = ()
    aar: str | None = None
    keystore: Path | None = None
    key_alias: str | None = None
    password_source: str | None = None
    filter: bool | None = None
    mode: str | None = None
    prompt_template: str | None = None
    library_model: bool | None = None

    def spec(self, template: JobSpec | None = None) -> JobSpec:
        """The job that was asked for; what was not given comes from the template, else from the defaults.

        SpecError, ModelNotFound, KeystoreUnusable, KeystorePasswordMissing or UsageError say what is wrong.
        """
        values = template.model_dump() if template else {}
        if self.model is not None or template is None:
            reference = modelref.parse(self.model or modelref.DEFAULT)
            values |= {"model_kind": reference.kind, "model": reference.value}
        if self.model is not None or template is None or template.model_kind is not ModelKind.UPLOADED:
            # The model may have changed since the template's job; submitting looks it up anew.
            values["model_digest"] = None
        given = {
            "recipe": self.recipe,
            "io_mode": None if self.io_mode is None else parse_io_mode(self.io_mode),
            "tokenizer_graph": None if self.tokenizer_graph is None else parse_tokenizer_graph(self.tokenizer_graph),
            "conversion_route": None
            if self.conversion_route is None
            else parse_conversion_route(self.conversion_route),
            "context": self.context,
            "prefill": None if self.prefill is None else parse_prefill(self.prefill),
            "prompt_bytes": self.prompt_bytes,
            "output_tokens": self.output_tokens,
            "special_tokens": None if self.special_tokens is None else parse_special_tokens(self.special_tokens),
            "calibration": None if self.calibration is None else read_calibration(self.calibration),
        }
        values |= {name: value for name, value in given.items() if value is not None}
        values |= self._ops(template)
        values["app"] = self._app(template.app if template else AppSpec())
        spec = JobSpec(**values)
        if self.prefill is not None and max(spec.prefill) > spec.context:
            raise SequenceTooLong(
                f"A prefill length of {max(spec.prefill)} does not fit into the context of {spec.context} tokens;"
                " leave it out or raise --context."
            )
        return spec

    def _ops(self, template: JobSpec | None) -> dict[str, object]:
        """The allowlist: the command line's, then an earlier job's or the profile's. Names add up."""
        rules = self.rules or OpRules()
        if self.ops is None:
            kept, names = (template.ops, template.allow_ops) if template else rules.allowed()
            return {"ops": kept, "allow_ops": (*names, *self.allow_ops)}
        ops, names = parse_ops(self.ops, self.allow_ops)
        before = template.allow_ops if template else rules.allow_ops
        return {"ops": ops, "allow_ops": (*before, *names) if ops is not OpSet.LISTED else names}

    def _app(self, template: AppSpec) -> AppSpec:
        given = {
            "label": self.label,
            "application_id": self.application_id,
            "version_name": self.version_name,
            "version_code": self.version_code,
            "abis": parse_abis(self.abis) or None,
            "keystore": None if self.keystore is None else find_keystore(self.keystore),
            "key_alias": self.key_alias,
            "password_source": None if self.password_source is None else parse_password_source(self.password_source),
            "filter": self.filter,
            "aar": None if self.aar is None else aars.parse(self.aar),
            "mode": None if self.mode is None else parse_mode(self.mode),
            "prompt_template": None if self.prompt_template is None else read_template(self.prompt_template),
            "library_model": self.library_model,
        }
        app = AppSpec(**template.model_dump() | {name: value for name, value in given.items() if value is not None})
        if app.keystore is not None and app.password_source is None:
            raise KeystorePasswordMissing(
                "A keystore needs a password; say where it is with --keystore-password-source file:PATH or env:NAME."
            )
        if app.keystore is None and (app.key_alias or app.password_source):
            raise UsageError("A key alias or password is of use only with a keystore; add --keystore PATH.")
        return app


def parse_prefill(text: str) -> tuple[int, ...]:
    """`8,32` -> (8, 32); UsageError when it is anything but lengths of at least 2."""
    words = text.split(",")
    if not all(re.fullmatch(r" *[0-9]{1,6} *", word, re.ASCII) and int(word) >= 2 for word in words):
        raise UsageError(f"The prefill lengths {text!r} are refused; give numbers from 2 on with commas, as in 8,32.")
    return tuple(sorted({int(word) for word in words}))


def read_template(text: str) -> str:
    """A template given as it is (`\\n` stands for a new line), or the content of the file of that name.

    BadPromptTemplate when it is neither.
    """
    if PLACE in text:
        return text.replace("\\n", "\n")
    path = Path(text).expanduser()
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(TEMPLATE_FILE_CHARACTERS)
    except (OSError, ValueError) as error:
        raise BadPromptTemplate(
            f"{text[:60]!r} is neither a prompt template (it lacks {PLACE}) nor a text file; give one of the two."
        ) from error


def read_calibration(path: Path) -> str:
    """A calibration text; CalibrationUnusable when the file is none."""
    try:
        return path.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CalibrationUnusable(f"{path} can't be read as UTF-8 text ({error}); give a text file.") from error


def find_keystore(path: Path) -> str:
    """The keystore's absolute path; KeystoreUnusable when there is no file."""
    path = path.expanduser().absolute()
    if not path.is_file():
        raise KeystoreUnusable(f"There is no keystore at {path}; give a PKCS12 or JKS file.")
    return str(path)


def parse_password_source(text: str) -> str:
    """`file:PATH` with an absolute path, or `env:NAME`; KeystorePasswordMissing for anything else.

    The text is not repeated in the message: it may be the password itself.
    """
    match = PASSWORD_SOURCE.fullmatch(text)
    if match is None:
        raise KeystorePasswordMissing(
            "The password's source must be file:PATH or env:NAME; a password itself never belongs on a command line."
        )
    if match["path"] is None:
        return text
    path = Path(match["path"]).expanduser().absolute()
    if not path.is_file():
        raise KeystorePasswordMissing(f"There is no password file at {path}; write the password into it.")
    return f"file:{path}"
