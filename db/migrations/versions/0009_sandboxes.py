"""Jobs say whether they need a sandbox, workers whether they have one and which jobs their version can do."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# What the newest version without these columns can do.
LAST_FORMAT = "5"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("sandbox", sa.String(64), nullable=False, server_default="auto"))
    op.add_column("workers", sa.Column("format", sa.Integer, nullable=False, server_default=LAST_FORMAT))
    op.add_column("workers", sa.Column("confines", sa.Boolean, nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("workers", "confines")
    op.drop_column("workers", "format")
    op.drop_column("jobs", "sandbox")
