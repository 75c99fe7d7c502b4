"""A real Prometheus scrapes a real /metrics, and every query of the dashboard answers what the results file says."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apportion.domain.period import month
from apportion.ledger.connection import Session, read_only
from apportion.listener import listen
from exporters.arrivals import Arrivals, SourceState
from exporters.chargeback import month_table
from exporters.prometheus import Exposition
from exporters.results import publish
from exporters.scrape import Scrape
from tests.component.conftest import DEPLOY, Prometheus, until
from tests.frozen import FrozenClock
from tests.unit.exporters import books

pytestmark = pytest.mark.component

CHOSEN = "search|ads"
DASHBOARD = json.loads((DEPLOY / "grafana" / "cost-per-team.json").read_text(encoding="utf-8"))
PANELS = {panel["title"]: panel for panel in DASHBOARD["panels"] if panel["type"] != "row"}

Found = dict[tuple[str, ...], float]
Exact = dict[tuple[str, ...], Decimal]

# What the second publish adds: search works on, an hour of ads is restated to less, a team appears that was not there.
SECOND_HOUR = """
UPDATE attribution.charge_monthly SET effective_cost_nano = effective_cost_nano + 750000000
    WHERE billing_period = TIMESTAMP '2026-10-01' AND team = 'search' AND token_kind = 'output';
UPDATE attribution.charge_monthly SET effective_cost_nano = effective_cost_nano - 250000001
    WHERE billing_period = TIMESTAMP '2026-10-01' AND team = 'ads' AND token_kind = 'output' AND cost_kind = 'workload';
INSERT INTO attribution.charge_monthly BY NAME
    SELECT billing_period, 'maps' AS team, team_name, project, cost_center, provider, model_no, pool_no, deployment_no, tier, cost_kind,
        cause, token_kind, 12 AS consumed_tokens, 125000000 AS effective_cost_nano, allocation_method, confidence, policy_version
    FROM attribution.charge_monthly
    WHERE team = 'ads' AND token_kind = 'output' AND cost_kind = 'workload';
UPDATE metering.origin_charge_hourly SET effective_cost_nano = effective_cost_nano + 624999999 WHERE effective_cost_nano > 40;
UPDATE attribution.counter SET charged = charged + 750000000 WHERE metric = 'cost' AND team = 'search' AND token_kind = 'output';
UPDATE attribution.counter SET credited = credited + 250000001 WHERE metric = 'cost' AND team = 'ads' AND token_kind = 'output';
INSERT INTO attribution.counter SELECT 'cost', 'maps', model, pool, cost_kind, token_kind, '', 125000000, 0
    FROM attribution.counter WHERE metric = 'cost' AND team = 'ads' AND token_kind = 'output';
UPDATE attribution.counter SET charged = charged + 3000 WHERE metric = 'tokens' AND team = 'search' AND token_kind = 'output';
UPDATE attribution.counter SET charged = charged + 900000000 WHERE metric = 'gpu_us' AND state = 'workload';
INSERT INTO raw.batch BY NAME SELECT * REPLACE (batch_no + 10 AS batch_no) FROM raw.batch;
"""


ARRIVALS = Arrivals(
    sources={
        "topic": SourceState(collector="kafka", is_up=True, failures=0, last_success_at=None, lag_records=7),
        "logs": SourceState(collector="files", is_up=False, failures=1, last_success_at=None, lag_records=None),
    }
)


@dataclass
class Scraped:
    """A Prometheus that has seen two publishes.

    Attributes:
        server: it.
        before: the first results.
        after: the second.
        at: when it had seen the second, in epoch seconds.
        window: a PromQL duration that reaches from there back to the first.
        page: what was served last, as text.
    """

    server: Prometheus
    before: Session
    after: Session
    at: float
    window: str
    page: bytes

    @property
    def window_seconds(self) -> float:
        """The window as a number."""
        return int(self.window.removesuffix("ms")) / 1000

    def panel(self, title: str, team: str = CHOSEN) -> list[tuple[dict[str, str], float]]:
        """What Grafana would draw now: the answers of all the panel's queries, variables filled in."""
        filled = [
            target["expr"].replace("$team", team).replace("$window", self.window) for target in PANELS[title]["targets"]
        ]
        return list(itertools.chain.from_iterable(self.server.query(expression, self.at) for expression in filled))


