"""What lets versions run beside each other: which worker was seen when, and which worker can do a job."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("format", sa.Integer, nullable=False, server_default="1"))
    op.add_column("workers", sa.Column("seen_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("workers", "seen_at")
    op.drop_column("jobs", "format")
