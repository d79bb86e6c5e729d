"""Alembic's scripts: one file a change of the tables, the same for every database."""
