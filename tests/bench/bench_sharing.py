"""The audit of a pool-day by processor sharing, against dividing the same day by tokens."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import fleet
import ledgers
from measure import THREADS, Result, Setting, clocked, cost, isolated, ratio, rounds

from apportion.domain.period import Period
from apportion.ledger.connection import Ledger, Session
from metering import sharing
from metering.meter import meter

COST_MAX = 10.0
DAY = Period(fleet.END - timedelta(days=1), fleet.END)
DAYS = 30

_BARE = """
SELECT sum(hour_weight) FROM (
    SELECT
        date_trunc('hour', occurred_at) AS charge_period_start, series_no,
        sum(10 * uncached_input_tokens + cache_read_tokens + 10 * cache_write_tokens + 60 * (output_tokens + reasoning_tokens)) AS hour_weight
    FROM raw.usage_event WHERE occurred_at >= $start AND occurred_at < $end GROUP BY ALL
) AS usage
"""
"""Adding weighted tokens up, without placing, pricing or splitting anything: only to see what either costs above that."""


def run(setting: Setting) -> list[Result]:
    """One day of a pool with five deployments."""
    count = setting.size(small=100_000, full=1_000_000)
    config = fleet.config(setting.work / "sharing", utilization="allocation")
    filled = isolated(ledgers.month, setting.work / f"day-{count}.duckdb", config, count, density=DAYS * count)
    seconds, ran = isolated(compare, filled, setting)
    what = f"a pool-day of {ran:,} requests"
    return [
        cost(
            "audit",
            f"{what}: metering it, split by tokens → audit by processor sharing",
            seconds["sharing"],
            seconds["tokens"],
            COST_MAX,
        ),
        Result(
            key="audit to bare",
            name=f"{what}: weighted tokens by hour and series, nothing else → audit by processor sharing",
            floor=seconds["bare"],
            ours=seconds["sharing"],
            figure=ratio(seconds["sharing"], seconds["bare"]),
        ),
    ]


def compare(filled: Path, setting: Setting) -> tuple[dict[str, list[float]], int]:
    """Seconds of each case in one ledger, and the requests that the audit was about."""
    path = ledgers.copied(filled, setting.work / "sharing.duckdb")
    window = {"start": DAY.start, "end": DAY.end}
    with Ledger(path, threads=THREADS) as ledger:
        metered(ledger)
        ran = audited(ledger)
        seconds = rounds(
            {
                "bare": lambda: clocked(lambda: ledger.session().rows(_BARE, window)),
                "tokens": lambda: clocked(lambda: metered(ledger)),
                "sharing": lambda: clocked(lambda: audited(ledger)),
            },
            setting.rounds,
        )
    ledgers.remove(path)
    return seconds, ran


def metered(ledger: Ledger) -> None:
    """The day by token weights, hours and lines and audits and all."""

    def nothing(session: Session, period: Period) -> None:
        """Metering alone."""

    report = meter(ledger, ledgers.Fixed(), settle=nothing, since=DAY.start, until=DAY.end)
    assert report.hours == 24, report


def audited(ledger: Ledger) -> int:
    """The day by processor sharing, beside its tokens. Returns: requests."""
    with sharing.undone(ledger) as session:
        numbers = sharing.deployments_of(session, deployment=None, pool="pool")
        found = sharing.compare(session, ledgers.Fixed(), DAY, numbers)
        by_tokens, by_sharing = session.row(f"SELECT SUM(tokens_nano), SUM(sharing_nano) FROM {sharing.TABLE}")
    assert by_tokens == by_sharing > 0
    return found.requests
