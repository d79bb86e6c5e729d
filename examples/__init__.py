"""Models that the repository can make by itself, from text that every machine has."""
