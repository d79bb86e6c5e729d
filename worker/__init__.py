"""Runs jobs: the supervisor, the stage processes and their sandbox, and the stages' work itself."""
