"""The farm's shared vocabulary: what a job is, what can go wrong, where things lie.

Imports neither SQLAlchemy nor TensorFlow, so that every other package may import it.
"""
