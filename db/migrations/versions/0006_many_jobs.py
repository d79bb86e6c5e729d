"""Pages of jobs of one state, and the count of each queue, without a look at every job."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_jobs_state_created_at", "jobs", ["state", "created_at"])
    op.create_index("ix_jobs_state_queue", "jobs", ["state", "queue"])


def downgrade() -> None:
    op.drop_index("ix_jobs_state_queue", "jobs")
    op.drop_index("ix_jobs_state_created_at", "jobs")
