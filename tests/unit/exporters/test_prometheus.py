"""/metrics says what the published results say: every family, every figure, before and after each publish."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from apportion.domain import money
from apportion.domain.errors import LedgerError
from apportion.ledger.connection import Ledger, read_only
from exporters.arrivals import Arrivals, SourceState
from exporters.prometheus import OPENMETRICS_TYPE, TEXT_TYPE, Exposition, families
from exporters.results import publish
from tests.frozen import FrozenClock
from tests.unit.exporters import books

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], str]


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(books.PUBLISHED_AT)


@pytest.fixture
def kept(tmp_path: Path, clock: FrozenClock) -> Iterator[Ledger]:
    """A ledger with the small books, published once."""
    with books.write(tmp_path / "apportion.duckdb") as ledger:
        publish(ledger, clock)
        yield ledger


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small books as published, for tests that only read."""
    stands = FrozenClock(books.PUBLISHED_AT)
    with books.write(tmp_path_factory.mktemp("books") / "apportion.duckdb") as ledger:
        return publish(ledger, stands)


@pytest.fixture
def exposition() -> Exposition:
    return Exposition("USD", "9.9.9")


def page(exposition: Exposition, accept: str = "") -> str:
    return exposition.body(accept, gzip=False)[0].decode()


def figures(exposition: Exposition) -> Samples:
    """Sample name and sorted labels -> the value's digits as they were sent."""
    sent = [line.rpartition(" ")[2] for line in page(exposition).splitlines() if not line.startswith("#")]
    parsed = [sample for family in parse_text(page(exposition)) for sample in family.samples]
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): digits for sample, digits in zip(parsed, sent, strict=True)
    }


def of(samples: Samples, name: str) -> dict[tuple[str, ...], str]:
    """Label values, in the order of label names -> digits, of one family."""
    return {tuple(value for _, value in labels): digits for (found, labels), digits in samples.items() if found == name}


def test_the_page_is_the_golden_file(results: Path, exposition: Exposition, golden: Callable[[str, str], None]) -> None:
    """Names, help, labels and digits change only on purpose."""
    exposition.update(results)

    golden("metrics.prom", page(exposition))


def test_both_formats_say_the_same(results: Path, exposition: Exposition) -> None:
    """OpenMetrics satisfies its strict parser, ends as it must, and has the samples of the text format."""
    exposition.update(results)
    strict = [
        sample
        for family in parse_openmetrics(page(exposition, "application/openmetrics-text"))
        for sample in family.samples
    ]

    assert strict == [sample for family in parse_text(page(exposition)) for sample in family.samples]
    assert page(exposition, "application/openmetrics-text").endswith("\n# EOF\n")


ARRIVALS = Arrivals(
    sources={
        "topic": SourceState(
            collector="kafka", is_up=True, failures=2, last_success_at=books.PUBLISHED_AT, lag_records=7
        ),
        "logs": SourceState(collector="files", is_up=False, failures=0, last_success_at=None, lag_records=None),
    },
    responses={("/v1/usage", 200): 5},
    lost_records=3,
)


def test_arrivals_are_shown_as_they_were_written_down(exposition: Exposition) -> None:
    """A source is up or not, what is unknown has no line, and counts are those of the ledger."""
    exposition.show(ARRIVALS)
    lines = set(page(exposition, "text/plain").splitlines())

    assert {
        'apportion_source_up{collector="kafka",source="topic"} 1.0',
        'apportion_source_up{collector="files",source="logs"} 0.0',
        'apportion_source_lag_records{collector="kafka",source="topic"} 7.0',
        'apportion_source_failures_total{collector="kafka",source="topic"} 2.0',
        'apportion_http_responses_total{code="200",endpoint="/v1/usage"} 5.0',
        "apportion_source_lost_records_total 3.0",
    } <= lines
    assert not any(line.startswith('apportion_source_lag_records{collector="files"') for line in lines)


def test_a_restart_takes_no_run_back(exposition: Exposition) -> None:
    """Runs are counted on from what the ledger remembers."""
    exposition.resume({("meter", "ok"): 41})
    exposition.record("meter", "ok", "", books.PUBLISHED_AT, 1.0)

    assert 'apportion_job_runs_total{job_name="meter",outcome="ok"} 42.0' in page(exposition, "text/plain")