@pytest.fixture(scope="module")
def scraped(
    tmp_path_factory: pytest.TempPathFactory, module_prometheus: Callable[[str], Prometheus]
) -> Iterator[Scraped]:
    """Two publishes, each scraped, by the shipped configuration."""
    folder, clock = tmp_path_factory.mktemp("fleet"), FrozenClock(books.PUBLISHED_AT)
    exposition = Exposition("USD", "9.9.9")
    with books.write(folder / "apportion.duckdb") as ledger:
        first = publish(ledger, clock).rename(folder / "first.duckdb")
        exposition.update(first)
        exposition.show(ARRIVALS)
        exposition.record("meter", "ok", "", books.PUBLISHED_AT, 1.0)
        with listen("127.0.0.1", 0, Scrape(exposition, lambda: "")) as listener:
            server = module_prometheus(f"{listener.host}:{listener.port}")
            until(
                lambda: server.query("count_over_time(apportion_build_info[1m]) >= 3"),
                "three scrapes of the first publish",
            )
            [(_, seen)] = server.query("timestamp(apportion_published_timestamp_seconds)")
            with ledger.transaction() as session:
                session.do(SECOND_HOUR)
            clock.set(clock.now().replace(minute=10))
            second = publish(ledger, clock).rename(folder / "second.duckdb")
            exposition.update(second)
            exposition.record("meter", "ok", "", books.PUBLISHED_AT, 1.0)
            published = clock.now().timestamp()
            [(_, at)] = until(
                lambda: server.query(f"timestamp(apportion_published_timestamp_seconds == {published})"),
                "a scrape of the second publish",
            )
            window, page = f"{math.ceil((at - seen) * 1000) + 50}ms", exposition.body("", gzip=False)[0]
            yield Scraped(server, read_only(first), read_only(second), at, window, page)


def keyed(found: list[tuple[dict[str, str], float]], *labels: str) -> Found:
    """Values by labels; Prometheus leaves empty ones out."""
    return {tuple(metric.get(label, "") for label in labels): value for metric, value in found}


def said(results: Session, sql: str, digits: int = 9) -> Exact:
    """Rows of a query on the results: keys, and the last column as units of currency, tokens or seconds."""
    return {tuple(row[:-1]): Decimal(row[-1]).scaleb(-digits) for row in results.rows(sql)}


def agree(found: Found, exact: Exact) -> None:
    """Same keys; values equal but for the float that Prometheus keeps them in."""
    assert found.keys() == exact.keys()
    for key, value in exact.items():
        assert abs(Decimal(found[key]) - value) <= abs(value) * Decimal("1e-9"), key


MONTH = "billing_period = (SELECT max(billing_period) FROM months)"
NOBODY = "team_id IN ('__idle__', '__unmeasured__', '__unattributed__', '__overhead__')"
BY_TEAM = f"""SELECT team_id, sum(effective_cost_nano) FROM chargeback WHERE {MONTH} AND team_id IN ('search', 'ads')
    GROUP BY team_id ORDER BY team_id"""


def test_prometheus_takes_openmetrics_packed_and_whole(scraped: Scraped) -> None:
    """The target is up, and every sample that was rendered was scraped."""
    rendered = len([line for line in scraped.page.splitlines() if not line.startswith(b"#")])

    assert scraped.server.query('up{job="apportion"}', scraped.at)[0][1] == 1
    assert scraped.server.query("scrape_samples_scraped", scraped.at)[0][1] == rendered


@pytest.mark.parametrize("title", PANELS)
def test_every_query_of_the_dashboard_answers(scraped: Scraped, title: str) -> None:
    """No panel of the shipped dashboard is empty on a fleet that has something of everything."""
    assert scraped.panel(title)
    assert scraped.panel(title, ".*")


def test_the_team_variable_offers_the_teams(scraped: Scraped) -> None:
    """What can be chosen is who has lines in the month."""
    offered = scraped.server.get("label/team/values", **{"match[]": "apportion_month_to_date_cost_usd"})

    assert offered == sorted(
        scraped.after.value(
            f"SELECT list(DISTINCT team_id) FROM chargeback WHERE {MONTH} AND effective_cost_nano IS NOT NULL"
        )
    )


