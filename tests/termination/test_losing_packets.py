"""A capture that misses packets may know less, but never claims more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import wire
from termination.endings import Ending, ending, gone, talk
from wire import C, S

Scenario = Callable[[], wire.Conversation]


def chat() -> wire.Conversation:
    conversation = talk()
    for i in range(4):
        conversation.text(C, f"question number {i}").ack(S).text(S, f"answer number {i}").ack(C)
    return conversation


SCENARIOS: dict[str, Scenario] = {
    "clean by the client": lambda: gone(chat().close(C, 1000, "bye").close(S, 1000, "bye"), S),
    "clean by the server": lambda: gone(chat().close(S, 1001).ack(C).close(C, 1001).ack(S), S),
    "unanswered": lambda: gone(chat().close(S, 1012).ack(C).wait(10), S),
    "dropped": lambda: gone(chat().wait(3.4), S),
    "reset": lambda: chat().wait(3.4).rst(C),
    "failed itself": lambda: gone(chat().frame(C, 3, b"x").close(S, 1002).close(C, 1002), S),
}


def lose(conversation: wire.Conversation, i: int) -> wire.Conversation:
    del conversation.packets[i]
    return conversation


def codes(found: Ending) -> list[tuple[int | None, bool]]:
    return [(told[0], told[2]) for told in (found.client, found.server)]


@pytest.mark.parametrize("name", SCENARIOS)
def test_losing_any_packet_never_makes_a_certain_wrong_code(name: str) -> None:
    whole = SCENARIOS[name]()
    truth = ending(whole)
    for i in range(len(whole.packets)):
        for found, told in zip(codes(ending(lose(SCENARIOS[name](), i))), codes(truth), strict=True):
            code, certain = found
            assert code in (None, told[0]) or not certain, f"without packet {i + 1}: {code}, was {told[0]}"


@pytest.mark.parametrize("name", SCENARIOS)
def test_losing_any_packet_never_makes_an_accusation_surer(name: str) -> None:
    whole = SCENARIOS[name]()
    truth = ending(whole)
    known = {truth.cause: truth.confidence, **truth.others}
    for i in range(len(whole.packets)):
        found = ending(lose(SCENARIOS[name](), i))
        if found.confidence >= 0.9 and found.cause not in ("none", "unknown"):
            assert found.cause in known, f"without packet {i + 1}: {found}"


@pytest.mark.parametrize("name", SCENARIOS)
def test_stopping_early_never_invents_an_end(name: str) -> None:
    whole = SCENARIOS[name]()
    for i in range(6, len(whole.packets) + 1):
        conversation = SCENARIOS[name]()
        ended = any(packet.data[14 + 20 + 13] & (wire.FIN | wire.RST) for packet in conversation.packets[:i])
        del conversation.packets[i:]
        found = ending(conversation)
        assert ended or found.kind in ("ongoing", "closed"), f"after {i} packets: {found}"
