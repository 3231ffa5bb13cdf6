import pytest

from wsaudit.errors import UsageError
from wsaudit.registry.libraries import TRAITS, _deviation, _trait, deviation_note, deviations, libraries, recognise
from wsaudit.registry.loader import Entry

CLIENT, SERVER = 0, 1
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/156.0.0.0 Safari/537.36"
WS_NAMES = ("Sec-WebSocket-Version", "Sec-WebSocket-Key", "Connection", "Upgrade", "Sec-WebSocket-Extensions", "Host")


@pytest.mark.parametrize(
    ("user_agent", "server", "names", "role", "expected"),
    [
        ("Python/3.11 websockets/17.4", None, None, CLIENT, "websockets"),
        ("Python/3.11 aiohttp/3.14.5", None, None, CLIENT, "aiohttp"),
        (
            "Tornado/6.6.1",
            None,
            ("Upgrade", "Connection", "Sec-Websocket-Key", "Sec-Websocket-Version", "Host", "User-Agent", "Accept-Encoding"),
            CLIENT,
            "tornado",
        ),
        ("node", None, None, CLIENT, "Node's built-in WebSocket"),
        ("undici", None, None, CLIENT, "undici"),
        ("okhttp/4.9.3", None, None, CLIENT, "OkHttp"),
        (CHROME, None, None, CLIENT, "Chromium"),
        (None, None, WS_NAMES, CLIENT, "ws"),
        (None, None, ("Cookie", *WS_NAMES), CLIENT, "ws"),
        (CHROME, None, ("User-Agent", *WS_NAMES), CLIENT, "ws"),  # a borrowed User-Agent: the order gives it away
        (
            None,
            None,
            ("Upgrade", "Host", "Origin", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Connection"),
            CLIENT,
            "websocket-client",
        ),
        (None, "Python/3.11 websockets/17.4", None, SERVER, "websockets"),
        (None, "Python/3.11 aiohttp/3.14.5", None, SERVER, "aiohttp"),
        (None, "TornadoServer/6.6.1", None, SERVER, "tornado"),
        (None, "uvicorn", None, SERVER, "uvicorn"),
        (None, "hypercorn-h11", None, SERVER, "hypercorn"),
        (None, "nginx/1.22.1", None, SERVER, None),
        (None, None, ("Upgrade", "Connection", "Sec-WebSocket-Accept"), SERVER, None),
        (None, None, ("Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version"), CLIENT, None),
        ("Python/3.11 websockets/17.4", None, None, SERVER, None),  # the client's header says nothing of the server
        (None, None, None, CLIENT, None),
        ("", "", (), SERVER, None),
    ],
)
def test_recognise(
    user_agent: str | None, server: str | None, names: tuple[str, ...] | None, role: int, expected: str | None
) -> None:  # fmt: skip
    found = recognise(user_agent, server, names, role)
    assert (found.name if found else None) == expected


def note(name: str, role: int, conditions: set[str], expected: int | None) -> str | None:
    library = next(each for each in libraries() if each.name == name and each.role == role)
    return deviation_note(library, role, conditions, expected)


@pytest.mark.parametrize(
    ("name", "role", "conditions", "expected", "says"),
    [
        ("hypercorn", SERVER, {"peer-closed", "code=1000"}, 1000, "hypercorn reports 1006"),
        ("hypercorn", SERVER, {"self-closed", "code=1001", "sent=1001"}, 1001, "hypercorn reports 1000"),
        ("hypercorn", SERVER, {"self-closed", "code=1011", "sent=1011"}, 1011, "hypercorn reports no code"),
        ("uvicorn", SERVER, {"self-closed", "code=1000"}, 1000, "uvicorn reports 1005"),
        ("uvicorn", SERVER, {"self-closed", "unanswered", "no-close"}, 1006, "uvicorn reports 1005"),
        ("uvicorn", SERVER, {"failed-itself", "sent=1007"}, 1006, "uvicorn reports 1007"),
        ("aiohttp", SERVER, {"peer-closed", "empty-close"}, 1005, "aiohttp reports 0"),
        ("aiohttp", CLIENT, {"failed-itself", "sent=1002"}, 1006, "aiohttp reports 1002"),
        ("aiohttp", CLIENT, {"refused"}, 1006, "aiohttp reports no code"),
        ("tornado", SERVER, {"no-close"}, 1006, "tornado reports no code"),
        ("tornado", CLIENT, {"peer-closed", "empty-close"}, 1005, "tornado reports no code"),
        ("websocket-client", CLIENT, {"self-closed", "code=1001"}, 1001, "websocket-client reports a code or none"),
        ("Chromium", CLIENT, {"self-closed", "sent=1001"}, 1001, "Chromium reports no code"),
        ("Chromium", CLIENT, {"peer-closed", "illegal-code", "code=999"}, 999, "Chromium reports 1006"),
    ],
)
def test_a_deviation_is_told(name: str, role: int, conditions: set[str], expected: int, says: str) -> None:
    told = note(name, role, conditions, expected)
    assert told is not None
    assert told.startswith(f"{says}: ")


@pytest.mark.parametrize(
    ("name", "role", "conditions", "expected"),
    [
        ("hypercorn", SERVER, {"no-close"}, 1006),
        ("uvicorn", SERVER, {"peer-closed", "code=1000"}, 1000),
        ("uvicorn", SERVER, {"self-closed"}, 1005),  # says what the standard says
        ("aiohttp", SERVER, {"peer-closed", "code=1000"}, 1000),
        ("Chromium", CLIENT, {"self-closed", "sent=1000"}, 1000),
        ("websockets", CLIENT, {"failed-itself", "sent=1009"}, 1006),
        ("aiohttp", CLIENT, {"failed-itself", "sent=1002"}, 1002),
        ("ws", CLIENT, {"no-close"}, 1006),
        ("tornado", CLIENT, set(), 1000),
    ],
)
def test_no_note_where_a_library_says_what_the_standard_says(name: str, role: int, conditions: set[str], expected: int) -> None:
    assert note(name, role, conditions, expected) is None


def test_an_unknown_library_and_the_other_role_have_no_deviations() -> None:
    assert deviation_note(None, SERVER, {"no-close"}, 1006) is None
    aiohttp = recognise(None, "Python/3.11 aiohttp/3.14.5", None, SERVER)
    assert deviations(aiohttp, SERVER)
    assert deviations(aiohttp, CLIENT) == ()


def test_every_library_can_be_recognised_and_is_there_once_per_role() -> None:
    keys = [(library.name, library.role) for library in libraries()]
    assert len(set(keys)) == len(keys)
    for library in libraries():
        assert library.user_agent or library.server or library.headers
        assert library.deviations or library.habits
        assert library.source


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ({"when": ["on mondays"], "says": "1006", "note": "x"}, "when: unknown condition 'on mondays'"),
        ({"when": ["code=abc"], "says": "1006", "note": "x"}, "when: unknown condition"),
        ({"when": [], "says": "perhaps", "note": "x"}, "says: must be a code"),
    ],
)
def test_the_vocabulary_is_closed(table: dict[str, object], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        _deviation(Entry(table, "deviations.toml: deviation[1]"))


def test_traits_are_known_by_name_and_each_is_used() -> None:
    traits = {library.name: library.traits for library in libraries() if library.traits}
    assert traits == {
        "Chromium": {"page", "strict-after-close", "clean-by-fin-only"},
        "undici": {"refuses-in-silence"},
    }
    assert set().union(*traits.values()) == set(TRAITS)


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ({"name": "fast", "source": "x", "date": "2026-11-22"}, "name: must be one of"),
        ({"name": "page", "date": "2026-11-22"}, "source: is missing"),
        ({"name": "page", "source": "x"}, "date: is missing"),
    ],
)
def test_a_trait_says_where_it_is_from_and_when(table: dict[str, object], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        _trait(Entry(table, "deviations.toml: trait[1]"))
