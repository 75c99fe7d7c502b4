"""Any fleet: what is metered is what the pencil says, row for row."""

from __future__ import annotations

from hypothesis import event, given, settings
from hypothesis import strategies as st

from apportion.ledger.connection import Ledger
from metering.meter import meter
from tests.frozen import FrozenClock
from tests.steps.metering import pencil
from tests.steps.metering.facts import HOUR, load, moment
from tests.steps.metering.random_fleet import END, START, fleet
from tests.steps.metering.reading import charges, nothing
from tests.thorough import times


@settings(max_examples=times(10))
@given(seed=st.integers(0, 2**32))
def test_metering_agrees_with_the_pencil(ledger: Ledger, seed: int) -> None:
    """Every line of every hour: the same keys, the same tokens, the same nano."""
    facts = fleet(seed)
    with ledger.transaction() as session:
        load(session, facts)

    report = meter(ledger, FrozenClock(moment(END)), settle=nothing, since=moment(START), until=moment(END))
    found = charges(ledger.session())
    for kind, cause in {key[7:9] for key in found}:
        event(f"{kind} {cause}")

    assert (report.hours, report.refused) == (4, {})
    assert found == pencil.charges(facts, range(START, END, HOUR))
