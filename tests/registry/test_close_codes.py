import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsaudit.registry.close_codes import (
    SENDERS,
    close_code,
    describe,
    dictionaries,
    is_sendable,
    listed,
    private_code,
    private_meanings,
)

NOBODY = {1004, 1005, 1006, 1015, *range(1000), *range(1016, 3000), *range(5000, 65536)}


def test_every_number_a_frame_can_carry_has_an_answer() -> None:
    for code in range(65536):
        found = close_code(code)
        assert found.code == code
        assert found.first <= code <= found.last
        assert found.name
        assert found.sender in SENDERS
        assert describe(code)
        assert is_sendable(code) == (code not in NOBODY)


@pytest.mark.parametrize("code", [-1, 65536])
def test_what_no_frame_can_carry_is_refused(code: int) -> None:
    with pytest.raises(ValueError, match="two bytes"):
        close_code(code)
    assert not is_sendable(code)


def test_every_code_up_to_1015_has_an_entry_of_its_own() -> None:
    assert [code for code in range(1000, 1017) if close_code(code).is_listed] == list(range(1000, 1016))


def test_registered_codes_win_over_the_range_around_them() -> None:
    assert [(code, close_code(code).name) for code in (3000, 3001, 3003, 3008, 3999)] == [
        (3000, "Unauthorized"),
        (3001, "Unregistered"),
        (3003, "Forbidden"),
        (3008, "Timeout"),
        (3999, "Unregistered"),
    ]


def test_no_entry_is_there_twice_and_all_say_what_to_do() -> None:
    bounds = [(entry.first, entry.last) for entry in listed()]
    assert len(set(bounds)) == len(bounds)
    assert all(entry.meaning and entry.causes and entry.advice and entry.reference for entry in listed())


@pytest.mark.parametrize(("code", "sender"), [(1000, "both"), (1006, "nobody"), (1010, "client"), (1011, "server")])
def test_who_may_send_it(code: int, sender: str) -> None:
    assert close_code(code).sender == sender


@pytest.mark.parametrize(
    ("code", "subprotocol", "host", "expected"),
    [
        (1001, None, None, "Going Away"),
        (4401, None, None, "private: unauthorized"),
        (4401, "graphql-transport-ws", None, "private: unauthorized (graphql-transport-ws)"),
        (4401, "Graphql-Transport-WS", None, "private: unauthorized"),  # names are case-sensitive
        (4014, None, "GATEWAY.discord.gg:443", "private: disallowed intents (Discord gateway)"),
        (4014, None, "gateway.discord.gg.example.net", "private"),
        (4201, None, "ws-eu.pusher.com", "private: pong not received (Pusher Channels)"),
        (4299, None, "ws-eu.pusher.com", "private: reconnect immediately (Pusher Channels)"),
        (4500, None, "ws-eu.pusher.com", "private: internal error"),
        (4003, None, "eventsub.wss.twitch.tv", "private: connection unused (Twitch EventSub)"),
        (4242, "mqtt", "example.net", "private"),
        (1000, "graphql-transport-ws", None, "Normal Closure"),
    ],
)
def test_describe(code: int, subprotocol: str | None, host: str | None, expected: str) -> None:
    assert describe(code, subprotocol, host) == expected


def test_all_meanings_of_a_private_code_are_known_with_the_convention_last() -> None:
    owners = [each.owner for each in private_meanings(4401)]
    assert owners[0] == "graphql-transport-ws"
    assert owners[-1].startswith("HTTP status")
    assert private_meanings(4999) == ()


def test_dictionaries_are_recognisable_and_have_no_code_twice() -> None:
    for dictionary in dictionaries():
        assert dictionary.subprotocols or dictionary.hosts
        bounds = [(entry.code, entry.last) for entry in dictionary.codes]
        assert len(set(bounds)) == len(bounds)
        assert all(4000 <= entry.code <= entry.last <= 4999 for entry in dictionary.codes)


@given(st.integers(4000, 4999), st.text(), st.text())
def test_any_subprotocol_and_host_from_traffic_is_harmless(code: int, subprotocol: str, host: str) -> None:
    assert describe(code, subprotocol, host).startswith("private")
    assert private_code(code, None, None) is None