@pytest.mark.parametrize(
    ("title", "labels", "sql"),
    [
        (
            "Cost of the chosen teams",
            (),
            f"SELECT sum(effective_cost_nano) FROM chargeback WHERE {MONTH} AND team_id IN ('search', 'ads')",
        ),
        ("Cost of the whole fleet", (), f"SELECT sum(effective_cost_nano) FROM chargeback WHERE {MONTH}"),
        ("Month-to-date cost by team", ("team",), BY_TEAM),
        ("Month-to-date cost over time, by team", ("team",), BY_TEAM),
        (
            "Borne by nobody yet",
            ("team",),
            f"SELECT team_id, sum(effective_cost_nano) FROM chargeback WHERE {MONTH} AND {NOBODY} GROUP BY team_id",
        ),
        (
            "By team, cost center, model and cost kind",
            ("team", "cost_center", "model", "cost_kind"),
            f"""SELECT team_id, cost_center, model_id, cost_kind, sum(effective_cost_nano) FROM chargeback
         WHERE {MONTH} AND team_id IN ('search', 'ads') AND effective_cost_nano IS NOT NULL GROUP BY ALL""",
        ),
    ],
)
def test_month_to_date_is_what_the_report_says(scraped: Scraped, title: str, labels: tuple[str, ...], sql: str) -> None:
    """The figures of the month are the lines of the month."""
    agree(keyed(scraped.panel(title), *labels), said(scraped.after, sql))


def test_the_dashboard_and_the_report_agree(scraped: Scraped) -> None:
    """What Grafana draws by team is what `apportion report --by team` prints for the month."""
    report = month_table(scraped.after, month("2026-10"), by=["team"])
    printed: Exact = {}
    for team, cost in zip(report["team_id"], report["effective_cost"], strict=True):
        printed[team,] = printed.get((team,), Decimal(0)) + Decimal(cost or 0)
    drawn = keyed(scraped.panel("Month-to-date cost over time, by team", ".*"), "team")

    agree(drawn, printed)


def test_the_window_shows_exactly_what_was_published_in_it(scraped: Scraped) -> None:
    """Net of restatements, to the nano, also for a team that appeared in the window: no extrapolation."""
    net = "SELECT team, sum(charged - credited) FROM counters WHERE metric = 'cost' GROUP BY team"
    before, after = said(scraped.before, net), said(scraped.after, net)
    grown = {team: after[team] - before.get(team, Decimal(0)) for team in after}
    found = keyed(scraped.panel("Cost in the last $window, by team", ".*"), "team")

    assert found.keys() == grown.keys()
    for team, value in grown.items():  # a difference of two floats near 2 is good to their last digit, about 4e-16
        assert abs(Decimal(found[team]) - value) < Decimal("1e-12"), team
    assert (grown["search",], grown["ads",], grown["maps",]) == (
        Decimal("0.75"),
        Decimal("-0.250000001"),
        Decimal("0.125"),
    )


def test_nothing_is_shown_for_a_window_that_prometheus_did_not_watch(scraped: Scraped) -> None:
    """A Prometheus younger than the window must not show the ledger's whole history as recent cost."""
    expression = (
        PANELS["Cost in the last $window, by team"]["targets"][0]["expr"]
        .replace("$team", ".*")
        .replace("$window", "30d")
    )

    assert scraped.server.query(expression, scraped.at) == []


@pytest.mark.parametrize(
    ("title", "labels", "scale", "key", "grown"),
    [
        ("Cost per hour, by team", ("team",), 3600, ("search",), 0.75),
        ("Cost per hour, by team", ("team",), 3600, ("ads",), -0.250000001),
        ("Tokens per second, by team and token kind", ("team", "token_kind"), 1, ("search", "output"), 3000),
        ("Tokens per second, by team and token kind", ("team", "token_kind"), 1, ("search", "uncached_input"), 0),
        ("GPUs by pool and state", ("pool", "state"), 1, ("h100-prod", "workload"), 900),
    ],
)
def test_rates_are_the_growth_over_the_window(
    scraped: Scraped,
    title: str,
    labels: tuple[str, ...],
    scale: int,
    key: tuple[str, ...],
    grown: float,
) -> None:
    """Prometheus extrapolates a growth to the ends of the window, by less than its double; the growth is what was published."""
    found = keyed(scraped.panel(title), *labels)[key] / scale * scraped.window_seconds
    near, far = sorted([grown * (1 - 1e-9), 2 * grown * (1 + 1e-9)])

    assert near <= found <= far


