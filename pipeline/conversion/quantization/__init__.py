"""How weights become small integers: the formats of a file, and the rounding to them.

`formats` describes each weight format once; `rounding` makes the stored rows of float32 ones.
"""