def test_every_described_family_is_shown(results: Path, exposition: Exposition) -> None:
    """What is described, with its type and unit, is what a ledger with something of everything shows."""
    exposition.update(results)
    exposition.record("meter", "ok", "", books.PUBLISHED_AT, 1.0)
    exposition.show(ARRIVALS)
    described = {(metric.name, metric.type, metric.unit) for metric in exposition.describe()}

    assert described == {
        (metric.name, metric.type, metric.unit)
        for metric in parse_openmetrics(page(exposition, "application/openmetrics-text"))
    }


def test_describing_needs_no_data() -> None:
    """Names follow the currency, before anything was published; none is described twice."""
    names = [metric.name for metric in Exposition("EUR", "1").describe()]

    assert {"apportion_charged_cost_eur", "apportion_cost_per_token_eur", "apportion_build_info"} <= set(names)
    assert not [name for name in names if "usd" in name]
    assert len(names) == len(set(names))


def test_help_needs_no_escaping_and_units_end_names() -> None:
    """Headers are written as they stand, so they must stand as the formats want them."""
    for family in families("USD"):
        assert not set('"\\\n') & set(family.help)
        assert family.help.endswith(".")
        assert not family.unit or family.name.endswith(f"_{family.unit}")
        assert not family.name.endswith("_total")


def test_before_the_first_publish_there_is_only_the_process(exposition: Exposition) -> None:
    """What is not known is absent, never 0."""
    assert figures(exposition) == {("apportion_build_info", (("version", "9.9.9"),)): "1.0"}


def test_month_to_date_is_the_statement_to_the_nano(results: Path, exposition: Exposition) -> None:
    """The sum of the gauge is the sum of the month's lines, digit for digit, and the month is the newest."""
    exposition.update(results)
    shown = of(figures(exposition), "apportion_month_to_date_cost_usd")
    lines = read_only(results).value(
        "SELECT sum(effective_cost_nano) FROM chargeback WHERE billing_period = (SELECT max(billing_period) FROM months)"
    )

    assert shown["CC-100", "workload", "llama-3.1-70b", "search"] == "2.000000001"
    assert sum(map(Decimal, shown.values())) == Decimal(lines).scaleb(-9)


def test_net_counters_are_the_statements_of_all_months(results: Path, exposition: Exposition) -> None:
    """Charged less credited, over every label, is what all months cost."""
    exposition.update(results)
    found = figures(exposition)
    net = sum(map(Decimal, of(found, "apportion_charged_cost_usd_total").values())) - sum(
        map(Decimal, of(found, "apportion_credited_cost_usd_total").values())
    )
    lines = read_only(results).value("SELECT sum(effective_cost_nano) FROM chargeback")

    assert f"{net:f}" == money.text(lines)


def test_an_unpriced_line_has_tokens_and_no_cost(results: Path, exposition: Exposition) -> None:
    """Unpriced is not free: there is no sample, whereas its tokens are counted."""
    exposition.update(results)
    found = figures(exposition)

    assert of(found, "apportion_tokens_total")['gpt-"x"\\y', "ads", "output"] == "700"
    assert not [labels for labels in of(found, "apportion_month_to_date_cost_usd") if "external" in labels]


def test_unit_costs_are_quotients_beyond_the_nano(results: Path, exposition: Exposition) -> None:
    """A price per token keeps nine digits more than money does, on both bases."""
    exposition.update(results)
    shown = of(figures(exposition), "apportion_cost_per_token_usd")

    assert shown["usage", "llama-3.1-70b", "search", "uncached_input"] == "0.000001666666666666"
    assert shown["allocation", "llama-3.1-70b", "search", "output"] == "0.000010000000780000"
    assert of(figures(exposition), "apportion_cost_per_output_token_fully_loaded_usd") == {
        ("llama-3.1-70b", "search"): "0.000020000001550000"
    }


def test_pairs_beyond_the_bound_are_other(kept: Ledger, exposition: Exposition, clock: FrozenClock) -> None:
    """A team and model pair without counters of its own is `other` everywhere, and its quotient is of sums."""
    with kept.transaction() as session:
        session.do("DELETE FROM attribution.counter WHERE team IN ('search', 'ads')")
    exposition.update(publish(kept, clock))
    found = figures(exposition)

    assert of(found, "apportion_cost_per_token_usd")["usage", "other", "other", "output"] == "0.000010000000003333"
    assert of(found, "apportion_month_to_date_cost_usd")["CC-200", "workload", "other", "other"] == "2.500000000"
    assert not [labels for _, labels in found if dict(labels).get("team") in ("search", "ads")]


