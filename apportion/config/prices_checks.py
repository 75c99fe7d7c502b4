"""Token prices in another currency than the ledger's need exchange rates, or usage by them has no cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from apportion.config.costs import Fx
from apportion.config.fleet_reading import Fleet
from apportion.config.prices import CATALOG_CURRENCY, Price, Prices
from apportion.config.services import LedgerConfig
from apportion.config.tables import Placed, Problems, listed
from apportion.config.values import BEGINNING, span
from apportion.domain.effective import gaps
from apportion.domain.period import FOREVER, Period


def check(
    prices: Prices,
    rows: Sequence[Placed[Price]],
    fx: Sequence[Placed[Fx]],
    fleet: Fleet,
    ledger: LedgerConfig,
    problems: Problems,
    place: str,
) -> None:
    """Warn of each currency once, with the times that lack a rate; `place` is that of `[prices]`."""
    used: defaultdict[str, list[tuple[str, Period]]] = defaultdict(list)
    for row in rows:
        used[row.item.currency].append((f"{row.where}.currency", row.item.effective))
    if prices.catalog:
        used[CATALOG_CURRENCY].append((f"{place}.catalog", Period(BEGINNING, FOREVER)))
    used.pop(ledger.billing_currency, None)
    for currency, priced in used.items():
        rates = [row.item.effective for row in fx if row.item.currency == currency]
        lacking = _lacking([period for _, period in priced], rates, _begin(rates, fleet, ledger))
        if lacking:
            times = listed([span(period) for period in lacking], 3) if rates else "at all"
            problems.warning(
                priced[0][0],
                f"has prices in {currency}, and there is no exchange rate of {currency} {times}, so usage by them has no cost "
                "then (no_fx); add a [[fx]] row for it",
            )


def _begin(rates: Sequence[Period], fleet: Fleet, ledger: LedgerConfig) -> datetime:
    """From when on usage is expected: prices without a beginning are in force long before."""
    starts = [row.item.effective.start for row in fleet.pools] + [period.start for period in rates]
    return ledger.metered_from or min(starts, default=ledger.epoch)


def _lacking(priced: Sequence[Period], rates: Sequence[Period], begin: datetime) -> list[Period]:
    """Times of prices without an exchange rate, joined where they touch."""
    found: list[Period] = []
    ends = [(max(period.start, begin), period.end) for period in priced if period.end > begin]
    for gap in sorted(gap for start, end in ends for gap in gaps(rates, Period(start, end))):
        if found and gap.start <= found[-1].end:
            found[-1] = Period(found[-1].start, max(found[-1].end, gap.end))
        else:
            found.append(gap)
    return found
