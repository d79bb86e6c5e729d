"""Servers for tests: started by hand on loopback in a temporary folder, ended by their process number."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import redis
from amqp.exceptions import AMQPError
from kombu import Connection
from kombu.exceptions import OperationalError


def in_memory() -> str | None:
    """A folder of the memory, where it has one: a test server's files need not outlive the machine."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 # what is made there has a random name


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A server process in a folder of its own, as a user without rights."""

    def __init__(self, name: str, folder: str | None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"farm-{name}-", dir=folder))
        self.port = free_port()
        # PostgreSQL refuses to run as root, and nothing here needs to.
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """What the server needs to know beside its arguments."""
        return {}

    def run_as(self, argv: list[str]) -> subprocess.Popen[bytes]:
        entry = pwd.getpwnam(self._user) if self._user is not None else None
        with (self.folder / "server.log").open("ab") as log:
            return subprocess.Popen(
                argv,
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(self.folder), **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                user=entry.pw_uid if entry is not None else None,
                group=entry.pw_gid if entry is not None else None,
                extra_groups=[] if entry is not None else None,
                start_new_session=True,
            )

    def start(self) -> None:
        self.process = self.run_as(self.command())
        until(self.answers, 90, self.folder / "server.log")

    def stop(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(30)
            self.process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)


class PostgresServer(Server):
    """Debian's PostgreSQL, whichever version is installed.

    In memory and without fsync, which only a power cut could tell: what a killed server has written the kernel still
    has. durable: on the disk and synced, as in earnest.
    """

    def __init__(self, *, durable: bool = False) -> None:
        super().__init__("postgresql", None if durable else in_memory())
        self._durable = durable
        self._programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        argv = [str(self._programs / "initdb"), "--pgdata", str(self.folder / "data"), "--username", "farm"]
        argv += ["--auth", "trust", "--encoding", "UTF8", "--no-sync"]
        assert self.run_as(argv).wait(60) == 0, (self.folder / "server.log").read_text()
        self._databases = 0

    def command(self) -> list[str]:
        options = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "",
                   "fsync": "on" if self._durable else "off", "max_connections": 200}  # fmt: skip
        argv = [str(self._programs / "postgres"), "-D", str(self.folder / "data")]
        return argv + [part for name, value in options.items() for part in ("-c", f"{name}={value}")]

    def answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def execute(self, statement: str) -> None:
        with psycopg.connect(f"postgresql://farm@127.0.0.1:{self.port}/postgres", autocommit=True) as connection:
            connection.execute(statement.encode())

    def new_database(self) -> str:
        """A URL of an empty database."""
        self._databases += 1
        name = f"farm_{self._databases}"
        self.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://farm@127.0.0.1:{self.port}/{name}"

    def stop(self, number: signal.Signals = signal.SIGQUIT) -> None:
        """SIGQUIT is PostgreSQL's own crash: nothing is written any more, and it leaves no process behind."""
        super().stop(number)


class RedisServer(Server):
    """Debian's Redis, with nothing written to the disk unless asked for."""

    def __init__(self) -> None:
        super().__init__("redis", in_memory())

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        return ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no"]

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    def answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False


class RabbitServer(Server):
    """Debian's RabbitMQ, with names, ports, a cookie and a folder of its own.

    Erlang's register of names (epmd) is started here too: the server would leave one behind as a daemon.
    """

    PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")

    def __init__(self) -> None:
        super().__init__("rabbitmq", None)
        self._names_port = free_port()
        self._nodes_port = free_port()
        (self.folder / "plugins").write_text("[].")
        self._names = self.run_as(["epmd", "-port", str(self._names_port), "-address", "127.0.0.1"])

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def command(self) -> list[str]:
        return [str(self.PROGRAM)]

    def environment(self) -> dict[str, str]:
        names = {"NODENAME": "farm@localhost", "NODE_IP_ADDRESS": "127.0.0.1", "NODE_PORT": self.port,
                 "DIST_PORT": self._nodes_port, "MNESIA_BASE": self.folder / "mnesia", "LOG_BASE": self.folder,
                 "LOGS": "-", "ENABLED_PLUGINS_FILE": self.folder / "plugins", "CONFIG_FILE": self.folder / "none",
                 "PID_FILE": self.folder / "pid"}  # fmt: skip
        return {
            "ERL_EPMD_PORT": str(self._names_port), "ERL_EPMD_ADDRESS": "127.0.0.1",
            **{f"RABBITMQ_{name}": str(value) for name, value in names.items()},
        }  # fmt: skip

    def answers(self) -> bool:
        try:
            with Connection(self.url, connect_timeout=1) as connection:
                connection.connect()
        except (OSError, AMQPError, OperationalError):
            return False
        return True

    def stop(self, number: signal.Signals = signal.SIGKILL) -> None:
        # The program is a script that waits for Erlang's machine.
        if self.process is not None:
            os.killpg(self.process.pid, number)
        super().stop(number)
        # The next node of that name is let in once the names' register has seen that this one is gone.
        time.sleep(0.2)

    def close(self) -> None:
        self.stop()
        self._names.kill()
        self._names.wait()
        shutil.rmtree(self.folder)


def until(condition: Callable[[], bool], seconds: float, log: Path) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s\n{log.read_text()[-2000:]}"
        time.sleep(0.02)
