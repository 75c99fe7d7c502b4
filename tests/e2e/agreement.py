"""What the product and the oracle must agree on, row for row, and the law that both must keep."""

from __future__ import annotations

from collections.abc import Sequence

from apportion.pipeline import Pipeline
from tests import oracle
from tests.e2e import product
from tests.e2e.fleets import Document
from tests.e2e.traces import Trace
from tests.oracle_engines import growth
from tests.oracle_fleet import fleet
from tests.oracle_month import attributed, settled
from tests.oracle_phases import Coefficient
from tests.oracle_statement import statement, unit_costs


def agrees(
    pipeline: Pipeline,
    document: Document,
    trace: Trace,
    charges: oracle.Charges | None = None,
    coefficients: Sequence[Coefficient] = (),
) -> oracle.Charges:
    """Hold every hour of engines, charge, move, month line and unit cost of the ledger against the oracle.

    Coefficients are those of phases that the product learned or modelled.

    Returns: the oracle's hour charges, to be given again where only what follows from them has changed.
    """
    ours, hours, session = fleet(document), product.hours_of(trace), pipeline.ledger.session()
    charges = charges or oracle.charges(ours, trace.events, trace.samples, hours, trace.readings, coefficients)
    assert product.engine_hours(session, hours) == {
        place: grown for place, grown in growth(ours, trace.readings).items() if place.hour in hours
    }
    assert product.hour_charges(session) == charges
    cost = oracle.origin_total(ours, hours, trace.samples)
    assert oracle.total(charges) == cost

    lines = attributed(ours, charges)
    moves = settled(ours, lines, hours)
    assert product.settlement(session) == moves
    months = statement(ours, lines, moves)
    assert product.month_lines(session) == months
    assert product.unit_costs(session) == unit_costs(months)
    assert sum(row.nano or 0 for line, row in months.items() if line.cost_kind != "external") == cost
    return charges
