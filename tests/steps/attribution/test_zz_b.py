"""Callers become teams by the first directory rule in force that fits them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apportion.domain.period import FOREVER
from apportion.ledger import step
from attribution.attribute import MAPPING, steps

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def mapped(books):
    """Rebuild the mapping; answers (from, to, team) by caller in order of time."""
    step.run(books.session, [steps()[name] for name in MAPPING], books.span(0), {}, books.clock)
    found = {}
    for caller, *rest in books.session.rows(
        "SELECT caller_no, effective_from, effective_to, team FROM attribution.caller_team ORDER BY ALL"
    ):
        found.setdefault(caller, []).append(tuple(rest))
    return found


def teams(books):
    """Team by caller, where time does not matter."""
    return {caller: team for caller, [(_, _, team)] in mapped(books).items()}


def column(books, name):
    """A column of the mapping by caller."""
    mapped(books)
    return dict(books.session.rows(f"SELECT caller_no, {name} FROM attribution.caller_team"))


def test_no_rule_is_unmapped_for_all_time(books):
    """A caller that no rule fits is __unmapped__, from the beginning to the end of time."""
    caller = books.caller("k")

    assert mapped(books) == {caller: [(BEGINNING, FOREVER, "__unmapped__")]}


def test_lowest_rule_wins(books):
    """Of the rules that fit, the one with the lowest number decides, wherever it stands in the table."""
    caller = books.caller("key-1")
    books.rule(2, "second", principal="key-1")
    books.rule(1, "first", principal="key-%")
    books.rule(3, "third")

    assert teams(books) == {caller: "first"}


@pytest.mark.parametrize(
    ("pattern", "principal", "fits"),
    [
        ("key-1", "key-1", True),
        ("key-1", "KEY-1", False),
        ("key-1", "key-11", False),
        ("key-%", "key-", True),
        ("key-_", "key-1", True),
        ("key-_", "key-", False),
        (r"key\_1", "key_1", True),
        (r"key\_1", "keyx1", False),
        (r"k\%\_%", "k%_1", True),
        (r"k\%\_%", "kab1", False),
        (r"back\\slash", r"back\slash", True),
        (r"back\\%", r"back\slash", True),
        ("%-prod", "ads-prod", True),
        ("é_ü%", "éxü", True),
        ("%", "", True),
        ("", "", True),
    ],
)
def test_principal_patterns(books, pattern, principal, fits):
    """Principals fit whole, letter for letter, case and all; an escaped sign is itself."""
    caller = books.caller(principal)
    books.rule(1, "t", principal=pattern)

    assert teams(books) == {caller: "t" if fits else "__unmapped__"}


def test_all_selectors_of_a_rule_must_fit(books):
    """Principal, namespace, source and every tag of one rule are ANDed."""
    fits = books.caller("k1", "prod-1", "litellm", env="prod", tier="gold")
    others = [
        books.caller("x1", "prod-1", "litellm", env="prod", tier="gold"),
        books.caller("k1", "dev-1", "litellm", env="prod", tier="gold"),
        books.caller("k1", "prod-1", "envoy", env="prod", tier="gold"),
        books.caller("k1", "prod-1", "litellm", env="dev", tier="gold"),
        books.caller("k1", "prod-1", "litellm", env="prod"),
    ]
    books.rule(1, "t", principal="k%", namespace="prod-%", source="litellm", tags={"env": "prod", "tier": "%"})

    assert teams(books) == {fits: "t"} | dict.fromkeys(others, "__unmapped__")


def test_exact_namespace_and_tag_rules(books):
    """Rules without a principal find their callers by an exact tag or namespace, escaped signs included."""
    by_namespace, by_tag, neither = (
        books.caller("a", "ns_1"),
        books.caller("b", "n", app="x%"),
        books.caller("c", "nsx1", app="xy"),
    )
    books.rule(1, "n", namespace=r"ns\_1")
    books.rule(2, "t", tags={"app": r"x\%"})

    assert teams(books) == {by_namespace: "n", by_tag: "t", neither: "__unmapped__"}


def test_tag_gives_the_team(books):
    """A team tag takes the tag's value as the team, and fits only callers that carry a value."""
    ads, empty, absent = books.caller("a", team="ads"), books.caller("b", team=""), books.caller("c")
    books.rule(1, team_tag="team", cost_center="CC-9")
    books.rule(2, "rest")

    assert teams(books) == {ads: "ads", empty: "rest", absent: "rest"}
    assert column(books, "cost_center")[ads] == "CC-9"


def test_nobody_impersonates_a_system_team(books):
    """A tag or a rule that names a system team leaves its callers unmapped, and lends them no name or cost center."""
    sly, misled = books.caller("a", team="__idle__"), books.caller("b")
    books.rule(1, team_tag="team", cost_center="CC-1", team_name="Sly")
    books.rule(2, "__overhead__", cost_center="CC-2")

    assert teams(books) == {sly: "__unmapped__", misled: "__unmapped__"}
    assert column(books, "cost_center || team_name") == {sly: "", misled: ""}


