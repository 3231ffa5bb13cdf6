"""What was known before: the fingerprints in an earlier JSON report, so that only new faults fail."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wsaudit.errors import UsageError

SCHEMA = "wsaudit.report/1"


def load_report(path: Path, shown: str | None = None) -> dict[str, Any]:
    """A JSON report of schema wsaudit.report/1. UsageError names `shown`, line and column when it is anything else."""
    shown = shown or str(path)
    try:
        document = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{shown}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{shown}: byte {error.start}: not UTF-8") from error
    except json.JSONDecodeError as error:
        raise UsageError(f"{shown}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from error
    except RecursionError as error:
        raise UsageError(f"{shown}: nested too deeply for a report") from error
    check_shape(document, shown)
    return document  # type: ignore[no-any-return]


def check_shape(document: object, shown: str) -> None:
    """Refuse what is no report, or one of another version: its fingerprints would match nothing and every fault would look
    new."""
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, str) or not schema.startswith("wsaudit.report/"):
        raise UsageError(f"{shown}: not a wsaudit report; make one with `wsaudit audit CAPTURE -f json -o {shown}`")
    if schema != SCHEMA:
        raise UsageError(f"{shown}: schema {schema}, but this wsaudit reads {SCHEMA}; make it again with --update-baseline")
    assert isinstance(document, dict)
    for key, kind in (("findings", list), ("summary", dict), ("connections", list)):
        if not isinstance(document.get(key), kind):
            raise UsageError(f"{shown}: {key} is missing or of the wrong type")
    for index, finding in enumerate(document["findings"]):
        if not isinstance(finding, dict) or not isinstance(finding.get("fingerprint"), str):
            raise UsageError(f"{shown}: findings[{index}] has no fingerprint")


def fingerprints(report: Mapping[str, Any]) -> frozenset[str]:
    """The faults that `report` knows. One that could not be verified then accuses nobody, so it excuses nobody now."""
    return frozenset(each["fingerprint"] for each in report["findings"] if each.get("verdict") != "unverifiable")
