"""Opening the database: connections, transactions, and the migration to this version's tables."""

from __future__ import annotations

import fcntl
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import ConnectionPoolEntry

from farm.errors import DatabaseUnusable, DiskFull, SettingsInvalid

# The newest migration. Known here without Alembic, whose import would cost every command a fifth of a second.
HEAD = "0009"
BUSY_MILLISECONDS = 60_000
# Less than SQLite needs for the smallest change.
NO_ROOM_BYTES = 1 << 20
# PostgreSQL's advisory locks: the farm's own number, and what is locked.
_LOCKS = 0x6661726D
MIGRATION, WORKERS = 1, 2
# A broken constraint or a wrong statement must not pass for a database that cannot be used.
OUR_FAULTS = (sa.exc.IntegrityError, sa.exc.ProgrammingError, sa.exc.InterfaceError, sa.exc.DataError)


def now() -> datetime:
    """This moment in UTC."""
    return datetime.now(UTC)


def moment(connection: Connection) -> datetime:
    """This moment by the database's clock, by which leases are kept: those of machines may differ by minutes.

    A SQLite database is used by one machine, whose clock it is.
    """
    if connection.dialect.name != "postgresql":
        return now()
    return connection.execute(sa.select(sa.func.clock_timestamp(type_=sa.DateTime(timezone=True)))).scalar_one()


class Database:
    """An open database of this version. Threads may share it; a process that forks must open its own.

    announcing: whether a job that is queued is put into the outbox too, for a broker.
    """

    def __init__(self, engine: Engine, *, announcing: bool = False) -> None:
        self.engine = engine
        self.announcing = announcing

    @property
    def one_writer(self) -> bool:
        """Whether write transactions come one after the other, as in SQLite."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database and changes nothing."""
        with _translated(self.engine), self.engine.connect() as connection:
            if self.one_writer:
                connection = connection.execution_options(farm_begin="BEGIN")
            else:
                connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            yield connection
            connection.rollback()

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[Connection]:
        """A transaction that changes things; commits at the end of the block, rolls back when it raises.

        durable: the commit survives a power cut, as what is acknowledged to somebody must. Any commit survives the
        death of the process, and a durable one makes those before it durable too. In PostgreSQL every commit is
        durable: its server can die alone, and a claim that it forgot would give the fence's number to two workers.
        """
        with _translated(self.engine), self.engine.connect() as connection:
            connection = connection.execution_options(
                farm_begin="BEGIN IMMEDIATE", farm_synchronous="FULL" if durable else "NORMAL",
                farm_announcing=self.announcing,
            )  # fmt: skip
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()


def open_database(url: str, *, announcing: bool = False, migrate: bool = True) -> Database:
    """Open the database and bring it to this version; DatabaseUnusable when that cannot be done, SettingsInvalid.

    announcing: see Database. migrate: whether an older database may be changed; else it is refused.
    """
    engine = _engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    database = Database(engine, announcing=announcing)
    with ExitStack() as failing:
        failing.callback(database.close)
        with _migration_lock(engine, fcntl.LOCK_SH):
            ready = _revision(database) == HEAD
        if not ready:
            _migrate(database, allowed=migrate)
        failing.pop_all()
    return database


def take_turns(connection: Connection, subject: int) -> None:
    """Until this transaction ends, be the only one that takes this turn; in SQLite a writer is alone anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCKS, subject)))


def replace(connection: Connection, table: type[DeclarativeBase], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert these rows, each in place of the one with its primary key, also while others do the same."""
    if rows:
        keys, columns = _primary_key(table), tuple(rows[0])
        # In one order everywhere, so that two that replace the same rows do not wait for each other.
        ordered = sorted(rows, key=lambda row: [str(row[key]) for key in keys])
        connection.execute(_replacement(table, columns, connection.dialect.name), ordered)


def _primary_key(table: type[DeclarativeBase]) -> tuple[str, ...]:
    return tuple(column.name for column in sa.inspect(table).primary_key)


@cache
def _replacement(table: type[DeclarativeBase], columns: tuple[str, ...], dialect: str) -> sa.Executable:
    keys = _primary_key(table)
    changed = [column for column in columns if column not in keys]
    if dialect == "postgresql":
        for_postgresql = postgresql.insert(table)
        return for_postgresql.on_conflict_do_update(
            index_elements=keys, set_={column: for_postgresql.excluded[column] for column in changed}
        )
    for_sqlite = sqlite.insert(table)
    return for_sqlite.on_conflict_do_update(
        index_elements=keys, set_={column: for_sqlite.excluded[column] for column in changed}
    )


