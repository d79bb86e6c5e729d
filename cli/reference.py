"""The generated pages of docs/: commands, recipes, errors. `python -m cli.reference` writes them."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import typer
from typer.core import TyperArgument, TyperCommand, TyperOption

from cli.downloads import MEASUREMENTS
from cli.main import COMMANDS, load_command
from farm import errors, locations
from farm.artifacts import PUBLISHED
from farm.job_request import FIELDS
from farm.options import OptionField
from farm.prompting import LONGEST_SUGGESTION, LONGEST_TEMPLATE, MOST_SUGGESTIONS, PLACE
from farm.recipes import INT8_BY_TENSOR, RECIPES
from farm.settings import Settings
from pipeline.models.metadata import LONGEST_LICENCE

DOCS = locations.ROOT / "docs"
HEADER = "<!-- Written by scripts/docs; change the sources instead. -->\n"


def pages() -> dict[Path, str]:
    """Every generated page by its path below docs/."""
    return {
        Path("cli.md"): command_page(),
        Path("recipes.md"): recipe_page(),
        Path("errors.md"): error_page(),
        Path("http-api.md"): http_page(),
        Path("metadata.md"): metadata_page(),
    }


def command_page() -> str:
    """Every command with its arguments and options."""
    lines = [HEADER, "# The `farm` command\n"]
    lines += [f"* [`farm {name}`](#farm-{name}): {summary}" for name, summary in COMMANDS.items()]
    lines += ["", *_common_rules()]
    for name in COMMANDS:
        lines += _command_section(name, load_command(name))
    return "\n".join(lines) + "\n"


def recipe_page() -> str:
    """The recipe table with its limits."""
    lines = [
        HEADER,
        "# Recipes\n",
        "A recipe says how the weights are stored. `farm submit --quant` takes the short or the full name; an unknown"
        " one is refused with the closest match.\n",
    ]
    lines += _table(
        ("recipe", "full name", "weights", "size against float32", "what it is"),
        [
            (f"`{one.alias}`", f"`{one.name}`", one.weight_format.value, f"{one.size_ratio * 100:g} %", one.summary)
            for one in RECIPES
        ],
    )
    lines += [
        "",
        "## Limits\n",
        "The written `.tflite` is opened again and compared with Keras's full forward pass. A job whose file misses"
        " a limit fails with the figures.\n",
        "* divergence: the mean Kullback-Leibler divergence from Keras over texts behind the start token, in nats.",
        "* top-1: the least share of these positions at which the file's likeliest token is Keras's.",
        "* perplexity: the file's on these texts, divided by Keras's.",
        "* greedy: the least share of steps on Keras's own greedy path at which the file's best token is Keras's;"
        " near-ties do not count.",
        "* logits: the largest difference over random tokens, as a share of Keras's largest logit; only for a recipe"
        " that rounds nothing.\n",
    ]
    lines += _table(
        ("recipe", "divergence at most", "top-1 at least", "perplexity at most", "greedy at least", "logits at most"),
        [
            (
                f"`{one.alias}`",
                f"{one.limits.divergence:g}",
                f"{one.limits.top1_agreement * 100:g} %",
                f"{one.limits.perplexity_ratio:g} times Keras's",
                f"{one.limits.greedy_agreement * 100:g} %",
                "" if one.limits.logit_difference is None else f"{one.limits.logit_difference * 100:g} %",
            )
            for one in RECIPES
        ],
    )
    by_tensor = ", ".join(f"`{one.alias}`" for one in RECIPES if one.older_limits is not None)
    older = INT8_BY_TENSOR
    lines += [
        "",
        f"In the I/O mode `strings`, whose runtime has int8 with one scale for a whole matrix only, {by_tensor} are"
        f" allowed a divergence of {older.divergence:g}, a top-1 agreement of {older.top1_agreement * 100:g} % and"
        f" {older.perplexity_ratio:g} times Keras's perplexity.",
    ]
    return "\n".join(lines) + "\n"


def error_page() -> str:
    """Every error by exit code."""
    lines = [
        HEADER,
        "# Errors\n",
        "Every error is one sentence on stderr that says what happened and what to do next. Its number is the exit"
        ' code; with `--json`, stdout holds `{"error": {"code", "exit_code", "message"}}`. A job that was waited for'
        " and failed gives 11, and its own error's number stands in the job's JSON.\n",
    ]
    lines += _table(
        ("exit code", "code", "when", "tried again by itself"),
        [
            (
                str(cls.exit_code),
                f"`{cls.code()}`",
                (cls.__doc__ or "").strip(),
                "yes" if cls.retryable else "",
            )
            for cls in errors.all_errors()
        ],
    )
    return "\n".join(lines) + "\n"


def http_page() -> str:
    """Every operation of the HTTP API with its parameters."""
    from server.app import make_app
    from server.settings import ServerSettings

    # The application opens its farm's database when it is made.
    with tempfile.TemporaryDirectory() as home:
        described = make_app(Settings(home=Path(home)), ServerSettings()).openapi()
    lines = [
        HEADER,
        "# HTTP API\n",
        "[Server](server.md) explains tokens, scopes and quotas. Send the token as `Authorization: Bearer TOKEN`."
        " An error is a problem document (RFC 9457) whose `code` is one of [these](errors.md)."
        " A running farm serves its whole description at `/openapi.json`.\n",
    ]
    rows = []
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            parameters = ", ".join(f"`{one['name']}`" for one in operation.get("parameters", ()))
            rows.append((f"`{method.upper()} {path}`", " ".join(operation.get("description", "").split()), parameters))
    lines += _table(("operation", "what it does", "parameters"), rows)
    return "\n".join(lines) + "\n"


def metadata_page() -> str:
    """Everything that a model's metadata may say to the farm."""
    lines = [
        HEADER,
        "# The metadata key `farm`\n",
        "A model says how it wants to be used in `metadata.json` (in its folder, or inside the `.keras` file), below"
        " the key `farm`. KerasHub ignores the key. All fields are optional; an unknown one is refused.\n",
        "```json",
        json.dumps(
            {"farm": {"mode": "instruct", "prompt_template": "Q: {prompt}\nA:", "licence": "MIT", "recipe": "int8"}}
        ),
        "```\n",
        "## How the model is spoken to\n",
        "Read by the conversion, wherever the model comes from. `farm submit` goes first where it has the option.\n",
    ]
    lines += _table(("field", "type", "meaning"), [(f"`{name}`", *text) for name, text in _OF_THE_MODEL.items()])
    lines += [
        "",
        "## Options of `farm submit`\n",
        "Read by `farm submit` from a local model, and by a server from an uploaded one where a request leaves the"
        " option out. The command line or the request goes first, then `farm.toml`, then the metadata."
        " Where an option names a file, the field holds the file's content. What a model from elsewhere must not decide"
        " is refused: " + ", ".join(f"`{name}`" for name, each in FIELDS.items() if not each.option.of_model) + ".\n",
    ]
    fields = [each for name, each in FIELDS.items() if each.option.of_model and name not in _OF_THE_MODEL]
    lines += _table(
        ("field", "option", "type", "meaning"),
        [(f"`{each.name}`", f"`{each.flags[0]}`", json_type(each), each.help) for each in fields],
    )
    lines += ["", "`farm.toml` takes the same fields, and those that a model must not set ([more](server.md))."]
    return "\n".join(lines) + "\n"


