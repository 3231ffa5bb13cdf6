"""Reports that attack the renderers for CI systems."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.gate.fake import Report, connection, finding, report

ATTACKS = (
    "</failure><failure>",
    "]]>\x00\x0b\x1f",
    "\ud800\udfff\ufffe\uffff",
    "::error::owned\n::stop-commands::x\r::add-mask::y",
    "##[error]owned ##[add-mask]y",
    "100%0A::set-output name=x::y",
    "| a | b |\n|---|---|\n<img src=x onerror=alert(1)> @someone `x` [l](javascript:x)",
    "\x1b]0;title\x07\x1b[2J\u202egnp.exe",
    '"\\\b\f\t{0} [link](https://evil.example) ${x} {{x}}',
)

TEXTS = st.one_of(st.sampled_from(ATTACKS), st.text(st.characters(exclude_categories=()), max_size=60))


def hostile(text: str) -> Report:
    """Traffic text wherever traffic text can be."""
    return report(
        [finding(detail=text, path="/" + text), finding("CL-16", detail="said " + text, number=2)],
        [connection(1, path="/" + text, host=text), connection(2)],
        paths=(text.replace("\x00", "") + "/x.pcap",),
    )
