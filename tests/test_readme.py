"""What the documentation promises is true: its commands exist and run, what it shows is what they print, its tables are those of
the code, its links lead somewhere.

    pytest tests/test_readme.py --update-golden

writes anew what is taken from the code: transcripts (fenced blocks that begin with `$ wsaudit`) and what stands between a
`<!-- NAME: ... -->` and its `<!-- /NAME -->` (GENERATED). Read the difference before you commit it.
"""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest
from click.testing import CliRunner, Result

from wsaudit.cli import COMMANDS, cli
from wsaudit.cli.audit import FORMATS
from wsaudit.rules.rule import CATALOGUE, LEVELS, SECTIONS, Rule, ordered

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PAGES = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
EXITS = re.compile(r"# .*\bexits? (?:code )?(\d)")
NAMES = {page: str(page.relative_to(ROOT)) for page in PAGES}


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


class Command(NamedTuple):
    """One `wsaudit ...` in a block: the line it stands on, the arguments behind the program's name, the exit code it announces,
    and whether something is piped into it or it is piped into something."""

    line: str
    arguments: list[str]
    exit_code: int
    alone: bool


def commands(page: Path) -> Iterator[Command]:
    """The commands in the blocks of a page: of transcripts only what follows `$ `."""
    for _, language, body in FENCE.findall(read(page)):
        for line in body.replace("\\\n", " ").splitlines():
            if language == "console":
                if not line.startswith("$ "):
                    continue
                line = line[2:]
            elif language != "sh":
                continue
            exits = EXITS.search(line)
            words = shlex.split(line, comments=True)
            alone = not {"|", "&&", ">"} & set(words)
            for part in split(words):
                if part[0] == "wsaudit":
                    yield Command(line, part[1:], int(exits[1]) if exits else 0, alone)


def split(words: list[str]) -> Iterator[list[str]]:
    """The commands of a line, cut at pipes and the like."""
    part: list[str] = []
    for word in [*words, "|"]:
        if word in ("|", "&&", ">"):
            if part:
                yield part
            part = []
        else:
            part.append(word)


def run(arguments: list[str]) -> Result:
    return CliRunner(env={"COLUMNS": "80", "NO_COLOR": "1"}).invoke(cli, arguments)


# -- commands --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=NAMES.get)
def test_commands_and_options_exist(page: Path) -> None:
    context = click.Context(cli)
    for command in commands(page):
        if command.arguments[0].startswith("-"):
            continue
        found = cli.get_command(context, command.arguments[0])
        assert found is not None, command.line
        known = {name for parameter in found.params for name in parameter.opts} | {"--help"}
        assert {word for word in command.arguments if re.match(r"--?[a-z]", word)} <= known, command.line


def test_the_readme_shows_every_command() -> None:
    assert {command.arguments[0] for command in commands(README)} >= set(COMMANDS)


def test_the_readme_names_every_format() -> None:
    assert [name for name in FORMATS if f"`{name}`" not in read(README)] == []


