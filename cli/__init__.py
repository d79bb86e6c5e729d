"""The `farm` command: parse, one call in the farm's own words, print."""
