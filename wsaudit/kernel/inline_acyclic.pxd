"""The compiled form of acyclic.py."""

cdef extern from "Python.h":
    void PyObject_GC_UnTrack(void *made) noexcept


cdef inline void untrack(object made) noexcept:
    PyObject_GC_UnTrack(<void *>made)
