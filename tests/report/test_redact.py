import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.fake import make_report
from wsaudit.report.redact import (
    HIDDEN,
    Pseudonyms,
    RedactedReport,
    Redactor,
    redact_header,
    redact_reason,
    redact_target,
    redacted,
)

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/chat", "/chat"),
        ("/chat?token=abc", "/chat?token=<redacted>"),
        ("/chat?a=1&b=&c", "/chat?a=<redacted>&b=&<redacted>"),
        ("/chat?", "/chat?"),
        ("/chat?a=b=c?d#frag", "/chat?a=<redacted>#<redacted>"),
        ("/chat#frag", "/chat#<redacted>"),
        ("/app;jsessionid=1F2E/ws", "/app;jsessionid=<redacted>/ws"),
        ("http://bob:pw@host/x", "http://<redacted>@host/x"),
        (f"/ws/{JWT}/live", "/ws/<redacted>/live"),
        ("/sockjs/123/abcd1234/websocket", "/sockjs/123/abcd1234/websocket"),
        ("/ws/9f86d081884c7d659a2feaa0c55ad015", "/ws/<redacted>"),
    ],
)
def test_targets(target: str, shown: str) -> None:
    assert redact_target(target) == shown


@pytest.mark.parametrize(
    "text",
    [
        f"invalid token {JWT}",
        "Authorization: Bearer s3cr3t-t0ken",
        "token=s3cr3t expired",
        'bad {"access_token":"s3cr3t"}',
        "session_id: s3cr3t",
        "see https://x.example/cb?code=s3cr3t&y=s3cr3t",
        "password=s3cr3t",
        "key sk_live_s3cr3t51Habcdefghijkl rejected",
    ],
)
def test_secrets_leave_reasons(text: str) -> None:
    shown = redact_reason(text)
    assert HIDDEN in shown
    assert "s3cr3t" not in shown
    assert JWT not in shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "going away",
        "keepalive ping timeout",
        "sent 1011 (internal error) keepalive ping timeout; no close frame received",
        "token expired",
        "Token has expired",
        "server sent FIN in packet 48210 without a Close frame",
        "CloudFlare WebSocket proxy restarting",
        "Connection initialisation timeout",
        "no frame for 60.02 s",
        "permessage-deflate; server_max_window_bits=10",
        "10.0.0.9:8080",
        "basic authentication",
        "what now? nothing",
    ],
)
def test_ordinary_reasons_stay_readable(text: str) -> None:
    assert redact_reason(text) == text


@given(st.text(max_size=60))
def test_query_values_never_survive(value: str) -> None:
    secret = "Zx9" + value.translate({ord(c): None for c in "&#?;/@"})
    assert secret not in redact_target("/chat?token=" + secret)


@pytest.mark.parametrize(
    ("name", "shown"), [("Cookie", HIDDEN), ("AUTHORIZATION", HIDDEN), ("X-My-Token", HIDDEN), ("Host", "value")]
)
def test_headers(name: str, shown: str) -> None:
    assert redact_header(name, "value") == shown


def test_location_loses_its_query() -> None:
    assert redact_header("Location", "https://x/login?next=1") == "https://x/login?next=<redacted>"


def test_every_part_of_a_report_is_redacted() -> None:
    report = make_report(60)
    text = json.dumps(redacted(report).to_dict())
    assert "s3cret" not in text
    assert "eyJhbGciOi" not in text
    assert "s3cret" in json.dumps(report.to_dict()), "the report itself is not changed"


def test_show_payload_lifts_it() -> None:
    report = make_report(5)
    assert redacted(report, show_payload=True) is report


def test_payload_of_frames_is_dropped() -> None:
    frame = {"type": "text", "length": 5, "payload": "hello", "reason": "token=abcdef"}
    connection = make_report(1, burst=0).connection(0) | {"last_frames": [frame]}
    assert Redactor().connection(connection)["last_frames"] == [{"type": "text", "length": 5, "reason": "token=<redacted>"}]
    assert Redactor(show_payload=True).connection(connection)["last_frames"] == [frame]


def test_pseudonyms_are_consistent_and_numbered() -> None:
    names = Pseudonyms()
    assert [names.address(a) for a in ("192.168.7.9", "fe80::1", "8.8.8.8", "192.168.7.9")] == [
        "10.0.0.1",
        "2001:db8::1",
        "10.0.0.2",
        "10.0.0.1",
    ]
    assert names.host("chat.acme.com:8443") == "host1.example:8443"
    assert names.host("192.168.7.9:80") == "10.0.0.1:80"
    assert (
        names.text("look at chat.acme.com, 192.168.7.9:80 and [fe80::1]:443 at 14:02:11")
        == "look at host1.example, 10.0.0.1:80 and [2001:db8::1]:443 at 14:02:11"
    )


def test_pseudonymized_report_shows_no_real_address() -> None:
    report = make_report(80, hostile=False)
    view = redacted(report, pseudonymize=True)
    assert isinstance(view, RedactedReport)
    text = json.dumps(view.to_dict())
    assert "10.0.0.9" not in text or view.to_dict()["connections"][0]["client"]["address"] == "10.0.0.1"
    assert "chat.example" not in text
    assert "2001:db8::9" not in text
    servers = {entry["server"]["address"] for entry in view.iter_connections()}
    assert len(servers) == 2
    assert view.incidents[0]["server"].rsplit(":", 1)[0] in servers


def test_pseudonyms_do_not_depend_on_the_order_of_questions() -> None:
    last = redacted(make_report(50), pseudonymize=True).connection(49)
    view = redacted(make_report(50), pseudonymize=True)
    assert list(view.iter_connections())[49] == last


SUSPICIOUS = st.sampled_from(
    ["token", "Bearer", "Token", "sid", "eyJ", "?a", "=", ":", " ", "'", ".", "packet", " packet ", "7", "abcdefghij"]
)


@given(st.lists(SUSPICIOUS).map("".join), st.one_of(st.integers(0, 1 << 80).map(str), SUSPICIOUS))
def test_a_sentence_is_looked_through_as_a_whole(said: str, last: str) -> None:
    """Redactor.text remembers sentences without the packet that they end with."""
    text = f"{said} packet {last}"
    assert Redactor().text(text) == redact_reason(text)


@pytest.mark.parametrize(
    "piece",
    ["-a", "=", ":", "token=", "Bearer ", "a.", "?", "eyJ", "eyJaaaa.", "1:", "//", ";a", "?a=", "&=", "Token===", "\\x00"],
)
def test_long_hostile_text_is_done_in_linear_time(piece: str) -> None:
    """Each of these would run for minutes if any pattern backtracked over the whole text."""
    text = piece * 100_000
    redact_reason(text)
    redact_target(text)
    Pseudonyms().text(text)