def test_project_is_the_rules_else_the_callers(books):
    """A rule's project goes before the caller's tag, which counts for unmapped callers too."""
    ruled, tagged, unmapped = (
        books.caller("a", project="x"),
        books.caller("b", project="y"),
        books.caller("c", project="z"),
    )
    books.rule(1, "t", principal="a", project="given")
    books.rule(2, "t", principal="b")

    assert column(books, "project") == {ruled: "given", tagged: "y", unmapped: "z"}


def test_given_cost_centers_fill_what_rules_leave_open(books):
    """A team's own cost center, and that given to __unmapped__, stand where no rule says one."""
    ruled, open_, unmapped = books.caller("a"), books.caller("b"), books.caller("c")
    books.rule(1, "t", principal="a", cost_center="CC-1")
    books.rule(2, "t", principal="b")
    for team, center in (("t", "CC-T"), ("__unmapped__", "CC-U")):
        books.session.do("INSERT INTO book.cost_center VALUES ($team, $center)", {"team": team, "center": center})

    assert column(books, "cost_center") == {ruled: "CC-1", open_: "CC-T", unmapped: "CC-U"}


def test_rules_take_turns_in_time(books):
    """Each stretch of time has the first rule in force then, and stretches with the same rule are one."""
    caller = books.caller("k")
    books.rule(1, "b", principal="k", start=books.hour(10), end=books.hour(20))
    books.rule(2, "a", principal="k", end=books.hour(30))
    books.rule(3, "hidden", principal="k", start=books.hour(5), end=books.hour(12))

    assert mapped(books) == {
        caller: [
            (BEGINNING, books.hour(10), "a"),
            (books.hour(10), books.hour(20), "b"),
            (books.hour(20), books.hour(30), "a"),
            (books.hour(30), FOREVER, "__unmapped__"),
        ]
    }


def fits(pattern, text):
    """Whether a LIKE pattern fits, said another way."""
    expression = "".join(
        re.escape(part[1]) if part.startswith("\\") else {"%": ".*", "_": "."}.get(part, re.escape(part))
        for part in re.findall(r"\\.|.", pattern, re.DOTALL)
    )
    return re.fullmatch(expression, text, re.DOTALL) is not None


patterns = st.lists(st.sampled_from(["a", "b", "%", "_", r"\%", r"\_"]), max_size=4).map("".join)
names = st.text(st.sampled_from("ab%_"), max_size=3)
tags = st.dictionaries(st.sampled_from(["t", "u"]), names, max_size=2)
rules = st.fixed_dictionaries(
    {
        "principal": st.none() | patterns,
        "namespace": st.none() | patterns,
        "tags": st.dictionaries(st.sampled_from(["t", "u"]), patterns, max_size=2),
        "team_tag": st.sampled_from(["", "", "t"]),
        "during": st.tuples(st.integers(0, 6), st.integers(0, 6)).map(sorted),
    }
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    callers=st.lists(st.tuples(names, names, tags), min_size=1, max_size=4, unique_by=json.dumps),
    directory=st.lists(rules, max_size=5),
)
def test_mapping_equals_asking_every_rule(books, callers, directory):
    """At every instant the mapping says what going through the rules one by one says."""
    books.emptied()
    numbered = {
        books.caller(principal, namespace, **with_tags): (principal, namespace, with_tags)
        for principal, namespace, with_tags in callers
    }
    limits = {0: BEGINNING, 6: FOREVER}
    at = {edge: limits.get(edge, books.hour(edge)) for edge in range(7)}
    for number, rule in enumerate(directory):
        books.rule(
            number,
            "" if rule["team_tag"] else f"team{number}",
            principal=rule["principal"],
            namespace=rule["namespace"],
            tags=rule["tags"],
            team_tag=rule["team_tag"],
            start=at[rule["during"][0]],
            end=at[rule["during"][1]],
        )

    found = mapped(books)

    for caller, (principal, namespace, with_tags) in numbered.items():
        assert found[caller][0][0] == BEGINNING
        assert found[caller][-1][1] == FOREVER
        assert all(before[1] == after[0] for before, after in zip(found[caller], found[caller][1:], strict=False))
        for edge in range(6):
            expected = "__unmapped__"
            for number, rule in enumerate(directory):
                team = with_tags.get(rule["team_tag"], "") if rule["team_tag"] else f"team{number}"
                if (
                    rule["during"][0] <= edge < rule["during"][1]
                    and team
                    and (rule["principal"] is None or fits(rule["principal"], principal))
                    and (rule["namespace"] is None or fits(rule["namespace"], namespace))
                    and all(tag in with_tags and fits(pattern, with_tags[tag]) for tag, pattern in rule["tags"].items())
                ):
                    expected = "__unmapped__" if team.startswith("__") else team
                    break
            instant = at[edge] + timedelta(microseconds=1)
            assert [team for start, end, team in found[caller] if start <= instant < end] == [expected]
