from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsaudit.report.fingerprint import fingerprint, normal_path


@pytest.mark.parametrize(
    ("target", "normal"),
    [
        ("/chat", "/chat"),
        ("/chat?token=abc&x=1", "/chat"),
        ("/chat#top", "/chat"),
        ("http://h.example:80/a/b?c", "/a/b"),
        ("ws://h.example", "/"),
        ("/", "/"),
        ("*", "*"),
        ("", "/"),
        ("/room/42/users/7", "/room/{n}/users/{n}"),
        ("/user42", "/user{n}"),
        ("/graphql-v2", "/graphql-v{n}"),
        ("/r/550e8400-e29b-41d4-a716-446655440000/x", "/r/{uuid}/x"),
        ("/r/550E8400-E29B-41D4-A716-446655440000", "/r/{uuid}"),
        ("/s/deadbeef01", "/s/{id}"),
        ("/echo/123/k3j9x0ab/websocket", "/echo/{n}/{id}/websocket"),
        ("/t/abcdefghijklmnopqrs1", "/t/{id}"),
        ("/a/20260301", "/a/{n}"),
        (None, "-"),
    ],
)
def test_paths_lose_their_ids(target, normal):
    assert normal_path(target) == normal


@given(st.text(max_size=80))
def test_a_normal_path_is_its_own_normal_path(text):
    path = "/" + text.replace("{", "").replace(":", "")
    assert normal_path(normal_path(path)) == normal_path(path)


@given(st.text(max_size=3000))
def test_any_target_gives_a_fingerprint(target):
    assert len(fingerprint("FR-01", None, None, target)) == 32


def test_the_recipe_does_not_change_unnoticed():
    assert fingerprint("FR-01", "client", "client", "/room/7?x=1") == fingerprint("FR-01", "client", "client", "/room/81")
    assert fingerprint("FR-01", "client", "client", "/chat") == "aaa7c5d986bae1c30d3e724adad71b66"


@pytest.mark.parametrize(
    "other",
    [
        ("FR-02", "client", "client", "/a"),
        ("FR-01", "server", "client", "/a"),
        ("FR-01", "client", "server", "/a"),
        ("FR-01", "client", "client", "/b"),
        ("FR-01", None, "client", "/a"),
        ("FR-01", "client", "client", None),
    ],
)
def test_each_part_counts(other):
    assert fingerprint("FR-01", "client", "client", "/a") != fingerprint(*other)


def test_a_lone_surrogate_in_a_path_is_no_error():
    assert fingerprint("FR-01", "client", "client", "/\ud800")
