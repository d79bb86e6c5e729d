"""The first tables: jobs with their stages, attempts, artifacts, metrics and events; results by stage key; workers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Spelled out here and not taken from db.models: a migration says what was true when it was written.
MOMENT = sa.DateTime(timezone=True)
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ID = sa.String(10)
DIGEST = sa.String(64)
NAME = sa.String(64)
SHARING = sa.text("state IN ('queued', 'running', 'succeeded') AND shareable")


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", ID, nullable=False),
        sa.Column("key", DIGEST, nullable=False),
        sa.Column("state", NAME, nullable=False),
        sa.Column("shareable", sa.Boolean, nullable=False),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("recipe", NAME, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("queued_at", MOMENT, nullable=False),
        sa.Column("started_at", MOMENT),
        sa.Column("finished_at", MOMENT),
        sa.Column("attempt", WHOLE, nullable=False),
        sa.Column("charged", WHOLE, nullable=False),
        sa.Column("worker_id", ID),
        sa.Column("lease_until", MOMENT),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("error_code", NAME),
        sa.Column("error_sentence", sa.Text),
        sa.Column("notes", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_created_at", "jobs", ["created_at"])
    op.create_index("ix_jobs_queue", "jobs", ["state", "queued_at", "id"])
    op.create_index("uq_jobs_key_shared", "jobs", ["key"], unique=True, sqlite_where=SHARING, postgresql_where=SHARING)
    op.create_table(
        "job_stages",
        _job_id("job_stages"),
        sa.Column("name", NAME, nullable=False),
        sa.Column("position", WHOLE, nullable=False),
        sa.Column("state", NAME, nullable=False),
        sa.Column("key", DIGEST),
        sa.Column("share", sa.Double, nullable=False),
        sa.Column("doing", sa.Text, nullable=False),
        sa.Column("note", sa.Text),
        sa.Column("attempt", WHOLE),
        sa.Column("seconds", sa.Double),
        sa.Column("peak_bytes", WHOLE),
        sa.PrimaryKeyConstraint("job_id", "name", name="pk_job_stages"),
    )
    op.create_table(
        "attempts",
        _job_id("attempts"),
        sa.Column("number", WHOLE, nullable=False, autoincrement=False),
        sa.Column("worker_id", ID, nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
        sa.Column("charged", sa.Boolean, nullable=False),
        sa.Column("error_code", NAME),
        sa.Column("reason", sa.Text),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_attempts"),
    )
    op.create_table(
        "artifacts",
        _job_id("artifacts"),
        sa.Column("name", NAME, nullable=False),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("size", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("job_id", "name", name="pk_artifacts"),
    )
    op.create_table(
        "metrics",
        _job_id("metrics"),
        sa.Column("stage", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("value", sa.Double, nullable=False),
        sa.Column("unit", NAME, nullable=False),
        sa.PrimaryKeyConstraint("job_id", "stage", "name", name="pk_metrics"),
    )
    op.create_table(
        "events",
        sa.Column("id", WHOLE, nullable=False, autoincrement=True),
        _job_id("events"),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("kind", NAME, nullable=False),
        sa.Column("stage", NAME),
        sa.Column("message", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    op.create_index("ix_events_job_id_id", "events", ["job_id", "id"])
    op.create_table(
        "stage_results",
        sa.Column("key", DIGEST, nullable=False),
        sa.Column("stage", NAME, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("peak_bytes", WHOLE),
        sa.Column("outputs", sa.JSON, nullable=False),
        sa.Column("result", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_stage_results"),
    )
    op.create_index("ix_stage_results_stage_created_at", "stage_results", ["stage", "created_at"])
    op.create_table(
        "workers",
        sa.Column("id", ID, nullable=False),
        sa.Column("process", sa.Text, nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )
    op.create_table(
        "models",
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("reference", name="pk_models"),
    )
    op.create_table(
        "file_digests",
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("size", WHOLE, nullable=False),
        sa.Column("mtime_ns", WHOLE, nullable=False),
        sa.Column("inode", WHOLE, nullable=False),
        sa.Column("digest", DIGEST, nullable=False),
        sa.PrimaryKeyConstraint("path", name="pk_file_digests"),
    )


def downgrade() -> None:
    for table in (
        "file_digests", "models", "workers", "stage_results", "events", "metrics", "artifacts", "attempts",
        "job_stages", "jobs",
    ):  # fmt: skip
        op.drop_table(table)


def _job_id(table: str) -> sa.Column[str]:
    """The column that belongs to a job and goes with it."""
    key = sa.ForeignKey("jobs.id", name=f"fk_{table}_job_id_jobs", ondelete="CASCADE")
    return sa.Column("job_id", ID, key, nullable=False)
