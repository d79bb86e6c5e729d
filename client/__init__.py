"""The farm as a Python library: one Protocol, and the embedded farm that fulfils it."""
