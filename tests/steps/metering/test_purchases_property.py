"""Any way to buy GPUs: what is metered is what the pencil says, nothing is lost and nothing is negative."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from apportion.ledger.connection import Ledger
from tests.steps.metering import pencil_costs, spending
from tests.steps.metering.facts import HOUR
from tests.steps.metering.random_purchases import END, START, purchases
from tests.thorough import times


@settings(max_examples=times(6), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_purchases_agree_with_the_pencil(ledger: Ledger, tmp_path: Path, seed: int) -> None:
    """Every origin charge of every hour to the nano; the law, the terms and the credits are audits of the same run."""
    config = spending.configured(tmp_path, purchases(seed))
    session = spending.booked(ledger, config)
    report = spending.hours_metered(ledger, START, END)
    hours = [pencil_costs.Hour(config, start) for start in range(START, END, HOUR)]
    found = spending.costs(session)
    for _, _, component, evidence, _, cause in found:
        event(f"{component} of {evidence.partition('/')[0] or 'card'} {cause}")

    assert (report.hours, report.refused) == (4, {})
    assert _without_time(found) == _without_time({key: cost for hour in hours for key, cost in hour.costs.items()})
    assert all(cost.effective >= 0 for key, cost in found.items() if key[2] != "credit")


def _without_time(costs: dict[spending.Key, spending.Cost]) -> dict[spending.Key, tuple[int | None, ...]]:
    """GPU time that a savings plan leaves to the card is a fraction of microseconds; its sum is an audit."""
    return {
        key: (cost.effective, cost.billed, cost.listed, cost.contracted, cost.in_currency)
        for key, cost in costs.items()
    }