def _engine(url: str) -> Engine:
    try:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() == "sqlite":
            if parsed.database:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            return sa.create_engine(parsed)
        if parsed.drivername != "postgresql+psycopg":
            raise SettingsInvalid(
                f"FARM_DATABASE_URL names the database {parsed.drivername}, which the farm does not know; use"
                " postgresql+psycopg:// or sqlite:///."
            )
        # A connection is tried before it is used, so that a restarted server is met with a new one.
        return sa.create_engine(parsed, pool_pre_ping=True)
    except sa.exc.ArgumentError as error:
        raise SettingsInvalid(
            "FARM_DATABASE_URL is no database URL; use postgresql+psycopg:// or sqlite:///."
        ) from error
    except ModuleNotFoundError as error:
        raise SettingsInvalid(
            f"The database needs the package {error.name}; install keras-android-farm[server]."
        ) from error


def _prepare_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    # The driver would begin transactions by itself, and late; `_begin_sqlite` does it instead.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101 # listened to on SQLite engines only
    if synchronous := options.get("farm_synchronous"):
        driver.execute(f"PRAGMA synchronous = {synchronous}")
    driver.execute(options.get("farm_begin", "BEGIN IMMEDIATE"))


def _revision(database: Database) -> str | None:
    """The revision that the database is at; None when it has none yet."""
    with database.read() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        revision: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        return revision


def _migrate(database: Database, *, allowed: bool) -> None:
    # Imported here for the reason given at HEAD.
    command = import_module("alembic.command")
    script = import_module("alembic.script")
    config = alembic_config()
    known = {revision.revision for revision in script.ScriptDirectory.from_config(config).walk_revisions()}
    with _migration_lock(database.engine, fcntl.LOCK_EX):
        revision = _revision(database)
        if revision is not None and revision not in known:
            raise DatabaseUnusable(
                f"The database {database.engine.url.render_as_string()} was written by a newer version of the farm"
                f" (revision {revision}); install that version or set FARM_HOME to another folder."
            )
        if revision != HEAD and not allowed:
            raise DatabaseUnusable(
                f"The database {database.engine.url.render_as_string()} is of an older version of the farm (revision"
                f" {revision or 'none'}, {HEAD} is needed); run `farm migrate` once."
            )
        if revision != HEAD:
            _use_write_ahead_log(database)
            with database.write(durable=True) as connection:
                # Alembic looks at the revision after this, so whoever had to wait finds the work done.
                take_turns(connection, MIGRATION)
                config.attributes["connection"] = connection
                command.upgrade(config, "head")


def alembic_config() -> Any:
    """Alembic's configuration, the same from a checkout and from an installed wheel, in any folder."""
    config = import_module("alembic.config").Config()
    config.set_main_option("script_location", "db:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _use_write_ahead_log(database: Database) -> None:
    """Readers and a writer at once. Kept in the file; the switch wants the database to itself and does not wait."""
    if database.engine.dialect.name == "sqlite":
        database.close()
        with _translated(database.engine), closing(database.engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA journal_mode = WAL")


@contextmanager
def _migration_lock(engine: Engine, kind: int) -> Iterator[None]:
    """One process migrates at a time, while no other is about to open the database."""
    if engine.dialect.name != "sqlite" or not engine.url.database:
        yield
        return
    place = Path(f"{engine.url.database}.migration")
    try:
        lock = place.open("w")
    except OSError as error:
        raise DatabaseUnusable(
            f"The farm cannot write to {place.parent} ({error.strerror}); set FARM_HOME to a folder that you may write."
        ) from error
    with lock:
        fcntl.flock(lock, kind)
        yield


@contextmanager
def _translated(engine: Engine) -> Iterator[None]:
    """What a database cannot do, as one sentence."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        lost = isinstance(error, DBAPIError) and error.connection_invalidated
        if isinstance(error, OUR_FAULTS) and not lost:
            raise
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        # Without a single free byte SQLite can't write its log and calls that an I/O error.
        if "disk is full" in reason or ("disk I/O error" in reason and _no_room(engine)):
            raise DiskFull("The disk that holds the farm's database is full; free some room and try again.") from error
        raise DatabaseUnusable(f"The farm's database cannot be used ({reason}); {_advice(error)}.") from error


def _no_room(engine: Engine) -> bool:
    place = engine.url.database
    return place is not None and shutil.disk_usage(Path(place).parent).free < NO_ROOM_BYTES


def _advice(error: DBAPIError | sqlite3.Error) -> str:
    if isinstance(getattr(error, "orig", error), sqlite3.Error):
        return "check the file in FARM_HOME and its permissions"
    return "check FARM_DATABASE_URL and that the server runs"
