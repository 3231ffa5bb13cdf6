import pytest

from wsaudit.registry.names import browser, extension, is_browser, opcode, subprotocol


def test_opcodes_are_complete() -> None:
    opcodes = [opcode(value) for value in range(16)]
    assert [each.value for each in opcodes] == list(range(16))
    assert [each.value for each in opcodes if each.is_assigned] == [0, 1, 2, 8, 9, 10]
    assert [each.value for each in opcodes if each.is_control] == list(range(8, 16))  # RFC 6455 5.5: the highest bit
    assert [opcode(value).name for value in (0, 1, 2, 8, 9, 10)] == ["continuation", "text", "binary", "close", "ping", "pong"]


@pytest.mark.parametrize("value", [-1, 16])
def test_an_opcode_has_four_bits(value: int) -> None:
    with pytest.raises(ValueError, match="four bits"):
        opcode(value)


def test_extensions() -> None:
    deflate = extension("permessage-deflate")
    assert deflate is not None
    assert deflate.is_registered
    wild = extension("x-webkit-deflate-frame")
    assert wild is not None
    assert not wild.is_registered
    assert extension("permessage-magic") is None


def test_subprotocols() -> None:
    mqtt = subprotocol("mqtt")
    assert mqtt is not None
    assert mqtt.is_registered
    assert mqtt.is_binary_only
    assert mqtt.heartbeat
    graphql = subprotocol("graphql-transport-ws")
    assert graphql is not None
    assert not graphql.is_registered
    assert graphql.payload == "text"
    assert subprotocol("MQTT") is None  # RFC 6455 4.1: names are compared as they are


CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"


@pytest.mark.parametrize(
    ("user_agent", "family"),
    [
        (f"Mozilla/5.0 (X11; Linux x86_64) {CHROME}", "Chromium"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Edg/156.0.0.0", "Chromium"),
        (f"Mozilla/5.0 (X11; Linux x86_64) {CHROME.replace('Chrome', 'HeadlessChrome')}", "Chromium"),
        (
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 "
            "Mobile Safari/537.36",
            "Chromium",
        ),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0", "Firefox"),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 "
            "Safari/605.1.15",
            "Safari",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/156.0.0.0 "
            "Mobile/15E148 Safari/604.1",
            "Safari",
        ),
    ],
)
def test_browsers_are_recognised_by_engine(user_agent: str, family: str) -> None:
    assert browser(user_agent) == family
    assert is_browser(user_agent)


@pytest.mark.parametrize(
    "user_agent",
    [
        None,
        "",
        "Mozilla/5.0",
        "Python/3.11 websockets/17.4",
        "node",
        "undici",
        "okhttp/4.9.3",
        "Mozilla/5.0 (linux) AppleWebKit/537.36 (KHTML, like Gecko) jsdom/20.0.3",
        f"Mozilla/5.0 (compatible; Examplebot/2.1) {CHROME}",
        f"Mozilla/5.0 (X11; Linux x86_64) {CHROME} (some extra comment)",
        "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0 python-requests/2.0",
    ],
)
def test_what_is_not_clearly_a_browser_is_none(user_agent: str | None) -> None:
    assert browser(user_agent) is None
    assert not is_browser(user_agent)


@pytest.mark.parametrize("repeated", ["Chrome/1 ", " Chrome/1", "a/1", " a", "(", ")", "rv:1"])
@pytest.mark.parametrize("times", [100, 100_000])
def test_a_hostile_user_agent_is_judged_without_backtracking(repeated: str, times: int) -> None:
    assert browser("Mozilla/5.0 (X) AppleWebKit/537.36 (KHTML, like Gecko)" + repeated * times + "(") is None
