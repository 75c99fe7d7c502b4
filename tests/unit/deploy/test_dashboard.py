"""The dashboard as a file: whatever can be wrong with it before Grafana reads it."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from exporters.prometheus import Exposition

DEPLOY = Path(__file__).parents[3] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana" / "cost-per-team.json").read_text(encoding="utf-8"))
ROWS = [panel for panel in DASHBOARD["panels"] if panel["type"] == "row"]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
VARIABLES = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

each_panel = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])


def expressions(panel: dict[str, Any]) -> list[str]:
    return [target["expr"] for target in panel["targets"]]


def test_it_is_found_by_name_and_uid() -> None:
    """Links and provisioning rest on the uid; people look for the title."""
    assert (DASHBOARD["title"], DASHBOARD["uid"]) == ("Cost per team", "apportion-cost-per-team")
    assert DASHBOARD["description"]
    assert DASHBOARD["timezone"] == "utc"
    assert "id" not in DASHBOARD


def test_panels_and_queries_have_ids_of_their_own() -> None:
    """No two panels share an id or a title, no two queries of a panel a letter."""
    panels = [*ROWS, *PANELS]

    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    for panel in PANELS:
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0


@each_panel
def test_a_panel_says_what_it_shows_and_in_what_unit(panel: dict[str, Any]) -> None:
    """Title, a description in sentences, and a unit."""
    assert panel["title"]
    assert len(panel["description"]) > 30
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]


@each_panel
def test_a_panel_reads_the_data_source_of_the_variable(panel: dict[str, Any]) -> None:
    """No data source is hard-wired, in the panel or in a query."""
    assert panel["datasource"] == SOURCE
    assert all(target["datasource"] == SOURCE for target in panel["targets"])


@each_panel
def test_counters_are_only_read_as_differences(panel: dict[str, Any]) -> None:
    """A counter alone on a panel says nothing: it stands in a rate, an increase, or against itself earlier; or is a total."""
    for expression in expressions(panel):
        if re.search(r"_total\b", expression):
            assert (
                re.search(r"rate\(|increase\(|offset ", expression) or "since the ledger began" in panel["description"]
            )


@each_panel
def test_only_declared_variables_are_used(panel: dict[str, Any]) -> None:
    """Every $name in a query or title is a variable of the dashboard."""
    used = set(re.findall(r"\$\{?(\w+)", " ".join([panel["title"], *expressions(panel)])))

    assert used <= set(VARIABLES)


@each_panel
def test_only_metrics_that_are_exported_are_read(panel: dict[str, Any]) -> None:
    """Every metric in a query is one that `describe` knows."""
    known = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in Exposition("USD", "").describe()
    }
    read = {name for expression in expressions(panel) for name in re.findall(r"apportion_\w+", expression)}

    assert read
    assert read <= known


def test_panels_do_not_overlap_and_fit_the_grid() -> None:
    """Grafana's grid has 24 columns; no cell has two panels."""
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x, y in itertools.product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        )
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_variables_can_be_chosen() -> None:
    """A data source, teams from the metric that is shown, and a window."""
    assert VARIABLES["datasource"]["query"] == "prometheus"
    assert VARIABLES["team"]["datasource"] == SOURCE
    assert VARIABLES["team"]["definition"] == "label_values(apportion_month_to_date_cost_usd, team)"
    assert VARIABLES["window"]["query"].split(",") == [option["value"] for option in VARIABLES["window"]["options"]]
    assert [option["value"] for option in VARIABLES["window"]["options"] if option["selected"]] == ["1d"]


def test_what_has_nobodys_name_on_it_stands_apart() -> None:
    """Idle, unmeasured, unattributed and overhead cost has a panel of its own, and is not among the teams."""
    apart = next(panel for panel in PANELS if panel["title"] == "Borne by nobody yet")
    teams = next(panel for panel in PANELS if panel["title"] == "Month-to-date cost by team")

    assert 'team=~"__(idle|unmeasured|unattributed|overhead)__"' in expressions(apart)[0]
    assert 'team!~"__(idle|unmeasured|unattributed|overhead)__"' in expressions(teams)[0]
