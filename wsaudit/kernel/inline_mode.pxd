"""The compiled form of mode.py."""

cdef enum:
    COMPILED = 1
