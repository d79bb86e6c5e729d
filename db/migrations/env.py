"""What Alembic runs to apply the migrations: on the connection that `db.session` hands it."""

from __future__ import annotations

from alembic import context

from db.models import Base


def run() -> None:
    """Apply the migrations within the caller's transaction."""
    context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()


run()
