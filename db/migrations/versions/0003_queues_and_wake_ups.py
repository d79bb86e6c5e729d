"""Which kind of worker a job waits for, and the outbox of wake-ups for a broker."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ID = sa.String(10)
NAME = sa.String(64)


def upgrade() -> None:
    op.add_column("jobs", sa.Column("queue", NAME, nullable=False, server_default="convert"))
    op.add_column("jobs", sa.Column("woken_at", MOMENT))
    op.create_index("ix_jobs_lease", "jobs", ["state", "lease_until"])
    op.create_table(
        "outbox",
        sa.Column("id", WHOLE, nullable=False, autoincrement=True),
        sa.Column(
            "job_id", ID, sa.ForeignKey("jobs.id", name="fk_outbox_job_id_jobs", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("queue", NAME, nullable=False),
        sa.Column("started", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
    )


def downgrade() -> None:
    op.drop_table("outbox")
    op.drop_index("ix_jobs_lease", "jobs")
    op.drop_column("jobs", "woken_at")
    op.drop_column("jobs", "queue")
