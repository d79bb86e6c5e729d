"""Texts of a command line, of farm.toml or of a model's metadata as values; files are read where a text names one."""

from __future__ import annotations

import re
from pathlib import Path

from farm import adapter_files
from farm.errors import (
    BadPromptTemplate,
    CalibrationUnusable,
    ChatTemplateUnusable,
    EvaluationUnusable,
    FarmError,
    KeystorePasswordMissing,
    KeystoreUnusable,
    UsageError,
)
from farm.prompting import LONGEST_TEMPLATE, PLACE

# More than a template may have, so that a file too large is refused as such.
TEMPLATE_FILE_CHARACTERS = 2 * LONGEST_TEMPLATE
LONGEST_CHAT_TEMPLATE = 1 << 18
# Far more than a calibration or evaluation text may have, so that a file too long is refused as such.
LONGEST_TEXT_BYTES = 64 << 20
PASSWORD_SOURCE = re.compile(r"file:(?P<path>.+)|env:(?P<name>[A-Za-z_][A-Za-z0-9_]*)")


def parse_prefill(text: str, folder: Path = Path()) -> tuple[int, ...]:  # noqa: ARG001  no paths in it
    """`8,32` -> (8, 32); UsageError when it is anything but lengths of at least 2."""
    words = text.split(",")
    if not all(re.fullmatch(r" *[0-9]{1,6} *", word, re.ASCII) and int(word) >= 2 for word in words):
        raise UsageError(f"The prefill lengths {text!r} are refused; give numbers from 2 on with commas, as in 8,32.")
    return tuple(sorted({int(word) for word in words}))


def read_template(text: str, folder: Path = Path()) -> str:
    """A template given as it is (`\\n` stands for a new line), or the content of the file of that name.

    BadPromptTemplate when it is neither.
    """
    if PLACE in text:
        return text.replace("\\n", "\n")
    try:
        with (folder / Path(text).expanduser()).open(encoding="utf-8") as file:
            return file.read(TEMPLATE_FILE_CHARACTERS)
    except (OSError, ValueError) as error:
        raise BadPromptTemplate(
            f"{text[:60]!r} is neither a prompt template (it lacks {PLACE}) nor a text file; give one of the two."
        ) from error


def read_chat_template(text: str, folder: Path = Path()) -> str:
    """The content of a template's file; ChatTemplateUnusable when the file is none."""
    try:
        with (folder / Path(text).expanduser()).open("rb") as file:
            content = file.read(LONGEST_CHAT_TEMPLATE + 1)
        return content.decode("utf-8-sig")
    except OSError as error:
        raise ChatTemplateUnusable(
            f"The chat template {text[:60]!r} can't be read ({error.strerror}); give a file with a Jinja template."
        ) from error
    except UnicodeDecodeError as error:
        raise ChatTemplateUnusable(
            f"The chat template {text[:60]!r} is not UTF-8 (byte {error.start}); save it as UTF-8 text."
        ) from error


def read_calibration(text: str, folder: Path = Path()) -> str:
    """A calibration text; CalibrationUnusable when the file is none."""
    return _read_text(text, folder, "calibration text", CalibrationUnusable, "utf-8")


def read_evaluation(text: str, folder: Path = Path()) -> str:
    """A text to measure quality on; EvaluationUnusable when the file is none."""
    # Editors on Windows begin a text with a byte order mark, which is none of its words.
    return _read_text(text, folder, "evaluation text", EvaluationUnusable, "utf-8-sig")


def _read_text(text: str, folder: Path, what: str, error: type[FarmError], encoding: str) -> str:
    try:
        return _read_bounded(folder / Path(text).expanduser()).decode(encoding)
    except OSError as fault:
        raise error(f"The {what} {text} can't be read ({fault.strerror}); check it.") from fault
    except UnicodeDecodeError as fault:
        raise error(f"The {what} {text} is not UTF-8 (byte {fault.start}); save it as UTF-8 text.") from fault


def _read_bounded(path: Path) -> bytes:
    """A text's file. What is longer than any text that is taken is cut where it is certainly too long: a device or a
    pipe has no end."""
    with path.open("rb") as file:
        content = file.read(LONGEST_TEXT_BYTES)
    # No character is left half.
    return content.decode("utf-8", "ignore").encode() if len(content) == LONGEST_TEXT_BYTES else content


def find_adapter(text: str, folder: Path = Path()) -> str:
    """The adapter's absolute path; AdapterUnusable when there is none."""
    path = (folder / Path(text).expanduser()).absolute()
    adapter_files.find(path)
    return str(path)


def find_keystore(text: str, folder: Path = Path()) -> str:
    """The keystore's absolute path; KeystoreUnusable when there is no file."""
    path = (folder / Path(text).expanduser()).absolute()
    if not path.is_file():
        raise KeystoreUnusable(f"There is no keystore at {path}; give a PKCS12 or JKS file.")
    return str(path)


def parse_password_source(text: str, folder: Path = Path()) -> str:
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
    path = (folder / Path(match["path"]).expanduser()).absolute()
    if not path.is_file():
        raise KeystorePasswordMissing(f"There is no password file at {path}; write the password into it.")
    return f"file:{path}"
