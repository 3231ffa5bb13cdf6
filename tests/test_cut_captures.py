"""Every sample cut anywhere gives a report; what is in it comes from the packets before the cut."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from wsaudit.engine import run
from wsaudit.options import Options
from wsaudit.report.json_format import write_json
from wsaudit.report.records import Records
from wsaudit.report.text import render_text

SAMPLES = Path(__file__).resolve().parent.parent / "sample_pcaps"
CAPTURES = sorted(path.relative_to(SAMPLES).as_posix() for path in SAMPLES.rglob("*.pcap*"))
FILE_HEADER = 24
MOST_CUTS = 40


@pytest.mark.parametrize("name", CAPTURES)
def test_cut_anywhere(name: str) -> None:
    data = (SAMPLES / name).read_bytes()
    keylog = SAMPLES / f"{name.partition('.')[0]}.keys.log"
    options = Options(keylogs=(keylog,) if keylog.exists() else ())
    packets = 0
    for at in range(0, len(data), max(97, len(data) // MOST_CUTS | 1)):
        audit = run([data[:at]], options)
        (entry,) = audit.inputs
        assert audit.crashes == 0
        if name.endswith(".pcap"):
            assert (entry.error is not None) == (at < FILE_HEADER)
        assert entry.packets >= packets
        packets = entry.packets
        records = Records(audit, options)
        stream = io.StringIO()
        write_json(records, stream)
        assert render_text(records)
        for row in records.rows:
            assert row.detail.last_packet & (1 << 40) - 1 <= packets
