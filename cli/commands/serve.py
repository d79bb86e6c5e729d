"""`farm serve`."""

from __future__ import annotations

import os
import socket
from copy import deepcopy
from typing import Annotated

import typer

from cli.arguments import AsJson
from cli.connection import require_local
from cli.terminal import open_terminal
from farm import settings
from farm.errors import PortInUse, ToolMissing
from farm.log_lines import FORMAT

# Streams of log lines would otherwise keep a process that is to stop.
STOP_SECONDS = 5
KEEP_ALIVE_SECONDS = 15
# More than that get the answer 503 at once instead of the memory of all.
MOST_CONNECTIONS = 1000


def command(
    ctx: typer.Context,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, metavar="PORT", help="On which port.")] = 8765,
    shared: Annotated[
        bool, typer.Option("--shared", help="Show all jobs and models to every token, not only its own.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Offer this machine's farm to others over HTTP.

    Put a proxy that speaks HTTPS in front of it, and make tokens with `farm token create`. Settings: docs/server.md.
    """
    require_local(ctx, "farm serve")
    # No other command needs what it brings, and a farm of one machine does not have it installed.
    try:
        import uvicorn
        from uvicorn.config import LOGGING_CONFIG

        from server import app, connections
        from server import settings as server_settings
    except ModuleNotFoundError as error:
        raise ToolMissing(
            f"The package {error.name} is not installed; run: pip install 'keras-android-farm[server]'"
        ) from error

    chosen = server_settings.load()
    if shared:
        chosen = chosen.model_copy(update={"shared": True})
    require_free(host, port)
    application = app.make_app(settings.load(), chosen)
    logging = deepcopy(LOGGING_CONFIG)
    logging["handlers"]["access"]["stream"] = "ext://sys.stderr"
    logging["formatters"]["farm"] = {"()": "farm.log_lines.OneLine", "fmt": FORMAT}
    logging["handlers"]["farm"] = {"class": "logging.StreamHandler", "formatter": "farm", "stream": "ext://sys.stderr"}
    logging["loggers"]["farm"] = {"handlers": ["farm"], "level": "INFO", "propagate": False}
    if as_json:
        open_terminal(as_json).write_json({"address": host, "port": port})
    uvicorn.run(
        application,
        host=host,
        port=port,
        timeout_graceful_shutdown=STOP_SECONDS,
        server_header=False,
        http=connections.ImpatientProtocol,
        log_config=logging,
        # A connection that has asked nothing for so long is ended.
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        limit_concurrency=MOST_CONNECTIONS,
    )


def require_free(host: str, port: int) -> None:
    """PortInUse unless the farm can listen there."""
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            return
    except OSError as error:
        raise PortInUse(
            f"The farm cannot listen on {host} port {port} ({os.strerror(error.errno or 0)}); stop what does, or choose"
            " --port and --host."
        ) from error
