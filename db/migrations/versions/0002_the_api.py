"""What the API needs: tokens, who made a job, uploads, webhooks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ID = sa.String(10)
DIGEST = sa.String(64)
NAME = sa.String(64)


def upgrade() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("hash", DIGEST, nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT),
        sa.Column("max_queued", WHOLE),
        sa.Column("max_running", WHOLE),
        sa.Column("max_bytes", WHOLE),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
    )
    op.create_index("uq_tokens_hash", "tokens", ["hash"], unique=True)
    op.create_table(
        "job_owners",
        _job_id("job_owners"),
        _token_id("job_owners"),
        sa.PrimaryKeyConstraint("job_id", name="pk_job_owners"),
    )
    op.create_index("ix_job_owners_token_id", "job_owners", ["token_id"])
    op.create_table(
        "uploads",
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("size", WHOLE, nullable=False),
        _token_id("uploads"),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("completed_at", MOMENT),
        sa.PrimaryKeyConstraint("digest", name="pk_uploads"),
    )
    op.create_index("ix_uploads_token_id", "uploads", ["token_id"])
    op.create_table(
        "uploaded_models",
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("size", WHOLE, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_uploaded_models"),
    )
    op.create_table(
        "webhooks",
        sa.Column("id", WHOLE, nullable=False, autoincrement=True),
        _job_id("webhooks"),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("secret", sa.Text),
        sa.Column("tries", WHOLE, nullable=False),
        sa.Column("next_at", MOMENT),
        sa.Column("delivered", sa.Boolean, nullable=False),
        sa.Column("outcome", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
    )
    op.create_index("ix_webhooks_next_at", "webhooks", ["next_at"])
    op.create_index("ix_webhooks_job_id", "webhooks", ["job_id"])


def downgrade() -> None:
    for table in ("webhooks", "uploaded_models", "uploads", "job_owners", "tokens"):
        op.drop_table(table)


def _job_id(table: str) -> sa.Column[str]:
    """The column that belongs to a job and goes with it."""
    key = sa.ForeignKey("jobs.id", name=f"fk_{table}_job_id_jobs", ondelete="CASCADE")
    return sa.Column("job_id", ID, key, nullable=False)


def _token_id(table: str) -> sa.Column[str]:
    """The token on whose account it goes; a revoked token stays in its table."""
    return sa.Column("token_id", ID, sa.ForeignKey("tokens.id", name=f"fk_{table}_token_id_tokens"), nullable=False)
