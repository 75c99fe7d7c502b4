"""A change of one table of purchases: metering again what it marked comes to what metering everything would."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from apportion.ledger.book import sync
from apportion.ledger.connection import Ledger
from metering.meter import meter
from tests.frozen import FrozenClock
from tests.steps.metering import pencil_costs, spending
from tests.steps.metering.facts import HOUR, moment
from tests.steps.metering.random_purchases import END, START, purchases
from tests.steps.metering.reading import nothing
from tests.thorough import times

KINDS = ("fx", "rates", "discounts", "commitments", "assets", "credits")


def tables(text: str, kind: str, *, of_kind: bool) -> str:
    """The tables of a config text that are of a kind, or all others."""
    return "".join(table for table in re.split(r"(?=\[\[)", text) if table.startswith(f"[[{kind}]]") == of_kind)


@settings(max_examples=times(5), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), kind=st.sampled_from(KINDS))
def test_a_change_meters_again_all_that_it_reaches(ledger: Ledger, tmp_path: Path, seed: int, kind: str) -> None:
    """Every origin charge of every hour is that of the config as it is now, though only marked hours were metered again."""
    before, other = purchases(seed), purchases(seed + 1)
    session = spending.booked(ledger, spending.configured(tmp_path, before))
    spending.hours_metered(ledger, START, END)
    config = spending.configured(tmp_path, tables(before, kind, of_kind=False) + tables(other, kind, of_kind=True))
    with ledger.transaction() as changed:
        event(f"{kind}: {sync(changed, config, moment(END)).dirty_hours} hours")
    report = meter(ledger, FrozenClock(moment(END)), settle=nothing)
    hours = [pencil_costs.Hour(config, start) for start in range(START, END, HOUR)]

    assert report.refused == {}
    assert {key: cost.effective for key, cost in spending.costs(session).items() if key[0] >= START} == {
        key: cost.effective for hour in hours for key, cost in hour.costs.items()
    }
