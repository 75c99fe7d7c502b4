"""Any fleet, any way to split work: nothing is lost, nothing is negative, and the method on a line is one that could say."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import event, given, settings
from hypothesis import strategies as st

from apportion.config.phases import PHASE_SPLITS
from apportion.ledger.connection import Ledger
from metering.meter import meter
from tests.frozen import FrozenClock
from tests.steps.metering.engine_facts import Count
from tests.steps.metering.facts import HOUR, Coefficient, Deployment, Facts, load, moment
from tests.steps.metering.random_fleet import END, START, fleet
from tests.steps.metering.reading import nothing
from tests.thorough import times

LOST = """
SELECT charge_period_start, pool_no, SUM(nano) FROM (
    SELECT charge_period_start, pool_no, effective_cost_nano AS nano FROM metering.charge_hourly WHERE effective_cost_nano IS NOT NULL
    UNION ALL SELECT charge_period_start, pool_no, -effective_cost_nano FROM metering.origin_charge_hourly
) GROUP BY ALL HAVING SUM(nano) <> 0
"""
NEGATIVE = "SELECT * FROM metering.charge_hourly WHERE effective_cost_nano < 0"
GROUNDLESS = """
SELECT * FROM metering.phase_share_hourly AS share
LEFT JOIN metering.phase_method_hourly AS method USING (charge_period_start, pool_no, deployment_no, phase_method)
WHERE method.failure IS DISTINCT FROM '' OR method.prefill_share <> share.prefill_share OR method.decode_share <> share.decode_share
    OR method.confidence <> share.confidence OR share.prefill_share < 0 OR share.decode_share < 0
"""
UNFAITHFUL = """
SELECT * FROM metering.deployment_hourly
WHERE prefill_nano < 0 OR decode_nano < 0 OR prefill_nano + decode_nano + unattributed_nano <> workload_nano
    OR (prefill_weight = 0 AND prefill_nano > 0) OR (decode_weight = 0 AND decode_nano > 0)
    OR (prefill_weight + decode_weight > 0 AND unattributed_nano > 0)
"""


@settings(max_examples=times(12))
@given(seed=st.integers(0, 2**32))
def test_every_method_conserves(ledger: Ledger, seed: int) -> None:
    """Charges of an hour and pool are its origin charges; a phase's cost has tokens to bear it; audits agree."""
    with ledger.transaction() as session:
        load(session, split_somehow(fleet(seed), Random(seed)))

    meter(ledger, FrozenClock(moment(END)), settle=nothing, since=moment(START), until=moment(END))
    session = ledger.session()
    for (method,) in session.rows("SELECT DISTINCT phase_method FROM metering.phase_share_hourly"):
        event(method)

    assert [session.rows(query) for query in (LOST, NEGATIVE, GROUNDLESS, UNFAITHFUL)] == [[], [], [], []]


def split_somehow(facts: Facts, r: Random) -> Facts:
    """The same fleet with roles, forced and automatic methods, throughputs, coefficients that may fail, and engines."""
    deployments = tuple(_somehow(d, r) for d in facts.deployments)
    ids = sorted({d.id for d in deployments})
    coefficients = tuple(
        Coefficient(
            deployment=name, model=r.choice(["", "", "m", "n"] if has(facts, "n") and has(facts, "m") else [""]), method=method,
            ps=(ps(r), ps(r), ps(r), ps(r), ps(r)), context_as=ps(r), failure=r.choice(["", "", "", "it fails"]),
            start=r.choice([0, START + HOUR + 1]),
        )
        for name in ids for method in ("regression/1", "roofline/1", "throughput/1") if r.random() < 0.6
    )  # fmt: skip
    counts = tuple(
        Count(at=START + n * HOUR, engine=name, model="", deployment=name, started=START - 1, prefill_us=n * ps(r), decode_us=n * ps(r))
        for name in ids if r.random() < 0.4 for n in range(6)
    )  # fmt: skip
    return replace(facts, deployments=deployments, coefficients=coefficients, counts=counts)


def has(facts: Facts, model: str) -> bool:
    """Whether a name is in the dictionary of models."""
    return any(model in d.models for d in facts.deployments)


def ps(r: Random) -> int:
    """A time per token, often none."""
    return r.choice([0, r.randrange(10), r.randrange(10**9)])


def _somehow(deployment: Deployment, r: Random) -> Deployment:
    rate = (r.randint(1000, 10**9), r.randint(1000, 10**9), r.choice([None, r.randint(1000, 10**12)]))
    return replace(
        deployment,
        role=r.choice(["both", "both", "both", "prefill", "decode"]),
        phase_split=r.choice(["auto", "auto", *PHASE_SPLITS]),
        throughput=r.choice([rate, (None, None, None)]),
    )
