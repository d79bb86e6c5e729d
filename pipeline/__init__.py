"""The work of a job: what a stage does with files. Never reads or writes the database."""
