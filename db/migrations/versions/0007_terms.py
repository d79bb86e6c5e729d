"""The field's terms: columns, stage names and job settings are called what the code calls them.

Results of stages are dropped: their keys name sources that are gone, and what they made stays with its jobs.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

COLUMNS = (
    ("jobs", "charged", "counted_attempts"),
    ("attempts", "charged", "counted"),
    ("job_stages", "share", "progress"),
    ("job_stages", "doing", "activity"),
)
STAGES = (("twin", "reference-run"), ("host", "jvm-check"), ("development", "sdk"))
STAGE_COLUMNS = (("job_stages", "name"), ("metrics", "stage"), ("events", "stage"))
ARTIFACTS = (("twin.json", "reference-run.json"),)


def upgrade() -> None:
    _rename(COLUMNS, STAGES, ARTIFACTS, ("lane", "io_mode"))


def downgrade() -> None:
    columns = tuple((table, new, old) for table, old, new in COLUMNS)
    _rename(columns, _swap(STAGES), _swap(ARTIFACTS), ("io_mode", "lane"))


def _swap(names: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple((new, old) for old, new in names)


def _rename(
    columns: tuple[tuple[str, str, str], ...],
    stages: tuple[tuple[str, str], ...],
    artifacts: tuple[tuple[str, str], ...],
    setting: tuple[str, str],
) -> None:
    for table, old, new in columns:
        op.alter_column(table, old, new_column_name=new)
    connection = op.get_bind()
    connection.execute(sa.table("stage_results").delete())
    for table, column in STAGE_COLUMNS:
        _replace(connection, table, column, stages)
    _replace(connection, "artifacts", "name", artifacts)
    jobs = sa.table("jobs", sa.column("id"), sa.column("spec", sa.JSON))
    old, new = setting
    for job_id, spec in connection.execute(sa.select(jobs.c.id, jobs.c.spec)).all():
        spec = json.loads(spec) if isinstance(spec, str) else spec
        if old in spec:
            spec[new] = spec.pop(old)
            connection.execute(jobs.update().where(jobs.c.id == job_id).values(spec=spec))


def _replace(connection: sa.Connection, table: str, column: str, names: tuple[tuple[str, str], ...]) -> None:
    rows = sa.table(table, sa.column(column))
    for old, new in names:
        connection.execute(rows.update().where(rows.c[column] == old).values({column: new}))
