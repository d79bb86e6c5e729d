"""What phones measured with a job's model."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "measurements",
        sa.Column(
            "job_id",
            sa.String(10),
            sa.ForeignKey("jobs.id", name="fk_measurements_job_id_jobs", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("device", sa.String(80), nullable=False),
        sa.Column("taken_in_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("job_id", "device", name="pk_measurements"),
    )


def downgrade() -> None:
    op.drop_table("measurements")
