"""The `farm` command: its verbs, loaded when they are called, and the one place where errors become text."""

from __future__ import annotations

import importlib
import inspect
import io
import re
import sys
from collections.abc import Sequence
from importlib.metadata import version as distribution_version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from cli import errors, profile_option, word_order
from cli.terminal import open_terminal
from farm import program_output
from farm.errors import FarmError
from farm.loading import gc_paused

DISTRIBUTION = "keras-android-farm"

# Every command, in the order of a job's life, with the line that `farm --help` shows: the first of its docstring.
COMMANDS: dict[str, str] = {
    "submit": "Turn a Keras language model into a verified .tflite and a signed APK.",
    "status": "Show the queue and the last jobs, or everything about one job.",
    "watch": "Wait for a job and show how far it is.",
    "logs": "Print what the stages of a job wrote.",
    "list": "List jobs, the newest first.",
    "cancel": "Stop a job.",
    "retry": "Queue a failed or cancelled job again.",
    "rm": "Delete jobs that have ended, with their logs and the files that no other job has.",
    "download": "Write a job's files here: the app, the model, the tokenizer, the golden prompts, the report.",
    "pictures": "Draw a job's app having answered a prompt, light and dark, in the sizes of a store.",
    "run": "Complete or answer a prompt with a model on this machine.",
    "chat": "Hold a conversation with a model on this machine.",
    "inspect": "Show what is inside a .tflite, a .litertlm or an APK: signatures, operators, tensors, sizes.",
    "ops": "List a model's ops: versions, places, the runtimes and AARs that have them.",
    "aar": "Build the Android library with TensorFlow's ops that a model needs, or find one that was built.",
    "check": "Check whether an APK, a bundle or a library is fit for Google Play and for current phones.",
    "import-metrics": "Take in what a phone measured with a job's app.",
    "recipes": "List the quantization recipes and their limits.",
    "doctor": "Check what this machine has and lacks, each with its fix.",
    "worker": "Run queued jobs in the foreground.",
    "migrate": "Bring the database of this machine's farm to this version.",
    "disk": "Say what takes the space of this machine's farm, and what frees it.",
    "gc": "Forget old jobs of this machine's farm and remove the files that no other job needs.",
    "login": "Remember a farm elsewhere and your token for it.",
    "token": "Make, list or revoke the tokens by which others use this farm.",
    "webhook": "Have addresses told of the end of every job that you submit from here.",
    "serve": "Offer this machine's farm to others over HTTP.",
}


class FarmGroup(TyperGroup):
    """Loads a command's module only when it is called, and turns every error into one sentence and an exit code."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  the signature is Typer's
        """All names."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:  # noqa: ARG002  the signature is Typer's
        """The command's entry in a listing; it has no parameters yet."""
        return TyperCommand(name=cmd_name, help=COMMANDS[cmd_name]) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The real command."""
        name, rest = args[0], args[1:]
        if name in COMMANDS:
            return name, load_command(name), rest
        if ctx.resilient_parsing:
            return None, None, rest
        raise errors.unknown_command(name, self.list_commands(ctx))

    def main(  # noqa: D102  the signature is Typer's
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,  # noqa: ARG002  the signature is Typer's
        **extra: Any,
    ) -> Any:
        words = word_order.arrange(list(sys.argv[1:] if args is None else args), COMMANDS)
        terminal = open_terminal(as_json="--json" in words)
        program_output.shown = False
        try:
            code = super().main(
                words, prog_name or "farm", complete_var, standalone_mode=False, windows_expand_args=False, **extra
            )
        except FarmError as error:
            code = errors.report(error, terminal)
        except TyperException as error:
            context = getattr(error, "ctx", None)
            named = f"farm {words[0]}" if words and words[0] in COMMANDS else "farm"
            code = errors.report(errors.usage(error, context.command_path if context else named), terminal)
        except typer.Abort:
            code = 1
        except Exception as error:  # noqa: BLE001  the boundary: no user ever sees a traceback
            code = errors.report(errors.unexpected(error), terminal)
        finally:
            program_output.shown = True
        if not standalone_mode:
            return code
        sys.exit(code or 0)


app = typer.Typer(
    name="farm",
    cls=FarmGroup,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def show_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        typer.echo(f"farm {distribution_version(DISTRIBUTION)}")
        raise typer.Exit


@app.callback()
def farm(
    ctx: typer.Context,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            envvar=profile_option.VARIABLE,
            help="The farm to talk to, from farm.toml; `local` is this machine.",
            show_default=False,
        ),
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Turns a Keras language model into a verified .tflite and a signed Android app."""
    ctx.meta[profile_option.META_KEY] = profile
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def load_command(name: str) -> TyperCommand:
    """The command of that name with its parameters; imports its module."""
    with gc_paused():
        module = importlib.import_module(f"cli.commands.{name.replace('-', '_')}")
    single = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})
    single.command(name, help=unwrap(inspect.getdoc(module.command) or ""))(module.command)
    command = typer.main.get_command(single)
    assert isinstance(command, TyperCommand)  # noqa: S101  Typer makes a single command of a single function
    return command


def unwrap(text: str) -> str:
    """Each paragraph as one line, for the terminal to wrap."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text)


def main() -> None:
    """The program `farm`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that is not UTF-8 gets "?" and no traceback
    app()


if __name__ == "__main__":
    main()
