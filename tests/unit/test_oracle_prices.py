"""The oracle's prices of others' models and its energy agree with the pencil."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests import oracle
from tests.oracle_costs import Energy
from tests.oracle_energy import pool_energy
from tests.oracle_fleet import fleet
from tests.oracle_units import HOUR_US, micros

START = datetime(2026, 10, 1, 16, tzinfo=UTC)
HOUR = micros(START)


def at(minutes: int) -> datetime:
    """Minutes after the start."""
    return START + timedelta(minutes=minutes)


def event(number: int, minutes: int = 0, **fields: Any) -> dict[str, Any]:
    """A request to another provider's model."""
    found = {"event_id": f"e{number}", "source": "x", "occurred_at": at(minutes).isoformat(), "model": "gpt"}
    return {**found, "provider": "openai", **fields}


def lines(overrides: list[dict[str, Any]], *events: dict[str, Any], **tables: Any) -> dict[tuple[str, str], Any]:
    """Tokens and nano by cause and token kind."""
    rows = [{"provider": "openai", "model": "gpt*", **row} for row in overrides]
    found = oracle.charges(fleet({"prices": {"overrides": rows}, **tables}), events, [], [HOUR, HOUR + HOUR_US])
    assert {key.cost_kind for key in found} <= {"external"}
    return {(key.cause, key.token_kind): tuple(measure) for key, measure in found.items()}


def test_a_line_is_rounded_once() -> None:
    """3 tokens of 1250 pico are 3.75 nano in two requests: 4; half a nano alone is none."""
    prices = {"input": "0.00125", "output": "0.0005"}
    found = lines(
        [prices],
        event(1, uncached_input_tokens=1, output_tokens=1),
        event(2, uncached_input_tokens=2),
    )

    assert found == {("", "uncached_input"): (3, 4), ("", "output"): (1, 0)}


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        ({"model": "other", "output": "1"}, "no_price"),
        ({"effective_from": at(1), "output": "1"}, "no_price"),
        ({"tier": "batch", "output": "1"}, "no_tier"),
        ({"output": "1", "above_input_tokens": 10}, "no_condition"),
        ({"output": "1", "tier": "batch", "above_input_tokens": 10}, "no_tier"),
        ({"input": "1"}, "no_kind"),
        ({"output": "1", "currency": "EUR"}, "no_fx"),
    ],
)
def test_what_has_no_price_says_why(row: dict[str, Any], cause: str) -> None:
    """Unknown model or time, tier, kind of token and currency: tokens stay, cost is unknown."""
    assert lines([row], event(1, output_tokens=7)) == {(cause, "output"): (7, None)}


def test_a_missing_cache_price_is_not_the_input_price() -> None:
    """Unless the list says so; reasoning likewise."""
    used = event(1, cache_read_tokens=2, reasoning_tokens=3)

    assert lines([{"input": "1", "output": "2"}], used) == {
        ("no_kind", "cache_read"): (2, None),
        ("no_kind", "reasoning"): (3, None),
    }
    assert lines([{"input": "1", "output": "2", "cache_read": "input", "reasoning": "output"}], used) == {
        ("", "cache_read"): (2, 2_000),
        ("", "reasoning"): (3, 6_000),
    }


def test_whole_requests_above_a_threshold_cost_more() -> None:
    """Above 200 prompt tokens, cached ones included, output is 3.00 and not 1.00 a thousand; 200 are not above."""
    rows = [{"output": "1000"}, {"output": "3000", "above_input_tokens": 200}]
    short = event(1, cache_read_tokens=100, uncached_input_tokens=100, output_tokens=1)
    long = event(2, cache_read_tokens=100, uncached_input_tokens=101, output_tokens=1)

    assert lines(rows, short)["", "output"] == (1, 1_000_000)
    assert lines(rows, long)["", "output"] == (1, 3_000_000)


def test_time_of_day_and_dates_are_those_of_the_request() -> None:
    """From 16:30 to half past midnight another price; from 17:15 on another list; each request at its own."""
    rows = [
        {"output": "1", "effective_to": at(75)},
        {"output": "5", "effective_to": at(75), "daily": "16:30-00:30"},
        {"output": "100", "effective_from": at(75)},
    ]
    found = lines(rows, *(event(minutes, minutes, output_tokens=1) for minutes in (0, 29, 30, 59)))
    later = lines(rows, *(event(minutes, minutes, output_tokens=1) for minutes in (74, 75)))

    assert found["", "output"] == (4, 12_000)
    assert later["", "output"] == (2, 105_000)


def test_prices_in_a_currency_take_the_rate_of_the_time() -> None:
    """1000 tokens of a nano EUR at 1.1 and 1000 at 1.3 are 2400 nano USD."""
    exchange = {"currency": "EUR", "rate": "1.1", "effective_to": at(30)}
    tables = {"fx": [exchange, {"currency": "EUR", "rate": "1.3", "effective_from": at(30)}]}
    found = lines(
        [{"output": "0.001", "currency": "EUR"}],
        event(1, output_tokens=1000),
        event(2, 30, output_tokens=1000),
        **tables,
    )

    assert found == {("", "output"): (2000, 2400)}


def test_energy_is_what_meters_grew_by_inside_the_deployment() -> None:
    """A meter from 90 to 100 J over 20 minutes, half of them in the deployment's time; then it fell, and 6 J are new."""
    served = {"id": "d", "pool": "p", "gpus": 2, "models": [], "effective_from": at(10), "effective_to": at(60)}
    ours = fleet({"deployments": [served], "policy": {"sample_hold_seconds": 600}})
    samples = [
        {"gpu_uuid": "a", "deployment": "d", "sampled_at": at(minutes).isoformat(), **told}
        for minutes, told in (
            (0, {"energy_joules": Decimal(90), "power_watts": Decimal(500)}),
            (20, {"energy_joules": Decimal(100)}),
            (30, {"energy_joules": Decimal(6)}),
        )
    ]
    powered = {"gpu_uuid": "b", "deployment": "d", "sampled_at": at(55).isoformat(), "power_watts": Decimal(100)}

    assert pool_energy(ours, samples) == {(HOUR, "p"): Energy(HOUR_US // 3, 11_000)}
    assert pool_energy(ours, [*samples, {**powered, "gpu_uuid": "a"}]) == {
        (HOUR, "p"): Energy(HOUR_US // 3 + HOUR_US // 12, 30_011_000)
    }
    assert pool_energy(ours, [powered]) == {(HOUR, "p"): Energy(HOUR_US // 12, 30_000_000)}
