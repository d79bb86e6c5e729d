"""The database gets an id, which its store repeats; unknown files get a grace; uploads belong to a token each.

Files that were uploaded before stay with their tokens; models that they made up are announced again by their owners,
which sends nothing.
"""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
DIGEST = sa.String(64)
WHOLE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    identity = op.create_table(
        "farm_identity", sa.Column("id", sa.String(32), nullable=False), sa.PrimaryKeyConstraint("id")
    )
    op.bulk_insert(identity, [{"id": secrets.token_hex(16)}])
    op.create_table(
        "unknown_files",
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "token_uploads",
        _token_id("token_uploads"),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("size", WHOLE, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("completed_at", MOMENT),
        sa.PrimaryKeyConstraint("token_id", "digest"),
    )
    op.create_table(
        "token_models",
        _token_id("token_models"),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("size", WHOLE, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("token_id", "digest"),
    )
    op.execute(
        "INSERT INTO token_uploads (token_id, digest, size, created_at, completed_at)"
        " SELECT token_id, digest, size, created_at, completed_at FROM uploads"
    )


def downgrade() -> None:
    for table in ("token_models", "token_uploads", "unknown_files", "farm_identity"):
        op.drop_table(table)


def _token_id(table: str) -> sa.Column[str]:
    key = sa.ForeignKey("tokens.id", name=f"fk_{table}_token_id_tokens")
    return sa.Column("token_id", sa.String(10), key, nullable=False)
