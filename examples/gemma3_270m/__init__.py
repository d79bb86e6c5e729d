"""Gemma 3 270M, made from wheels that hold it as a GGUF file; for tests on one's own machine."""
