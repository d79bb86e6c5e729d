"""The I/O modes: how text gets in and out of a converted model. One module each, chosen by the job's spec."""

from pipeline.conversion.io_modes.selection import custom_operators, find_graph, require_usable

__all__ = ["custom_operators", "find_graph", "require_usable"]
