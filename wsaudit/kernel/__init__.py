"""The hot path: packet records → TCP segments → streams → frame headers, without a Python object per packet or per frame.

Every module here is ordinary Python. When a C compiler was there at installation, Cython has compiled the same files with the
augmenting `.pxd` beside each; `compiled()` says which one runs. This `__init__.py` must exist: without it Cython ignores the
`.pxd`.
"""

from __future__ import annotations


def compiled() -> bool:
    """True when the compiled kernel runs, False for plain Python."""
    from wsaudit.kernel import buffer, frames, packets, records, streams

    return not any((module.__file__ or "").endswith(".py") for module in (buffer, frames, packets, records, streams))