def test_the_readme_s_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the page, in one folder, as a reader would who has cloned the repository."""
    (tmp_path / "sample_pcaps").symlink_to(ROOT / "sample_pcaps")
    monkeypatch.chdir(tmp_path)
    ran = 0
    for command in commands(README):
        if command.alone:
            result = run(command.arguments)
            assert result.exit_code == command.exit_code, f"{command.line}\n{result.output}"
            ran += 1
    assert ran > 15


def test_the_readme_s_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sample_pcaps").symlink_to(ROOT / "sample_pcaps")
    monkeypatch.chdir(tmp_path)
    blocks = [body for _, language, body in FENCE.findall(read(README)) if language == "python" and not body.startswith("@rule")]
    assert blocks
    for body in blocks:
        exec(compile(body, str(README), "exec"), {})


# -- transcripts -----------------------------------------------------------------------------------------------------------------

TRANSCRIPTS = [body.splitlines()[0] for _, language, body in FENCE.findall(read(README)) if language == "console"]


@pytest.mark.parametrize("line", TRANSCRIPTS)
def test_transcript(line: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # reports name their inputs as they were given
    result = run(shlex.split(line)[2:])
    assert result.exit_code == 0, result.output
    transcript = f"{line}\n{result.stdout}"
    block = re.compile(rf"(?<=^```console\n){re.escape(line)}\n.*?(?=^```$)", re.DOTALL | re.MULTILINE)
    if request.config.getoption("--update-golden"):
        README.write_text(block.sub(lambda _: transcript, read(README)), encoding="utf-8")
    assert block.findall(read(README)) == [transcript]


# -- what is generated -----------------------------------------------------------------------------------------------------------


def rules_of(section: str) -> list[Rule]:
    return [rule for rule in ordered() if rule.section == section]


def sections() -> str:
    """The sections of the catalogue: a row each, with two examples."""
    lines = ["| about | ids | rules | for example |", "|---|---|---:|---|"]
    for section in SECTIONS.values():
        rules = rules_of(section)
        if rules:
            examples = sorted(rules, key=lambda rule: LEVELS.index(rule.level))[:2]
            names = ", ".join(f"`{rule.name}`" for rule in examples)
            lines.append(f"| {section} | {rules[0].id} to {rules[-1].id} | {len(rules)} | {names} |")
    return "\n".join([*lines, f"| | | {len(CATALOGUE)} | |"])


def rules() -> str:
    """The whole catalogue, a table for each section."""
    parts = []
    for section in SECTIONS.values():
        if rules_of(section):
            parts += [f"## {section}", "", "| id | name | fault | level | severity | at fault | reference |", "|" + "---|" * 7]
            parts += map(row, rules_of(section))
            parts.append("")
    return "\n".join(parts).strip()


def row(rule: Rule) -> str:
    cells = (rule.id, f"`{rule.name}`", rule.title, rule.level, rule.severity, rule.at_fault, rule.reference)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def example_rule() -> str:
    """A real rule, as it stands in the code."""
    return f"```python\n{inspect.getsource(CATALOGUE['CT-01'].body).rstrip()}\n```"


RULES = ROOT / "docs" / "rules.md"
GENERATED: dict[str, tuple[Path, Callable[[], str]]] = {
    "sections": (README, sections),
    "example-rule": (README, example_rule),
    "rules": (RULES, rules),
}


@pytest.mark.parametrize("name", GENERATED)
def test_generated(name: str, request: pytest.FixtureRequest) -> None:
    page, write = GENERATED[name]
    made = f"\n{write()}\n"
    between = re.compile(rf"(?<=-->)(?<=<!-- {name}: from the code -->).*?(?=<!-- /{name} -->)", re.DOTALL)
    if request.config.getoption("--update-golden"):
        page.write_text(between.sub(lambda _: made, read(page)), encoding="utf-8")
    assert between.findall(read(page)) == [made]


# -- links and places ------------------------------------------------------------------------------------------------------------

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", FENCE.sub("", read(page)), re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=NAMES.get)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", read(page))):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_pages_know_each_other() -> None:
    """Every page of docs/ is linked from the README."""
    linked = set(LINK.findall(read(README)))
    assert [page.name for page in PAGES[2:] if f"docs/{page.name}" not in {link.partition("#")[0] for link in linked}] == []


PLACE = re.compile(r"\[`[^`]+`\]\((wsaudit/[\w/.]+)\): ((?:`\w+`(?:, )?)+)")


def test_what_decides_is_where_the_readme_says() -> None:
    """Each function or class that the README names is defined in the file it names."""
    places = [(path, name) for path, names in PLACE.findall(read(README)) for name in re.findall(r"`(\w+)`", names)]
    assert len(places) > 15
    for path, name in places:
        assert re.search(rf"^ *(?:def |class )?{name}\b(?:\(|:| = )", read(ROOT / path), re.MULTILINE), f"{name} in {path}"
