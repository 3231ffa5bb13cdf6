"""The report as Python and notebooks hold it: DataFrames, and a writer for each format.

Every table and every file has gone through redaction unless it is lifted: `wsaudit.audit(..., payload=True)` for the tables,
`show_payload=True` for a file.
"""

from __future__ import annotations

from functools import cached_property
from html import escape
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsaudit.engine import Audit, Input
from wsaudit.errors import UsageError
from wsaudit.options import Options
from wsaudit.report.records import Records
from wsaudit.report.redact import ReportLike, redacted

if TYPE_CHECKING:
    import pandas

FRAME_HEIGHT = 900
"""Pixels of a report inside a notebook: its first screen without scrolling."""


class Report:
    """Everything an audit found. `options` are those it was made with, `records` what the renderers read.

    `connections`, `findings`, `incidents`, `frames` and `messages` are pandas DataFrames; docs/tables.md has their columns.
    """

    def __init__(self, audit: Audit, options: Options) -> None:
        self.audit = audit
        self.options = options
        self.records = Records(audit, options)

    # -- tables -------------------------------------------------------------

    @cached_property
    def connections(self) -> pandas.DataFrame:
        """One row per connection."""
        from wsaudit.report.tables import connections_frame

        return connections_frame(self._shown)

    @cached_property
    def findings(self) -> pandas.DataFrame:
        """One row per finding, by connection and packet."""
        from wsaudit.report.tables import findings_frame

        return findings_frame(self._shown)

    @cached_property
    def incidents(self) -> pandas.DataFrame:
        """One row per incident."""
        from wsaudit.report.tables import incidents_frame

        return incidents_frame(self._shown)

    @cached_property
    def frames(self) -> pandas.DataFrame:
        """One row per frame, in the order of the wire. UsageError unless the audit was made with `frames=True`."""
        from wsaudit.report.frames import frames_frame

        return frames_frame(self._logged(), self.records.number_of)

    @cached_property
    def messages(self) -> pandas.DataFrame:
        """One row per message, in the order of their first frames. UsageError unless the audit was made with `frames=True`."""
        from wsaudit.report.frames import messages_frame

        return messages_frame(self._logged(), self.records.number_of)

    # -- parts of the JSON report -------------------------------------------------------------

    @property
    def summary(self) -> dict[str, Any]:
        """Counts over all connections: `summary` in the JSON report."""
        return self.records.summary

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """The captures that were read."""
        return self._shown.inputs

    @property
    def notices(self) -> list[dict[str, Any]]:
        """What limits the evidence."""
        return self._shown.notices

    @property
    def unread(self) -> list[Input]:
        """Inputs of which nothing could be read."""
        return self.records.unread

    # -- formats -------------------------------------------------------------

    def to_dict(self, show_payload: bool = False) -> dict[str, Any]:
        """The JSON report, `wsaudit.report/1`, as a dictionary."""
        return redacted(self.records, show_payload).to_dict()

    def to_text(self, show_payload: bool = False, width: int = 80) -> str:
        """What `wsaudit audit` prints, without colour."""
        from wsaudit.report.text import render_text

        return render_text(redacted(self.records, show_payload), width)

    def to_json(self, path: str | Path, show_payload: bool = False) -> Path:
        """Write the JSON report."""
        from wsaudit.report.json_format import write_json

        stream = StringIO()
        write_json(redacted(self.records, show_payload), stream)
        return written(path, stream.getvalue())

    def to_html(self, path: str | Path, show_payload: bool = False) -> Path:
        """Write the HTML report, one self-contained file."""
        from wsaudit.report.html import render_html

        return written(path, render_html(redacted(self.records, show_payload)))

    def to_markdown(self, show_payload: bool = False) -> str:
        """The report for an issue or a chat."""
        from wsaudit.report.markdown import render_markdown

        return render_markdown(redacted(self.records, show_payload))

    def to_csv(self, folder: str | Path, show_payload: bool = False) -> list[Path]:
        """Write the tables as CSV files into `folder`, which is made if there is none; returns their paths."""
        from wsaudit.report.csv_tables import write_csv

        return write_csv(redacted(self.records, show_payload), Path(folder))

    def to_parquet(self, folder: str | Path, show_payload: bool = False) -> list[Path]:
        """Write the tables as Parquet files into `folder`, as `to_csv` does. UsageError without pyarrow."""
        from wsaudit.report.parquet import write_parquet

        return write_parquet(redacted(self.records, show_payload), Path(folder))

    def to_sarif(self, path: str | Path, show_payload: bool = False) -> Path:
        """Write the findings as SARIF 2.1.0, for code scanning."""
        from wsaudit.report.sarif import render

        return written(path, render(redacted(self.records, show_payload)))

    def to_junit(self, path: str | Path, show_payload: bool = False) -> Path:
        """Write the connections as JUnit test cases, for CI."""
        from wsaudit.report.junit import render

        return written(path, render(redacted(self.records, show_payload)))

    # -- notebooks -------------------------------------------------------------

    def show(self) -> None:
        """Display the HTML report in a notebook. UsageError outside of one: there `to_html` writes a file to open."""
        try:
            from IPython import get_ipython
            from IPython.display import HTML, display
        except ImportError:
            raise UsageError("report.show() needs IPython; report.to_html(path) writes a file that any browser opens") from None
        if get_ipython() is None:
            raise UsageError("report.show() works in a notebook; report.to_html(path) writes a file that any browser opens")
        from wsaudit.report.html import render_html

        display(HTML(framed(render_html(self._shown))))

    def _repr_html_(self) -> str:
        """The verdict, for the end of a notebook cell."""
        return f"<pre>{escape(self.to_text(self.options.payload))}</pre>"

    def __repr__(self) -> str:
        count = self.records.connection_count()
        return f"<wsaudit.Report: {count:,} connections, {len(self.records.judged):,} findings>"

    # -- own -------------------------------------------------------------

    @cached_property
    def _shown(self) -> ReportLike:
        return redacted(self.records, self.options.payload)

    def _logged(self) -> Audit:
        if not self.options.frames:
            raise UsageError("frames were not kept: wsaudit.audit(..., frames=True)")
        return self.audit


def written(path: str | Path, text: str) -> Path:
    """Write `text` as UTF-8; returns the path. Raises OSError."""
    path = Path(path)
    path.write_text(text, encoding="utf-8", newline="")
    return path


def framed(page: str) -> str:
    """A whole page inside a notebook's: in a frame of its own, so that neither one's styles nor scripts reach the other."""
    return (
        f'<iframe sandbox="allow-scripts allow-popups" style="width:100%;height:{FRAME_HEIGHT}px;border:0" '
        f'title="wsaudit report" srcdoc="{escape(page)}"></iframe>'
    )
