"""Causes of lines: each one that metering writes has a meaning, somebody who can act, and a next step."""

from __future__ import annotations

import re

import pytest

from apportion.config import downtime
from exporters import causes
from metering import steps
from tests.architecture import tree

README = (tree.ROOT / "metering" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("title", "known"), [("idle", causes.IDLE), ("work that is nobody's", causes.UNATTRIBUTED)])
def test_the_page_about_metering_says_the_same(title: str, known: dict[str, causes.Cause]) -> None:
    """The tables of causes on metering's page are these, word for word."""
    table = README.split(f"**Causes of {title}**")[1].split("|\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", f"{table}|", re.MULTILINE)

    assert {cause: (means, act) for cause, means, act in rows} == {
        name: (cause.means, cause.who_can_act) for name, cause in known.items()
    }


def test_every_cause_of_a_line_without_a_cost_is_known() -> None:
    """The causes with which a line may go without a cost, by the audit that refuses others, are those here."""
    (audit,) = (query for query in steps.AUDITS if query.name == "unpriced_is_explained")
    allowed = re.findall(r"'(\w+)'", audit.sql.split("IS NULL) <> (")[1])

    assert set(allowed) - {"workload", "external"} == set(causes.UNPRICED)


def test_every_cause_that_can_be_declared_is_known() -> None:
    """Downtime is declared with a cause that somebody can act upon."""
    assert set(downtime.CAUSES) <= set(causes.IDLE)


@pytest.mark.parametrize("name", sorted(causes.CAUSES))
def test_a_cause_names_somebody_and_something_to_do(name: str) -> None:
    """All three parts are there, as parts of a sentence."""
    cause = causes.CAUSES[name]

    assert all((cause.means, cause.owner, cause.next_step))
    assert cause.who_can_act == f"{cause.owner}: {cause.next_step}"
    assert not cause.means.endswith(".")
    assert not cause.next_step.endswith(".")


def test_lines_without_a_cause_speak_by_their_kind_or_team() -> None:
    """Unmeasured, shared, external and unmapped lines have something to say too; plain work has not."""
    named = {
        ("unmeasured", "", "__unmeasured__"): "unmeasured",
        ("overhead", "no_price", "__overhead__"): "overhead",
        ("external", "", "ads"): "external",
        ("external", "no_price", "__unmapped__"): "no_price",
        ("workload", "", "__unmapped__"): "__unmapped__",
    }

    assert {line: said[0] for line in named if (said := causes.of_line(*line))} == named
    assert causes.of_line("workload", "", "ads") is None


def test_who_maps_callers_is_led_to_the_command_that_names_them() -> None:
    """Status knows how much is unmapped, and only check knows whose it is."""
    said = causes.of_line("workload", "", "__unmapped__")

    assert said is not None
    assert said[1].next_step == "add a row for them; `apportion check` names the weightiest"


def test_a_cause_that_is_not_known_leads_to_its_hours() -> None:
    """A cause of another version still says where to look."""
    assert causes.next_step("no_price").startswith("write a [[prices.overrides]] row")
    assert causes.next_step("of another version") == "`apportion explain` shows its hours"
