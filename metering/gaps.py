"""Which hours cannot be priced: paid time that no rate, commitment or asset pays for, or a currency without its rate."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from apportion.config.values import stamp
from apportion.domain.coverage import Covered, Saved, uncovered
from apportion.domain.effective import gaps as outside
from apportion.domain.period import FOREVER, Period, hour_of
from apportion.domain.prices import Price, holes
from apportion.ledger.connection import Session

# What goes on costing by the hour needs an exchange rate throughout; what was fixed at the start was converted then.
_BEYOND_POOLS: Final = """
SELECT 'commitment ' || commitment_id, currency, effective_from, effective_to
FROM book.commitment WHERE currency <> '' AND per_gpu_hour_nano + recurring_per_hour_nano > 0
UNION ALL
SELECT 'asset ' || asset_id, currency, effective_from, effective_to
FROM book.asset WHERE currency <> '' AND maintenance_per_year_nano + colocation_per_month_nano > 0
ORDER BY ALL
"""


@dataclass(frozen=True, slots=True)
class _Pool:
    """GPUs of a pool while they are paid for."""

    id: str
    gpus: int
    effective: Period


def gaps(session: Session, hours: Sequence[datetime]) -> dict[datetime, str]:
    """Hours that cannot be priced, each with the reason: pool, component or currency, and times of every hole.

    A hole is GPU time that nothing covers and no `accelerator` rate prices, a pause of another component between two of
    its rates, or time priced in a currency that has no exchange rate. The cost is that of the rate card, not of the hours.
    """
    ordered = sorted(hours)
    reasons: dict[datetime, list[str]] = defaultdict(list)
    for reason, hole in (*_of_pools(session), *_beyond_pools(session)):
        for hour in ordered[bisect_left(ordered, hour_of(hole.start)) : bisect_left(ordered, hole.end)]:
            reasons[hour].append(reason)
    return {hour: "; ".join(reasons[hour]) for hour in sorted(reasons)}


def _of_pools(session: Session) -> Iterator[tuple[str, Period]]:
    bought = [
        _Pool(pool, gpus, Period(start, end))
        for pool, gpus, start, end in session.rows(
            "SELECT pool_id, gpus, effective_from, effective_to FROM book.pool JOIN book.pool_key USING (pool_no) "
            "WHERE gpus > 0 AND effective_from < effective_to ORDER BY pool_id, effective_from"
        )
    ]
    covered = [
        Covered(evidence=evidence, pool=pool, gpus=gpus, effective=Period(start, end))
        for evidence, pool, gpus, start, end in session.rows(
            "SELECT evidence, pool_id, gpus, effective_from, effective_to FROM book.coverage JOIN book.pool_key USING (pool_no)"
        )
    ]
    saved = [
        Saved(id=plan, pool=pool, gpus=gpus, rate=0, used=0, rest=rest, effective=Period(start, end))
        for plan, pool, gpus, rest, start, end in session.rows(
            "SELECT commitment_id, pool_id, gpus, rest_per_hour_nano, effective_from, effective_to "
            "FROM book.savings JOIN book.pool_key USING (pool_no)"
        )
    ]
    prices = [
        Price(pool=pool, component=component, currency=currency, effective=Period(start, end))
        for pool, component, currency, start, end in session.rows(
            "SELECT pool_id, component, currency, effective_from, effective_to FROM ("
            "SELECT pool_no, component, currency, effective_from, effective_to FROM book.rate "
            "UNION ALL SELECT pool_no, 'energy', '', effective_from, effective_to FROM book.energy_rate"
            ") JOIN book.pool_key USING (pool_no) WHERE effective_from < effective_to ORDER BY pool_id, component, effective_from"
        )
    ]
    for hole in holes(bought, uncovered(bought, covered, saved), prices, _exchanged(session)):
        if hole.currency:
            yield _without_fx(f"pool {hole.pool}", hole.currency, hole.effective), hole.effective
            continue
        said = f"pool {hole.pool} has no {hole.component} rate {_range(hole.effective)}"
        yield f"{said}; add a [[rates]] row that covers it", hole.effective


def _beyond_pools(session: Session) -> Iterator[tuple[str, Period]]:
    exchanged = _exchanged(session)
    for what, currency, start, end in session.rows(_BEYOND_POOLS):
        for hole in outside(exchanged.get(currency, ()), Period(start, end)):
            yield _without_fx(what, currency, hole), hole


def _exchanged(session: Session) -> dict[str, list[Period]]:
    found: defaultdict[str, list[Period]] = defaultdict(list)
    for currency, start, end in session.rows("SELECT currency, effective_from, effective_to FROM book.fx ORDER BY ALL"):
        found[currency].append(Period(start, end))
    return found


def _without_fx(what: str, currency: str, hole: Period) -> str:
    return f"{what} pays in {currency}, which has no exchange rate {_range(hole)}; add a [[fx]] row that covers it"


def _range(hole: Period) -> str:
    return f"from {stamp(hole.start)} " + ("on" if hole.end == FOREVER else f"to {stamp(hole.end)}")