_OF_THE_MODEL = {
    "mode": ("`complete` or `instruct`", "continue the text (default), or answer a question"),
    "prompt_template": (
        f"text with `{PLACE}` once, at most {LONGEST_TEMPLATE} characters",
        "what the model reads in the mode `instruct`",
    ),
    "prompts": (f"at most {MOST_SUGGESTIONS} lines of {LONGEST_SUGGESTION} characters", "suggestions in the app"),
    "licence": (f"one line of at most {LONGEST_LICENCE} characters", "the model's licence, in the app and its card"),
}


def json_type(field: OptionField) -> str:
    """What the option is in JSON and TOML."""
    if field.option.repeated:
        return "list of texts"
    if isinstance(field.default, tuple):
        return "list of numbers"
    return {bool: "true or false", int: "number", str: "text"}[field.kind]


def _common_rules() -> list[str]:
    names = ", ".join(f"`{name}`" for name in PUBLISHED)
    return [
        "## For all commands\n",
        "* A job's id may be shortened to any beginning that no other job has.",
        "* `farm --profile NAME COMMAND` talks to the farm of that profile, `FARM_PROFILE` and the `default` in"
        " `farm.toml` do so for all; `local` is this machine ([more](server.md)).",
        "* `--json` prints one JSON value on stdout and asks nothing; sentences for people go to stderr.",
        "* Results go to stdout, progress and remarks to stderr. Colours and the live display appear on a terminal"
        " only; `NO_COLOR` switches colours off, `CI` the live display.",
        "* Exit codes: 0 success, 2 a wrong command line, 11 the job that was waited for failed, 12 it was cancelled,"
        " 13 the waiting was broken off; [all others](errors.md) name one error each.",
        f"* A job's files are called {names}; `{MEASUREMENTS}` comes with them once a phone has measured its model.",
        "* `farm --install-completion` makes the shell complete commands, options, job ids and recipes;"
        " `farm --version` prints the version.\n",
    ]


def _command_section(name: str, command: TyperCommand) -> list[str]:
    context = typer.Context(command, info_name=f"farm {name}")
    lines = [f"## farm {name}\n", "```", command.get_usage(context).removeprefix("Usage: "), "```\n"]
    lines.append((command.help or "").strip() + "\n")
    groups: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.params:
        rows = groups.setdefault(getattr(parameter, "rich_help_panel", None) or "", [])
        if isinstance(parameter, TyperArgument):
            rows.append((f"`{parameter.metavar or parameter.name}`", parameter.help or ""))
        elif isinstance(parameter, TyperOption):
            rows.append((_option(parameter), _option_help(parameter)))
    for group, rows in groups.items():
        head = f"{group}: argument or option" if group else "argument or option"
        lines += [*_table((head, "what it does"), rows), ""]
    return lines


def _option(option: TyperOption) -> str:
    value = "" if option.is_flag else f" {option.metavar or (option.name or '').upper()}"
    names = ", ".join(f"`{name}{value}`" for name in option.opts)
    return " / ".join([names, *(f"`{name}`" for name in option.secondary_opts)])


def _option_help(option: TyperOption) -> str:
    text = option.help or ""
    if option.show_default and not option.is_flag and option.default is not None:
        text = f"{text.rstrip('.')} (default: {option.default})."
    return text


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join(' --- ' for _ in head)}|"]
    return lines + [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]


def main(folder: Path = DOCS) -> None:
    """Write all pages."""
    for path, text in pages().items():
        (folder / path).write_text(text)
        sys.stderr.write(f"{folder / path}\n")


if __name__ == "__main__":
    main()
