from __future__ import annotations

import datetime

import pytest

from tests.gate.fake import BOOK
from wsaudit.errors import UsageError
from wsaudit.gate.policy import CloseCodes, Limits, Place, find_policy, load_policy, narrow, parse_policy

FULL = """\
fail-on = "warning"
expect-connections = 3
select = ["FR", "wrong-accept", "HS-C14"]
ignore = ["FR-02"]

[severity]
FR = "info"
FR-01 = "warning"

[limits]
abnormal-rate = 0.02
abnormal-count = 0
handshake-latency = 0.5
ping-rtt = 1
message-size = 1048576
close-code-share = { 1011 = 0.0, 1001 = 0.5 }

[[close-codes]]
path = "/chat/*"
host = "*.Example.org"
allow = [1000, "4400-4499"]

[[allow]]
rule = "unmasked-client-frame"
path = "/legacy/*"
at-fault = "client"
reason = "old app"
expires = 2026-03-31
"""


def load(tmp_path, text, name="wsaudit.toml"):
    (tmp_path / name).write_text(text)
    return load_policy(tmp_path / name, BOOK)


def test_every_key_is_read(tmp_path):
    policy = load(tmp_path, FULL)
    assert (policy.fail_on, policy.expect_connections) == ("warning", 3)
    assert policy.rules == {"FR-01", "HS-S05", "HS-C14"}
    assert policy.severity == {"FR-01": "warning", "FR-02": "info"}
    assert policy.limits == Limits(0.02, 0, 0.5, 1.0, 1048576, {1001: 0.5, 1011: 0.0})
    assert policy.close_codes == (
        CloseCodes(Place("/chat/*", "*.example.org"), (range(1000, 1001), range(4400, 4500)), "wsaudit.toml:18"),
    )
    (waiver,) = policy.waivers
    assert waiver.rules == {"FR-01"}
    assert waiver.expires == datetime.date(2026, 3, 31)
    assert waiver.origin == "wsaudit.toml:23"


def test_every_value_knows_its_line(tmp_path):
    policy = load(tmp_path, FULL)
    assert policy.origin("fail-on") == "wsaudit.toml:1"
    assert policy.origin("severity.FR-01") == "wsaudit.toml:8"
    assert policy.origin("severity.FR-02") == "wsaudit.toml:7"
    assert policy.origin("limits.ping-rtt") == "wsaudit.toml:14"
    assert policy.origin("limits.close-code-share.1011") == "wsaudit.toml:16"
    assert policy.override("fail_on", "never", "--fail-on").origin("fail-on") == "--fail-on"


def test_no_file_is_the_default():
    policy = load_policy(None, BOOK)
    assert (policy.fail_on, policy.expect_connections, policy.rules) == ("error", 1, frozenset(BOOK.rules))
    assert policy.origin("fail-on") == "default"


def test_pyproject_has_it_under_tool(tmp_path):
    policy = load(
        tmp_path,
        '[project]\nname = "x"\n\n[tool.wsaudit]\nfail-on = "info"\n[tool.wsaudit.limits]\nping-rtt = 2\n',
        "pyproject.toml",
    )
    assert policy.fail_on == "info"
    assert policy.origin("fail-on") == "pyproject.toml:5"
    assert policy.origin("limits.ping-rtt") == "pyproject.toml:7"


