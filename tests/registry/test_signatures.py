from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsaudit.errors import UsageError
from wsaudit.registry.signatures import Limit, Signatures, load_signatures

OWN = """
[[limit]]
name = "our-proxy"
seconds = 75
kind = "idle"
where = "the proxy in the basement"
wire = ["fin"]
confirm = "its log"

[[text]]
name = "ping-timeout"
where = "reason"
text = "no pulse"
cause = "keepalive-timeout"
product = "ours"
confirm = "ours, too"
"""


@pytest.fixture
def shipped() -> Signatures:
    return load_signatures()


def all_of(signatures: Signatures) -> tuple[object, ...]:
    return (*signatures.limits, *signatures.waits, *signatures.keepalives, *signatures.texts)


def test_every_signature_says_how_to_confirm_it_and_where_it_comes_from(shipped: Signatures) -> None:
    for signature in all_of(shipped):
        assert len(signature.confirm) > 20  # type: ignore[attr-defined]
        assert len(signature.source) > 5  # type: ignore[attr-defined]


def test_no_name_is_there_twice(shipped: Signatures) -> None:
    for group in (shipped.limits, shipped.waits, shipped.keepalives, shipped.texts):
        names = [each.name for each in group]
        assert names
        assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("seconds", "kind", "name"),
    [
        (60.4, "idle", "nginx-60"),
        (350.0, "idle", "aws-nlb-350"),
        (29.5, "lifetime", "gce-backend-30"),
        (7205.0, "lifetime", "aws-api-gateway-age-7200"),
        (242.0, "since-common-instant", "ingress-nginx-reload-240"),
        (18_000.0, "idle", "render-data-18000"),
    ],
)
def test_a_measured_time_finds_its_limit(shipped: Signatures, seconds: float, kind: str, name: str) -> None:
    assert name in [limit.name for limit in shipped.limits_at(seconds, kind)]


def test_a_time_that_fits_nothing_finds_nothing(shipped: Signatures) -> None:
    assert shipped.limits_at(77.0, "idle") == ()
    assert shipped.limits_at(350.0, "lifetime") == ()  # the kind matters


def limit_named(signatures: Signatures, name: str) -> Limit:
    return next(limit for limit in signatures.limits if limit.name == name)


def test_fits_is_generous_by_the_larger_of_two_margins(shipped: Signatures) -> None:
    nginx = limit_named(shipped, "nginx-60")
    assert [nginx.fits(seconds) for seconds in (58.79, 58.81, 61.19, 61.21)] == [False, True, True, False]  # 2 % of 60 s
    short = nginx._replace(seconds=10.0)
    assert [short.fits(seconds) for seconds in (8.9, 9.0, 11.0, 11.1)] == [False, True, True, False]  # 1 s


def test_multiples_fit_a_repeating_limit(shipped: Signatures) -> None:
    daily = limit_named(shipped, "daily-86400")
    assert [daily.fits(seconds) for seconds in (86_400.0, 3 * 86_400.0, 1.5 * 86_400.0, 0.0)] == [True, True, False, False]


@given(st.floats(min_value=0, max_value=1e9, allow_nan=False))
def test_any_time_can_be_asked(seconds: float) -> None:
    for limit in load_signatures().limits_at(seconds, "idle"):
        assert limit.fits(seconds)


def test_patience_is_fixed_or_a_fraction_of_the_interval_seen(shipped: Signatures) -> None:
    heartbeats = {each.name: each for each in shipped.keepalives}
    assert heartbeats["websockets"].patience(20.0) == 20.0
    assert heartbeats["aiohttp"].patience(30.0) == 15.0
    assert heartbeats["tornado"].patience(30.0) == 30.0
    assert heartbeats["dotnet"].patience(30.0) is None


def test_the_wait_of_each_library_for_a_close(shipped: Signatures) -> None:
    waits = {(wait.library, wait.event): wait.seconds for wait in shipped.waits}
    assert waits["Chromium", "close-answer"] == 60.0
    assert waits["websockets", "close-answer"] == 10.0
    assert waits["ws", "close-answer"] == 30.0
    assert waits["Firefox", "close-answer"] == 20.0


@pytest.mark.parametrize(
    ("where", "said", "code", "name"),
    [
        ("reason", "cloudflare websocket PROXY restarting", 1001, "cloudflare-restart"),
        ("reason", "keepalive ping timeout", 1011, "keepalive-websockets"),
        ("reason", "ping timed out", 1000, "keepalive-tornado"),
        ("reason", "Connection initialisation timeout", 4408, "graphql-init-timeout"),
        ("reason", "Connection initialisation timeout", 4400, None),
        ("payload", "HTTP/1.0 408 Request Time-out\r\n", None, "haproxy-408"),
        ("reason", "408 Request Time-out", None, None),
        ("reason", "", 1000, None),
    ],
)
def test_words_give_their_author_away(shipped: Signatures, where: str, said: str, code: int | None, name: str | None) -> None:
    found = shipped.find_text(where, said, code)
    assert (found.name if found else None) == name


def test_a_users_signatures_come_first_and_replace_those_of_the_same_name(tmp_path: Path, shipped: Signatures) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(OWN, "utf-8")
    merged = load_signatures(mine)
    assert merged.limits[0].name == "our-proxy"
    assert merged.limits[0].source == str(mine)
    assert merged.limits[0].fits(75.9)
    assert len(merged.limits) == len(shipped.limits) + 1
    assert len(merged.texts) == len(shipped.texts)
    assert [text.text for text in merged.texts if text.name == "ping-timeout"] == ["no pulse"]
    assert load_signatures() == shipped  # one user's file leaves no trace


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("seconds = 75", "", r"limit\[1\] \(our-proxy\): seconds: is missing"),
        ("seconds = 75", 'seconds = "75"', r"limit\[1\] \(our-proxy\): seconds: must be a number"),
        ("seconds = 75", "seconds = 0", r"seconds: must be greater than 0"),
        ('kind = "idle"', 'kind = "idel"', r"kind: must be one of .*'idel'"),
        ('wire = ["fin"]', 'wire = ["FIN"]', r"wire: must be of .*'FIN'"),
        ('confirm = "its log"', "", r"confirm: is missing"),
        ('confirm = "its log"', 'confirm = "x"\ntolerence = 0.1', r"tolerence: unknown key"),
        ("[[text]]", "[[texts]]", r"texts: unknown key"),
        ('cause = "keepalive-timeout"', 'cause = "gremlins"', r"text\[1\] \(ping-timeout\): cause: must be one of"),
        ("[[limit]]", "[limit]", r"limit: must be a list of tables"),
        ("[[limit]]", "[[limit", r"not valid TOML"),
    ],
)
def test_a_bad_file_is_refused_with_its_name_and_the_key(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(OWN.replace(old, new, 1), "utf-8")
    with pytest.raises(UsageError, match=rf"mine\.toml: .*{complaint}"):
        load_signatures(mine)


def test_a_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(OWN + OWN.replace("text", "text"), "utf-8")
    with pytest.raises(UsageError, match=r"mine\.toml: limit\[2\] \(our-proxy\): name: 'our-proxy' is there twice"):
        load_signatures(mine)
