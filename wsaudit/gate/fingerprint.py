"""The identity of a fault across captures; it is made where reports are made."""

from __future__ import annotations

from wsaudit.report.fingerprint import fingerprint

__all__ = ["fingerprint"]
