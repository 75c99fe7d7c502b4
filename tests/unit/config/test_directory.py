"""Who pays: rules of the config and lines of teams.csv, no caller mapped twice at once."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from apportion.config.values import BEGINNING
from apportion.domain.period import FOREVER, Period
from tests.unit.config.conftest import Loaded, Problems

HEADER = "principal,team,team_name,project,cost_center,effective_from,effective_to\n"
FILE = '[directory]\nfile = "teams.csv"\n'


def rules(*lines: str) -> str:
    """A `[directory]` table with rules."""
    return "[directory]\nrules = [\n" + "".join(f"{{ {line} }},\n" for line in lines) + "]\n"


def test_rules_keep_their_order_before_the_files(loaded: Loaded) -> None:
    """First match wins, so the order is the meaning."""
    text = rules('principal = "b*", team = "x"', 'namespace = "n", source = "s?", team = "y"') + 'file = "teams.csv"\n'
    config = loaded(text, teams=HEADER + "a*,z,Zed,pz,CC,2026-10-01T00:00:00Z,\n")
    assert [(rule.principal, rule.namespace, rule.source, rule.team) for rule in config.directory.rules] == [
        ("b*", None, None, "x"),
        (None, "n", "s?", "y"),
        ("a*", None, None, "z"),
    ]
    last = config.directory.rules[-1]
    assert (last.team_name, last.project, last.cost_center) == ("Zed", "pz", "CC")
    assert last.effective == Period(datetime(2026, 10, 1, tzinfo=UTC), FOREVER)
    assert config.directory.rules[0].effective == Period(BEGINNING, FOREVER)


def test_tags_that_rules_use_are_kept_on_events(loaded: Loaded) -> None:
    """The allow-list holds the project, the rules' tags and those asked for."""
    text = rules('tag = { env = "prod", tier = "*" }, team = "x"', 'tag = "squad"') + 'tags = ["region"]\n'
    config = loaded(text)
    assert config.tag_allow_list == {"project", "env", "tier", "squad", "region"}
    assert [(rule.tags, rule.team, rule.team_tag) for rule in config.directory.rules] == [
        ((("env", "prod"), ("tier", "*")), "x", ""),
        ((), "", "squad"),
    ]


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (rules('principal = "a"'), "rules[0].team", 'is missing; name who pays, or write tag = "team"'),
        (rules('team = "a"'), "rules[0]", "has no selector"),
        (rules('tag = {}, team = "a"'), "rules[0]", "has no selector"),
        (rules('tag = "team", team = "a"'), "rules[0].team", 'stands beside tag = "team"'),
        (rules('principal = "a", team = "__idle__"'), "rules[0].team", "begins with __"),
        (rules('principal = "", team = "a"'), "rules[0].principal", "is empty; write a name"),
        (rules("tag = { env = 1 }, team = 'a'"), "rules[0].tag.env", "is an integer; write a string"),
        (rules("tag = 5, team = 'a'"), "rules[0].tag", "is an integer; write a table"),
        (rules('principal = "a", team = "a", effective_from = 2026-10-01T00:00:00'), "rules[0].effective_from", "no zone"),
        ("[directory]\ncost_centers = { __idel__ = 'CC' }\n", "cost_centers.__idel__", "did you mean __idle__?"),
        (FILE, "file", "teams.csv does not exist; create it with the header principal,team"),
        ('[directory]\nfile = "."\n', "file", "cannot be read (Is a directory); give this user access"),
    ],
)  # fmt: skip
def test_a_wrong_rule_names_its_place(text: str, place: str, said: str, problems: Problems) -> None:
    """Each is one problem with its remedy."""
    found = problems(text)
    assert len(found) == 1, found
    assert found[0].startswith(f"apportion.toml:directory.{place}: ")
    assert said in found[0]


def test_system_teams_take_cost_centers(loaded: Loaded) -> None:
    """Idle and overhead are booked somewhere; a team's own default may be given as well."""
    config = loaded("[directory]\ncost_centers = { __idle__ = 'CC-000', __unmapped__ = 'CC-9', ads = 'CC-1' }\n")
    assert config.directory.cost_centers == {"__idle__": "CC-000", "__unmapped__": "CC-9", "ads": "CC-1"}


