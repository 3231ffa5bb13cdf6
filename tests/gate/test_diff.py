from __future__ import annotations

import json

from tests.gate.fake import connection, finding, report
from wsaudit.gate.diff import compare, render_json, render_text

CLEAN = [connection(number) for number in range(1, 41)]
ROUGH = [connection(number, code=None if number % 2 else 1000) for number in range(1, 41)]


def test_a_report_does_not_differ_from_itself():
    same = report([finding()], CLEAN).to_dict()
    difference = compare(same, same)
    assert (difference.came, difference.went, len(difference.stayed)) == ((), (), 1)
    assert not any(each.more_than_chance for moves in difference.moves.values() for each in moves)
    assert "0 new faults, 0 gone, 1 in both." in render_text(difference, "a", "b")
    assert "No distribution moved more than chance" in render_text(difference, "a", "b")


def test_faults_come_and_go():
    old = report([finding(), finding("FR-02")], CLEAN).to_dict()
    new = report(
        [finding("FR-02", packet=700, number=9), finding("CL-16", count=3), finding("HS-S05", verdict="unverifiable")], CLEAN
    ).to_dict()
    difference = compare(old, new)
    assert [(each.rule, each.old, each.new) for each in difference.came] == [("CL-16", 0, 3)]
    assert [(each.rule, each.old, each.new) for each in difference.went] == [("FR-01", 1, 0)]
    text = render_text(difference, "a", "b")
    assert "+ warning  CL-16 client-closes-tcp-first   client at fault   3x   /chat" in text
    assert "- error    FR-01 unmasked-client-frame   client at fault   1x   /chat" in text


def test_a_real_move_is_more_than_chance():
    difference = compare(report([], CLEAN).to_dict(), report([], ROUGH).to_dict())
    endings = {each.category: each for each in difference.moves["endings"]}
    assert (endings["dropped"].old, endings["dropped"].new, endings["dropped"].new_total) == (0, 20, 40)
    assert endings["dropped"].more_than_chance
    (abnormal,) = difference.moves["abnormal endings"]
    assert abnormal.more_than_chance
    assert "    1006 at either end               0   0.0 %     20  50.0 %   p < 0.0001" in render_text(difference, "a", "b")


def test_one_of_few_is_chance():
    few = [connection(1), connection(2), connection(3)]
    difference = compare(report([], few).to_dict(), report([], [*few[:2], connection(3, code=None)]).to_dict())
    assert not any(each.more_than_chance for moves in difference.moves.values() for each in moves)


def test_empty_reports_compare():
    empty = report([], []).to_dict()
    assert compare(empty, empty).moves == {}


def test_json_has_it_all_and_is_stable():
    old, new = report([finding()], CLEAN).to_dict(), report([finding("FR-02")], ROUGH).to_dict()
    text = render_json(compare(old, new))
    assert text == render_json(compare(old, new))
    document = json.loads(text)
    assert document["schema"] == "wsaudit.diff/1"
    assert [each["rule"] for each in document["came"]] == ["FR-02"]
    assert document["distributions"]["endings"][0]["more_than_chance"] is True


def test_text_from_a_report_is_harmless():
    hostile = finding(path="/\x1b[2J")
    made = report([hostile], [connection(1, path="/\x1b[2J")]).to_dict()
    assert "\x1b" not in render_text(compare(report([], CLEAN).to_dict(), made), "a\x1b[2J", "b")
