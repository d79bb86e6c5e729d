"""The option `--profile` of the `farm` command: where its value is left for the command, and its variable."""

from __future__ import annotations

META_KEY = "cli.profile_option"
VARIABLE = "FARM_PROFILE"
