import json

import pytest
from click.testing import CliRunner, Result

from wsaudit.cli.codes import codes


def run(*arguments: str) -> Result:
    return CliRunner().invoke(codes, list(arguments))


def page(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert max(map(len, result.output.splitlines())) <= 80
    return " ".join(result.output.split())


def test_1006_answers_the_question_everybody_has() -> None:
    text = page("1006")
    assert text.startswith("1006 Abnormal Closure Sent by nobody: APIs report it, no frame carries it")
    for answer in ("no Close frame had arrived", "load balancer cut an idle connection", "process at the other end died",
                   "handshake never succeeded", "FIN, RST or silence", "What to do"):  # fmt: skip
        assert answer in text


def test_1000() -> None:
    text = page("1000")
    assert text.startswith("1000 Normal Closure Sent by client and server Reference RFC 6455 §7.4.1")
    assert "Usual causes" in text
    assert "private meanings" not in text


def test_4401_lists_what_applications_mean_by_it() -> None:
    text = page("4401")
    assert text.startswith("4401 Private Use (one of 4000-4999)")
    assert "Known private meanings - unauthorized (graphql-transport-ws):" in text


def test_3000() -> None:
    assert page("3000").startswith("3000 Unauthorized Sent by client and server Reference IANA registry")


@pytest.mark.parametrize("code", ["0", "999", "1005", "1010", "1011", "1015", "2999", "3500", "4150", "65535"])
def test_every_kind_of_code_has_a_page(code: str) -> None:
    text = page(code)
    assert text.startswith(f"{code} ")
    assert "Usual causes" in text
    assert "What to do" in text


@pytest.mark.parametrize("code", ["70000", "65536", "abc", "-5", "1006.0", "1_006", "", "١٠٠٦", "9" * 5000])
def test_nonsense_is_a_usage_error(code: str) -> None:
    result = run(code)
    assert result.exit_code == 2
    assert "Error" in result.output


def test_nonsense_is_told_what_a_code_is() -> None:
    assert "a close code is a number from 0 to 65535, not '70000'" in run("70000").output


def test_the_table_has_every_code_and_range_in_order() -> None:
    text = page()
    assert "1000 Normal Closure both" in text
    assert "1006 Abnormal Closure nobody" in text
    assert "4000-4999 Private Use both" in text
    rows = run().output.split("\n\n")[0].splitlines()[1:]
    firsts = [int(row.split()[0].partition("-")[0]) for row in rows]
    assert firsts[0] == 0
    assert firsts == sorted(firsts)


def test_json_of_one_code() -> None:
    result = run("4401", "--format", "json")
    found = json.loads(result.stdout)
    assert (found["code"], found["name"], found["sender"]) == (4401, "Private Use", "both")
    assert (found["first"], found["last"]) == (4000, 4999)
    assert found["private"][0]["owner"] == "graphql-transport-ws"


def test_json_of_all_codes() -> None:
    found = json.loads(run("-f", "json").stdout)
    assert found[0]["first"] == 0
    assert {entry["code"] for entry in found} >= set(range(1000, 1016))
