"""Opening, migrating and refusing databases."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from db import session
from db.models import Base, ModelDigest, Worker
from db.session import Database, alembic_config, now, open_database
from farm.errors import DatabaseUnusable, FarmError, SettingsInvalid


def test_migrations_make_what_the_models_say(database: Database) -> None:
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        indexes = {index["name"] for index in sa.inspect(connection).get_indexes("jobs")}
    by_state = {"ix_jobs_queue", "ix_jobs_lease", "ix_jobs_state_created_at", "ix_jobs_state_queue"}
    assert indexes == by_state | {"ix_jobs_created_at", "uq_jobs_key_shared"}


def test_head_is_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == session.HEAD


# Columns were renamed before the first release, when there was no earlier version beside which to run.
RENAMES = frozenset({"0007"})


def test_an_upgrade_only_adds(database: Database) -> None:
    """Workers of the version before go on while the database is already of the next."""
    config = alembic_config()
    revisions = [each.revision for each in ScriptDirectory.from_config(config).walk_revisions()][::-1]

    def columns() -> dict[tuple[str, str], bool]:
        """Every column, and whether an insert may leave it out."""
        with database.read() as connection:
            inspector = sa.inspect(connection)
            return {
                (table, column["name"]): column["nullable"] or column["default"] is not None
                for table in inspector.get_table_names()
                for column in inspector.get_columns(table)
            }

    def go_to(step: str, revision: str) -> None:
        with database.write() as connection:
            config.attributes["connection"] = connection
            getattr(command, step)(config, revision)

    go_to("downgrade", revisions[0])
    before = columns()
    for revision in revisions[1:]:
        go_to("upgrade", revision)
        after = columns()
        tables = {table for table, _ in before}
        if revision in RENAMES:
            before = after
            continue
        assert set(before) <= set(after), f"{revision} takes something away"
        added = {place: optional for place, optional in after.items() if place not in before and place[0] in tables}
        assert all(added.values()), f"{revision} adds columns that an older worker does not fill: {added}"
        before = after


def test_an_older_database_is_left_alone_where_one_step_migrates(database: Database) -> None:
    with database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0003'"))
    with pytest.raises(DatabaseUnusable, match=r"revision 0003, .* is needed\); run `farm migrate` once"):
        open_database(database.engine.url.render_as_string(hide_password=False), migrate=False)


def test_downgrade_takes_everything_back(database: Database) -> None:
    config = alembic_config()
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    with database.read() as connection:
        assert sa.inspect(connection).get_table_names() == ["alembic_version"]


def test_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    open_database(f"sqlite:///{tmp_path / 'deep' / 'farm.db'}").close()
    assert (tmp_path / "deep" / "farm.db").exists()


def test_an_open_database_is_opened_again_without_alembic(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "import_module", lambda name: pytest.fail(f"{name} was imported"))
    open_database(str(database.engine.url)).close()


def test_sqlite_is_set_up_for_many_writers(sqlite_database: Database) -> None:
    with sqlite_database.write(durable=True) as connection:
        assert connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(sa.text("PRAGMA synchronous")) == 2
        assert connection.scalar(sa.text("PRAGMA busy_timeout")) == session.BUSY_MILLISECONDS
        assert connection.scalar(sa.text("PRAGMA foreign_keys")) == 1
    with sqlite_database.write() as connection:
        assert connection.scalar(sa.text("PRAGMA synchronous")) == 1


def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    with pytest.raises(RuntimeError), database.write() as connection:
        connection.execute(sa.insert(Worker).values(id="w", process="p", started_at=now()))
        raise RuntimeError
    with database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(Worker)) == 0


def test_moments_come_back_in_utc(database: Database) -> None:
    moment = now()
    with database.write() as connection:
        connection.execute(sa.insert(Worker).values(id="w", process="p", started_at=moment))
    with database.read() as connection:
        assert connection.scalar(sa.select(Worker.started_at)) == moment


def test_a_newer_database_is_refused(database: Database) -> None:
    with database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseUnusable, match="newer version of the farm"):
        open_database(str(database.engine.url))


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "farm.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(DatabaseUnusable, match="file is not a database"):
        open_database(f"sqlite:///{path}")
    assert path.read_bytes() == b"no database at all" * 100


def test_a_folder_in_the_databases_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "farm.db").mkdir()
    with pytest.raises(DatabaseUnusable, match="unable to open"):
        open_database(f"sqlite:///{tmp_path / 'farm.db'}")


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.programs)])
def test_many_open_a_new_database_at_once(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    sqlite = f"sqlite:///{tmp_path / 'farm.db'}"
    url = sqlite if kind == "sqlite" else request.getfixturevalue("postgresql").new_database()
    failures: list[FarmError] = []

    def open_one() -> None:
        try:
            open_database(url).close()
        except FarmError as error:
            failures.append(error)

    threads = [threading.Thread(target=open_one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_replacing_leaves_the_last(database: Database) -> None:
    for digest in ("a", "b"):
        with database.write() as connection:
            rows = [{"reference": name, "digest": digest * 64, "seen_at": now()} for name in ("one", "two")]
            session.replace(connection, ModelDigest, rows)
    with database.read() as connection:
        assert list(connection.scalars(sa.select(ModelDigest.digest))) == ["b" * 64] * 2


@pytest.mark.parametrize("url", ["mysql://farm@127.0.0.1/farm", "postgresql://farm@127.0.0.1/farm", "nonsense"])
def test_a_database_that_the_farm_does_not_know(url: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"FARM_DATABASE_URL .* use postgresql\+psycopg"):
        open_database(url)


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(DatabaseUnusable, match="check FARM_DATABASE_URL and that the server runs"):
        open_database("postgresql+psycopg://farm@127.0.0.1:1/farm")
