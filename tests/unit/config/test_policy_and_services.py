"""The tables that stand once: policy, ledger, listeners, schedule, budgets."""

from __future__ import annotations

from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path

import pytest

from tests.unit.config.conftest import Loaded, Problems


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ('[policy]\nutilization = "busy"', "policy.utilization", "is 'busy'; write one of active, capacity, allocation"),
        ('[policy]\nphase_split = "guess"', "policy.phase_split", "write one of weights, auto, measured, regression, roofline, throughput, blended"),
        ('[policy]\nidle = "nobody"', "policy.idle", "write one of separate, proportional, even, entitlement"),
        ('[policy]\nover = "day"', "policy.over", "write one of month, hour"),
        ("[policy]\nmin_coverage = 90", "policy.min_coverage", "is 90; write a ratio from 0 to 1"),
        ("[policy]\nmin_coverage = 0.1234567", "policy.min_coverage", "has 7 decimals; at most 6 are kept"),
        ("[policy]\nunlogged_tolerance = 1.5", "policy.unlogged_tolerance", "is 1.5; write a ratio from 0 to 1"),
        ("[policy]\nunlogged_tolerance = -0.5", "policy.unlogged_tolerance", "-0.5"),
        ("[policy]\nsample_hold_seconds = 0", "policy.sample_hold_seconds", "write seconds above 0 and up to 3600"),
        ("[policy]\nsample_hold_seconds = 3601", "policy.sample_hold_seconds", "write seconds above 0 and up to 3600"),
        ("[policy]\nlate_limit_days = 0", "policy.late_limit_days", "write an integer from 1 to"),
        ("[policy]\nweights = { output = -1 }", "policy.weights.output", "write a finite number of zero or more"),
        ("[policy]\nweights = { output = 0.0000000001 }", "policy.weights.output", "has 10 decimals; at most 9"),
        ("[policy]\nweights = { output = nan }", "policy.weights.output", "write a finite number"),
        ("[policy]\nweights = { output = 2000000 }", "policy.weights.output", "at most 1000000"),
        ("[policy]\nweights = { output = 0, reasoning = 0, uncached_input = 0, cache_read = 0, cache_write = 0 }", "policy.weights", "are all zero"),
        ('[http]\nlisten = "8321"', "http.listen", "write host:port"),
        ('[http]\nlisten = "h:70000"', "http.listen", "write host:port"),
        ('[http]\ntoken = "hunter2"', "http.token", "must not hold the secret itself; name an environment variable"),
        ("[prometheus]\nmax_label_sets = 0", "prometheus.max_label_sets", "write an integer from 1 to"),
        ('[schedule]\nchargeback_at = "24:00"', "schedule.chargeback_at", "write hours and minutes in UTC"),
        ("[schedule]\nmeter_every_seconds = true", "schedule.meter_every_seconds", "is true or false; write an integer"),
        ("[budgets]\n__idle__ = 1", "budgets.__idle__", "is not a team of yours"),
        ('[budgets]\nads = "ten"', "budgets.ads", "is 'ten'; write digits and a point"),
    ],
)  # fmt: skip
def test_a_wrong_value_names_its_place_and_what_to_write(text: str, place: str, said: str, problems: Problems) -> None:
    """Every value outside its set or bounds is one problem."""
    found = problems(text)
    assert len(found) == 1, found
    assert found[0].startswith(f"apportion.toml:{place}: ")
    assert said in found[0]


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ('path = "l"\nbilling_currency = "usd"', "billing_currency", "write an ISO 4217 code in capitals"),
        ('path = ""\nbilling_currency = "USD"', "path", "is empty; write a name"),
        ('path = "l"\nbilling_currency = "USD"\nepoch = 2020-01-01', "epoch", "is a date without a time"),
        ('path = "l"\nbilling_currency = "USD"\nmetered_from = 2026-10-01T00:30:00Z', "metered_from", "inside an hour; write the start"),
    ],
)  # fmt: skip
def test_the_ledger_table_is_checked(text: str, place: str, said: str, problems: Problems) -> None:
    """A currency is a code, times carry zones, metering begins at an hour."""
    found = problems("", ledger=f"[ledger]\n{text}\n")
    assert len(found) == 1, found
    assert found[0].startswith(f"apportion.toml:ledger.{place}: ")
    assert said in found[0]


def test_numbers_of_the_policy_are_exact(loaded: Loaded) -> None:
    """Decimals become integers without rounding, and weights that are left out keep their defaults."""
    policy = loaded(
        '[policy]\nmin_coverage = 0.123456\nsample_hold_seconds = "0.000001"\nunlogged_tolerance = "0.000001"\n'
        "weights = { output = 3.25 }\n"
    ).policy
    assert (policy.min_coverage_ppm, policy.sample_hold_us, policy.unlogged_tolerance_ppm) == (123_456, 1, 1)
    assert policy.weights == {
        "uncached_input": 1, "cache_read": Decimal("0.1"), "cache_write": 1, "output": Decimal("3.25"), "reasoning": 6,
    }  # fmt: skip


def test_listeners_are_host_and_port(loaded: Loaded) -> None:
    """IPv6 stands in brackets, and an empty host is every address."""
    http = loaded('[http]\nlisten = "[::1]:80"\nmetrics_listen = ":9321"\n').http
    assert (http.listen.host, http.listen.port) == ("::1", 80)
    assert http.metrics_listen is not None
    assert (http.metrics_listen.host, http.metrics_listen.port) == ("0.0.0.0", 9321)


def test_an_unset_token_is_a_warning(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """A config can be checked where its secrets are not."""
    monkeypatch.delenv("APPORTION_TOKEN", raising=False)
    config = loaded('[http]\ntoken = { env = "APPORTION_TOKEN" }\n')
    assert config.warnings == (
        "apportion.toml:http.token: APPORTION_TOKEN is not set in the environment; export it before `apportion serve`",
    )


def test_paths_are_beside_the_config(loaded: Loaded, tmp_path: Path) -> None:
    """Relative paths do not depend on where a command is run; absolute ones stay."""
    config = loaded(
        '[schedule]\nchargeback_dir = "/var/out"\nchargeback_at = "23:59"\n',
        ledger='[ledger]\npath = "data/l.duckdb"\nbilling_currency = "USD"\nmetered_from = 2026-10-01T02:00:00+01:00\n',
    )
    assert config.ledger.path == tmp_path / "data" / "l.duckdb"
    assert config.ledger.metered_from == datetime(2026, 10, 1, 1, tzinfo=UTC)
    assert config.schedule.chargeback_dir == Path("/var/out")
    assert config.schedule.chargeback_at == time(23, 59)