@pytest.mark.parametrize("text", ["", "tool = 3", "[tool.ruff]", "tool.wsaudit = 3"])
def test_a_pyproject_named_as_policy_must_have_one(tmp_path, text):
    with pytest.raises(UsageError, match=r"^pyproject.toml: no \[tool.wsaudit\] table"):
        load(tmp_path, text, "pyproject.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fail-on = 'eror'", "wsaudit.toml:1: fail-on cannot be 'eror'; did you mean 'error'?"),
        ("fail-on = 3", "wsaudit.toml:1: fail-on cannot be 3; use one of error, warning, info, never"),
        ("\nfailon = 'error'", "wsaudit.toml:2: unknown key 'failon'; did you mean 'fail-on'?"),
        (
            "[limits]\nabnormal-ratio = 1",
            "wsaudit.toml:2: unknown key 'abnormal-ratio' in [limits]; did you mean 'abnormal-rate'?",
        ),
        ("[limits]\nabnormal-rate = 2", "wsaudit.toml:2: abnormal-rate must be a number from 0 to 1, not 2"),
        ("[limits]\nabnormal-rate = nan", "wsaudit.toml:2: abnormal-rate must be a number from 0 to 1, not nan"),
        ("[limits]\nping-rtt = inf", "wsaudit.toml:2: ping-rtt must be a number of at least 0, not inf"),
        ("[limits]\nping-rtt = true", "wsaudit.toml:2: ping-rtt must be a number of at least 0, not True"),
        ("[limits]\nmessage-size = 1.5", "wsaudit.toml:2: message-size must be a whole number of at least 0, not 1.5"),
        ("[limits]\nclose-code-share.hello = 1", "wsaudit.toml:2: 'hello' is not a close code"),
        ("limits = 3", "wsaudit.toml:1: limits must be a table, not a number"),
        ("expect-connections = 0", "wsaudit.toml:1: expect-connections must be a whole number of at least 1, not 0"),
        ("select = [\n'FR',\n'FR-1']", "wsaudit.toml:3: unknown rule 'FR-1'; did you mean 'FR-01'?"),
        ("ignore = 'FR'", "wsaudit.toml:1: ignore must be a list of rule ids, names or families, not a text"),
        ("[severity]\nfr-01 = 'info'", "wsaudit.toml:2: unknown rule 'fr-01'; did you mean 'FR-01'?"),
        ("[severity]\nFR-01 = 'fatal'", "wsaudit.toml:2: FR-01 cannot be 'fatal'; use one of error, warning, info"),
        ("[[close-codes]]\npath = '/'", "wsaudit.toml:1: close-codes needs allow, a list of close codes"),
        ("[[close-codes]]\nallow = ['4499-4400']", "wsaudit.toml:2: '4499-4400' is neither a close code nor a range"),
        ("[[close-codes]]\nallow = [70000]", "wsaudit.toml:2: 70000 is neither a close code nor a range"),
        ("[allow]\nrule = 'FR-01'", "wsaudit.toml:1: allow must be an array of tables: [[allow]]"),
        ("[[allow]]\nrule = 'FR-01'\nreason = 'x'", "wsaudit.toml:1: an [[allow]] entry needs expires"),
        (
            "[[allow]]\nrule = 'FR-01'\nreason = ''\nexpires = 2026-01-01",
            "wsaudit.toml:3: reason must be a text, not an empty text",
        ),
        (
            "[[allow]]\nrule = 'FR-01'\nreason = 'x'\nexpires = 'soon'",
            "wsaudit.toml:4: expires must be a day such as 2027-01-31, not 'soon'",
        ),
        ("[[allow]]\nrule = 'FR-01'\nreason = 'x'\nexpires = 2026-01-01T00:00:00Z", "wsaudit.toml:4: expires must be a day"),
        ("[[allow]]\nrule = 'FR-01'\nreson = 'x'", "wsaudit.toml:3: unknown key 'reson' in [allow]; did you mean 'reason'?"),
        ("a = = 1", "wsaudit.toml:1:5: "),
        ("a = 1\na = 2", "wsaudit.toml:2:"),
    ],
)
def test_what_is_not_understood_is_refused_with_file_and_line(tmp_path, text, message):
    with pytest.raises(UsageError) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(message)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match=r"gone.toml: No such file"):
        load_policy(tmp_path / "gone.toml", BOOK)
    (tmp_path / "latin.toml").write_bytes(b"a = '\xe9'")
    with pytest.raises(UsageError, match=r"latin.toml: byte 5: not UTF-8"):
        load_policy(tmp_path / "latin.toml", BOOK)


def test_the_nearest_policy_upward_holds(tmp_path):
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "wsaudit.toml").write_text("")
    assert find_policy(deep) == tmp_path / "wsaudit.toml"
    (tmp_path / "a" / "pyproject.toml").write_text("[project]\n")
    assert find_policy(deep) == tmp_path / "wsaudit.toml"
    (tmp_path / "a" / "pyproject.toml").write_text("tool = 1\n")
    assert find_policy(deep) == tmp_path / "wsaudit.toml"
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.wsaudit\n")
    with pytest.raises(UsageError, match=r"^\.\./pyproject.toml:1:14: "):
        find_policy(deep)
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.wsaudit]\n")
    assert find_policy(deep) == tmp_path / "a" / "pyproject.toml"


@pytest.mark.parametrize(
    ("place", "path", "host", "covered"),
    [
        (Place(), None, None, True),
        (Place("/chat/*"), "/chat/7", "h", True),
        (Place("/chat/*"), "/Chat/7", "h", False),
        (Place("/chat/*"), None, "h", False),
        (Place(None, "*.example.org"), "/", "A.Example.org:8080", True),
        (Place(None, "a.example.org:8080"), "/", "a.example.org:8080", True),
        (Place(None, "b.example.org"), "/", "a.example.org", False),
    ],
)
def test_places(place, path, host, covered):
    assert place.covers(path, host) is covered


def test_a_dict_is_a_policy_too():
    assert parse_policy({"fail-on": "never"}, BOOK).fail_on == "never"
    with pytest.raises(UsageError, match=r"^policy: unknown key"):
        parse_policy({"nope": 1}, BOOK)


def test_the_command_line_narrows():
    policy = parse_policy({"select": ["HS"], "ignore": ["FR-02"]}, BOOK)
    assert narrow(policy, BOOK, (), ()) == policy
    other = narrow(policy, BOOK, ("FR", "CL"), ("CL-16",))
    assert other.rules == {"FR-01"}
    assert (other.origin("select"), other.ignore) == ("--select", ("FR-02", "CL-16"))
    assert narrow(policy, BOOK, (), ("HS-C",)).rules == {"HS-S05"}
    with pytest.raises(UsageError, match=r"^--ignore: unknown rule 'FR-1'; did you mean 'FR-01'"):
        narrow(policy, BOOK, (), ("FR-1",))