@pytest.mark.parametrize("basis", ["usage", "allocation"])
def test_cost_per_million_tokens_is_the_quotient_of_the_results(scraped: Scraped, basis: str) -> None:
    """Sum of cost over sum of tokens, by team, model and token kind."""
    exact = {
        tuple(row[:3]): Decimal(row[3]).scaleb(-9) / row[4] * 1_000_000
        for row in scraped.after.rows(
            f"""SELECT team_id, model_id, token_kind, effective_cost_nano, consumed_tokens FROM unit_cost
            WHERE {MONTH} AND basis = '{basis}' AND team_id IN ('search', 'ads')"""
        )
    }

    agree(keyed(scraped.panel(f"Cost per million tokens, {basis} basis"), "team", "model", "token_kind"), exact)


def test_the_law_is_on_the_dashboard(scraped: Scraped) -> None:
    """Conserved says yes, and what is left between origin and lines is no more than a float's last digits."""
    assert [value for _, value in scraped.panel("Conserved")] == [1]
    assert abs(scraped.panel("Allocated less origin cost")[0][1]) < 1e-12


def test_ages_are_the_time_since(scraped: Scraped) -> None:
    """Watermark and publish are as old as the results say."""
    watermark, published = scraped.after.row("SELECT watermark, published_at FROM status")

    assert [value for _, value in scraped.panel("Figures are final up to")] == [age(scraped.at, watermark)]
    assert [value for _, value in scraped.panel("Last published")] == [age(scraped.at, published)]


def age(at: float, instant: Any) -> float:
    """Seconds from an instant to when Prometheus was asked, as it computes them."""
    return float(f"{at:.3f}") - float(instant.timestamp())


def test_ingest_and_runs_are_shown(scraped: Scraped) -> None:
    """Rejections by reason are totals; outcomes and runs grew in the window."""
    rejected = said(scraped.after, "SELECT source, reason, sum(records) FROM rejections GROUP BY ALL", 0)
    outcomes = keyed(scraped.panel("Ingested events, by source and outcome"), "source", "outcome")
    runs = keyed(scraped.panel("Runs, by job and outcome"), "job_name", "outcome")

    agree(keyed(scraped.panel("Rejected records, by source and reason"), "source", "reason"), rejected)
    assert 90 <= outcomes["usage", "landed"] <= 180
    assert 1 <= runs["meter", "ok"] <= 2


def test_sources_are_shown(scraped: Scraped) -> None:
    """Whether each works, and what waits at those that can say it."""
    assert keyed(scraped.panel("Sources that work"), "source") == {("topic",): 1, ("logs",): 0}
    assert keyed(scraped.panel("Records waiting at the source"), "source") == {("topic",): 7}


def test_steps_and_pools_are_shown(scraped: Scraped) -> None:
    """Durations are the last run's, and the unexplained share is of workload cost."""
    agree(
        keyed(scraped.panel("Duration of the last run, by step"), "step"),
        said(scraped.after, "SELECT step, duration_us FROM step_runs", 6),
    )
    [(pool, unattributed, workload)] = scraped.after.rows(
        f"SELECT pool_id, unattributed_nano, workload_nano FROM pool_shares WHERE {MONTH} AND pool_id <> ''"
    )

    agree(
        keyed(scraped.panel("Workload that no log explains, by pool"), "pool"),
        {(pool,): Decimal(unattributed) / workload},
    )


def test_promtool_takes_the_configuration(promtool: str) -> None:
    """The shipped scrape configuration is valid."""
    checked = subprocess.run(
        [promtool, "check", "config", DEPLOY / "prometheus" / "prometheus.yml"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (checked.returncode, "SUCCESS" in checked.stdout) == (0, True), checked.stderr


def test_promtool_takes_the_metrics(promtool: str) -> None:
    """Names, types and help are as Prometheus's own linter wants them."""
    golden = Path(__file__).parents[1] / "golden" / "metrics.prom"
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=golden.read_bytes(), capture_output=True, check=False
    )

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
