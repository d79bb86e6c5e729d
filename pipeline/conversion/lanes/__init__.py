"""The lanes: how text gets in and out of a converted model. One module each, chosen by the job's spec."""

from pipeline.conversion.lanes.selection import find_graph, foreign_operators, require_usable

__all__ = ["find_graph", "foreign_operators", "require_usable"]