@pytest.mark.parametrize(
    ("text", "teams", "said"),
    [
        (
            rules('principal = "k-1", team = "a"', 'principal = "k-1", team = "b"'),
            None,
            "maps principal 'k-1' twice: apportion.toml:directory.rules[0] does so always, this always; remove one, or",
        ),
        (
            rules('tag = { env = "p", team = "t" }, team = "a"', 'tag = { team = "t", env = "p" }, team = "a"'),
            None,
            "apportion.toml:directory.rules[1]: maps env 'p' and team 't' twice: ",
        ),
        (
            FILE,
            HEADER + "k,a,,,,2026-10-01T00:00:00Z,\nj,a,,,,,\nk,b,,,,,2026-11-01T00:00:00Z\n",
            "teams.csv:4: maps principal 'k' twice: teams.csv:2 does so from 2026-10-01T00:00:00Z on, this until 2026-11",
        ),
        (
            rules('principal = "k", team = "a"') + 'file = "teams.csv"\n',
            HEADER + "k,b,,,,,\n",
            "teams.csv:2: maps principal 'k' twice: apportion.toml:directory.rules[0] does so",
        ),
    ],
)
def test_one_key_is_not_mapped_twice_at_once(text: str, teams: str | None, said: str, problems: Problems) -> None:
    """Equal selectors with overlapping dates are refused, across the config and its file."""
    found = problems(text, teams=teams)
    assert len(found) == 1, found
    assert said in found[0]


def test_a_key_may_change_hands(loaded: Loaded) -> None:
    """Equal selectors with dates apart are a transfer; different selectors may match one caller, and the first wins."""
    teams = HEADER + "k,a,,,,,2026-11-01T00:00:00Z\nk,b,,,,2026-11-01T00:00:00Z,\nk*,c,,,,,\n"
    assert [rule.team for rule in loaded(FILE, teams=teams).directory.rules] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("teams", "expected"),
    [
        (HEADER + "k,,,,,,\n", ["teams.csv:2: team is empty; write a name"]),
        (HEADER + ",a,,,,,\n", ["teams.csv:2: principal is empty; write a name"]),
        (HEADER + "k,__idle__,,,,,\n", ["teams.csv:2: team '__idle__' begins with __"]),
        (HEADER + "k,a,,,,2026-10-01,\n", ["teams.csv:2: effective_from is '2026-10-01', which is not a time with a zone; write it as"]),
        (HEADER + "k,a,,,,2026-10-01T00:00:00Z,2026-10-01T00:00:00Z\n", ["teams.csv:2: effective_to is 2026-10-01T00:00:00Z, not after effective_from"]),
        (HEADER + "\nk,a\nj,b,Bee, B,,,,\n", ["teams.csv:3: has 2 cells, and the header 7", "teams.csv:4: has 8 cells, and the header 7; quote cells that hold commas"]),
        (HEADER + 'k,"a\nb",,,,,\n,c,,,,,\n', ["teams.csv:2: team 'a\\nb' has spaces around it or control characters", "teams.csv:4: principal is empty"]),
        (HEADER + 'k,"a"b,,,,,\n', ["teams.csv:2: is not CSV ("]),
        ("principal,taem\nk,a\n", ["teams.csv:1: unknown column 'taem'; did you mean team?", "teams.csv:1: has no column team; add it"]),
        ("principal,team,team\nk,a,b\n", ["teams.csv:1: has the column team twice; remove one"]),
        ("", ["teams.csv:1: has no header; begin with principal,team"]),
        (b"principal,team\n\xff,a\n", ["teams.csv:1: is not UTF-8 text (byte 15); save the file as CSV in UTF-8"]),
    ],
)  # fmt: skip
def test_a_wrong_line_names_itself(teams: str | bytes, expected: list[str], problems: Problems) -> None:
    """Every problem of the file is told, by line."""
    found = problems(FILE, teams=teams)
    assert len(found) == len(expected), found
    for problem, start in zip(found, expected, strict=True):
        assert problem.startswith(start)


def test_a_file_in_the_wrong_shape_does_not_drown_the_rest(problems: Problems) -> None:
    """After fifty problems the others are counted."""
    found = problems(FILE, teams=HEADER + "k,,,,,,\n" * 60)
    assert len(found) == 51
    assert found[-1] == "teams.csv: has 10 more problems like these; correct these first"


def test_spreadsheets_are_read(loaded: Loaded) -> None:
    """A byte order mark, Windows line ends, spaces around cells, quotes and missing optional columns are no problem."""
    config = loaded(FILE, teams=b'\xef\xbb\xbfteam, principal\r\n"a, b",k-1 \r\n\r\nc,k-2\r\n')
    assert [(rule.principal, rule.team) for rule in config.directory.rules] == [("k-1", "a, b"), ("k-2", "c")]


def test_ten_thousand_lines_are_read_in_a_moment(loaded: Loaded) -> None:
    """The cost of a directory grows with its lines, not with their pairs."""
    teams = HEADER + "".join(f"key-{number},team-{number % 50},,,CC-{number % 9},,\n" for number in range(10_000))
    began = time.perf_counter()
    config = loaded(FILE, teams=teams)
    assert time.perf_counter() - began < 5
    assert len(config.directory.rules) == 10_000