def test_a_broken_law_is_shown(kept: Ledger, exposition: Exposition, clock: FrozenClock) -> None:
    """One nano too many in any month, and conserved is 0."""
    exposition.update(kept.results)
    before = of(figures(exposition), "apportion_conserved")
    with kept.transaction() as session:
        session.do("UPDATE metering.origin_charge_hourly SET effective_cost_nano = 41 WHERE effective_cost_nano = 40")
    exposition.update(publish(kept, clock))

    assert (before, of(figures(exposition), "apportion_conserved")) == ({(): "1"}, {(): "0"})


def test_a_fresh_ledger_shows_no_cost_and_no_verdict(
    ledger: Ledger, exposition: Exposition, clock: FrozenClock
) -> None:
    """Nothing metered: no cost, no watermark, nothing conserved or not; but it was published."""
    exposition.update(publish(ledger, clock))

    assert {name for name, _ in figures(exposition)} == {
        "apportion_build_info",
        "apportion_published_timestamp_seconds",
        "apportion_dirty_charge_periods",
        "apportion_refused_charge_periods",
    }


def test_ingest_outcomes_add_up_to_what_was_received(results: Path, exposition: Exposition) -> None:
    """No record is in two outcomes; skewed ones and those with claims, which landed, are counted apart."""
    exposition.update(results)
    found = figures(exposition)
    outcomes = of(found, "apportion_ingest_events_total")

    assert sum(int(count) for (_, source), count in outcomes.items() if source == "usage") == 100
    assert of(found, "apportion_ingest_skewed_events_total")["usage",] == "5"
    assert of(found, "apportion_ingest_claimed_events_total")["usage",] == "7"
    assert of(found, "apportion_ingest_rejections_total")["conflict", "usage"] == "2"


def test_runs_are_counted_by_outcome(exposition: Exposition) -> None:
    """Each attempt counts once, the last success has a time, and details never become labels."""
    exposition.record("meter", "failed", "disk full", books.PUBLISHED_AT, 2.0)
    exposition.record("meter", "ok", "3 hours", books.PUBLISHED_AT, 1.5)
    exposition.record("meter", "ok", "0 hours", books.PUBLISHED_AT + timedelta(minutes=1), 0.5)
    found = figures(exposition)

    assert of(found, "apportion_job_runs_total") == {("meter", "failed"): "1.0", ("meter", "ok"): "2.0"}
    assert of(found, "apportion_job_last_success_timestamp_seconds") == {("meter",): "1.7908203605e+09"}
    assert of(found, "apportion_job_last_duration_seconds") == {("meter",): "0.5"}
    assert "disk full" not in page(exposition)


def test_packed_and_plain_are_the_same_page(results: Path, exposition: Exposition) -> None:
    """Either format unpacks to its plain form, and is labelled as what it is."""
    exposition.update(results)
    exposition.record("meter", "ok", "", books.PUBLISHED_AT, 1.0)

    for accept, kind in (("", TEXT_TYPE), ("application/openmetrics-text", OPENMETRICS_TYPE)):
        plain, packed = exposition.body(accept, gzip=False), exposition.body(accept, gzip=True)
        assert (plain[1:], packed[1:]) == ((kind, ""), (kind, "gzip"))
        assert gzip.decompress(packed[0]) == plain[0]


def test_a_publish_replaces_the_page(kept: Ledger, exposition: Exposition, clock: FrozenClock) -> None:
    """Figures follow the file that was renamed into place, not the one that was open before."""
    exposition.update(kept.results)
    with kept.transaction() as session:
        session.do(
            "UPDATE attribution.counter SET charged = charged + 5 WHERE metric = 'tokens' AND team = '__unmapped__'"
        )
    clock.advance(timedelta(minutes=1))
    exposition.update(publish(kept, clock))
    found = figures(exposition)

    assert of(found, "apportion_tokens_total")["llama-3.1-70b", "__unmapped__", "output"] == "12"
    assert of(found, "apportion_published_timestamp_seconds") == {(): "1790820360.000000"}


def test_an_unreadable_publish_leaves_the_last_page(results: Path, exposition: Exposition, tmp_path: Path) -> None:
    """A results file that is missing or damaged is an error to the caller and nothing to scrapers."""
    exposition.update(results)
    before = page(exposition)
    damaged = tmp_path / "damaged.duckdb"
    damaged.write_bytes(b"not a database" * 1000)
    for broken in (damaged, tmp_path / "missing.duckdb"):
        with pytest.raises(LedgerError):
            exposition.update(broken)

    assert page(exposition) == before
