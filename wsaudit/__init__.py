"""wsaudit: why did this WebSocket connection end, and whose fault was it? A passive analyzer for captured sessions.

import wsaudit
report = wsaudit.audit("incident.pcapng", keylog="keys.log")
report.connections      # a pandas DataFrame, one row per connection
report.to_dict()        # the JSON report
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from wsaudit.model import Finding
    from wsaudit.options import Limits, Options
    from wsaudit.report.report import Report
    from wsaudit.rules.rule import CATALOGUE as RULES

__version__ = "0.1.0"
__all__ = ["Finding", "Options", "RULES", "Report", "__version__", "audit"]

# Imported on first touch: `wsaudit --help` must not pay for what it does not use.
_LAZY = {
    "Finding": ("wsaudit.model", "Finding"),
    "Options": ("wsaudit.options", "Options"),
    "RULES": ("wsaudit.rules.rule", "CATALOGUE"),
    "Report": ("wsaudit.report.report", "Report"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _LAZY[name]
    return getattr(import_module(module), attribute)


def audit(
    captures: Any,
    *,
    keylog: str | Path | Sequence[str | Path] = (),
    ports: Sequence[int] = (),
    client_net: Sequence[str] = (),
    jobs: int = 1,
    midstream: bool = True,
    frames: bool = False,
    payload: bool = False,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    severities: Mapping[str, str] | None = None,
    signatures: str | Path | None = None,
    limits: Limits | None = None,
) -> Report:
    """Audit captures and return the report.

    `captures`: a path, a folder, `-` (standard input), bytes, an open binary file, a list of scapy packets, or a list of any of
    these but the last (audited as one, in packet-time order). `keylog`: NSS key log files. `ports`: server ports to look at,
    all by default. `frames`: keep every frame, for `report.frames` and `report.messages`. `payload`: show in the tables what is
    redacted otherwise: tokens, cookies, query values.

    Raises InputError if nothing could be read; an input of several that could not be read is named in `report.inputs`.
    """
    from pathlib import Path

    from wsaudit.engine import run
    from wsaudit.errors import InputError
    from wsaudit.options import Limits, Options
    from wsaudit.report.report import Report

    options = Options(
        keylogs=tuple(Path(k) for k in ([keylog] if isinstance(keylog, (str, Path)) else keylog)),
        ports=tuple(ports),
        client_nets=tuple(client_net),
        jobs=jobs,
        midstream=midstream,
        frames=frames,
        payload=payload,
        select=tuple(select),
        ignore=tuple(ignore),
        severities=dict(severities or {}),
        signatures=Path(signatures) if signatures is not None else None,
        limits=limits or Limits(),
    )
    report = Report(run(as_list(captures), options), options)
    if report.unread and len(report.unread) == len(report.audit.inputs):
        first = report.unread[0]
        raise InputError(first.path, first.error or "cannot be read")
    return report


def as_list(captures: Any) -> list[Any]:
    """What a caller may name as captures, as a list of what the capture layer reads."""
    if isinstance(captures, (str, bytes, bytearray, memoryview, os.PathLike)) or hasattr(captures, "read"):
        return [captures]
    items = list(captures)
    if items and hasattr(items[0], "layers") and hasattr(items[0], "time"):  # scapy packets
        from wsaudit.net.scapy_packets import as_pcap

        return [as_pcap(items)]
    return items
