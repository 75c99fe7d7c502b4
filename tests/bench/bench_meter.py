"""A month of events and samples into hourly charges, against the bare hourly GROUP BY of every column that the steps read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import fleet
import ledgers
from measure import THREADS, Result, Setting, clocked, cost, isolated, memory, peak_gib, ratio, rounds

from apportion.domain.period import Period
from apportion.ledger.connection import Ledger, Session
from attribution.attribute import attribute
from exporters import results
from metering.meter import meter

MONTH_COST_MAX = 2.0
HOUR_SHARE_MAX = 0.03
HOUR_MS_MAX = 60
PEAK_GIB_MAX = 1.5
DIRTY = fleet.START + timedelta(days=17, hours=9)
MONTH = Period(fleet.START, fleet.END)

_READ = (
    """
SELECT sum(series_no), sum(uncached), sum(cache_read), sum(cache_write), sum(output), sum(reasoning), sum(requests), sum(events)
FROM (
    SELECT
        date_trunc('hour', occurred_at) AS charge_period_start, series_no, sum(uncached_input_tokens) AS uncached,
        sum(cache_read_tokens) AS cache_read, sum(cache_write_tokens) AS cache_write, sum(output_tokens) AS output,
        sum(reasoning_tokens) AS reasoning, sum(requests) AS requests, count(*) AS events
    FROM raw.usage_event GROUP BY ALL
) AS usage
""",
    """
SELECT sum(device_no), sum(gpu_series_no), sum(active_ppm), sum(samples)
FROM (
    SELECT date_trunc('hour', sampled_at) AS charge_period_start, device_no, gpu_series_no, sum(active_ppm) AS active_ppm, count(*) AS samples
    FROM raw.gpu_sample GROUP BY ALL
) AS sample
""",
)
"""The outer sums keep every inner column, and write nothing down."""

_MARK = "INSERT INTO raw.dirty_hour VALUES ($hour, $hour)"


def run(setting: Setting) -> list[Result]:
    """The month, one hour of it, and for information what follows them."""
    count = setting.size(small=1_000_000, full=50_000_000)
    config = fleet.config(setting.work / "meter")
    filled = isolated(ledgers.month, setting.work / f"month-{count}.duckdb", config, count)
    seconds, peak = isolated(compare, filled, setting)
    share = ratio(seconds["hour"], seconds["month"])
    millis = min(seconds["hour"]) * 1000
    millions = f"{count / 1e6:g} M events"
    return [
        cost(
            "month",
            f"a month of {millions}: hourly GROUP BY of all columns read → metering",
            seconds["month"],
            seconds["floor"],
            MONTH_COST_MAX,
        ),
        Result(
            key="hour",
            name="one dirty hour: the whole month → that hour",
            floor=seconds["month"],
            ours=seconds["hour"],
            figure=share,
            target=f"≤ {HOUR_SHARE_MAX:g} x or {HOUR_MS_MAX} ms",
            met=share <= HOUR_SHARE_MAX or millis <= HOUR_MS_MAX,
        ),
        cost(
            "attribution",
            "metering of the month → its attribution and settlement",
            seconds["attribute"],
            seconds["month"],
        ),
        cost(
            "hour to publish",
            "metering of the hour → metering, attribution and publishing of it",
            seconds["hour and all"],
            seconds["hour"],
        ),
        cost("publish", "metering of the month → publishing its results", seconds["publish"], seconds["month"]),
        memory(f"peak memory of all of it at {millions}", peak, PEAK_GIB_MAX),
    ]


def compare(filled: Path, setting: Setting) -> tuple[dict[str, list[float]], float]:
    """Seconds of every case in one ledger, and GiB at the peak."""
    path = ledgers.copied(filled, setting.work / "meter.duckdb")
    clock = ledgers.Fixed()
    with Ledger(path, threads=THREADS) as ledger:
        seconds = rounds(
            {
                "floor": lambda: clocked(lambda: [ledger.session().rows(sql) for sql in _READ]),
                "month": lambda: month(ledger),
                "attribute": lambda: attributed(ledger),
                "publish": lambda: published(ledger),
                "hour": lambda: hour(ledger, nothing, last=lambda: None),
                "hour and all": lambda: hour(
                    ledger,
                    lambda session, period: attribute(session, period, clock),
                    last=lambda: results.publish(ledger, clock),
                ),
            },
            setting.rounds,
        )
        ledger.results.unlink(missing_ok=True)
    ledgers.remove(path)
    return seconds, peak_gib()


def nothing(session: Session, period: Period) -> None:
    """Metering alone: nothing follows from a span."""


def month(ledger: Ledger) -> float:
    """Seconds to meter the month into empty tables."""
    clear(ledger, "metering")

    def whole() -> None:
        report = meter(ledger, ledgers.Fixed(), settle=nothing, since=MONTH.start, until=MONTH.end)
        assert report.hours == fleet.HOURS, report

    return clocked(whole)


def hour(ledger: Ledger, settle: Callable[[Session, Period], None], last: Callable[[], object]) -> float:
    """Seconds to meter the one hour that an event made dirty, and for what is done with it."""
    if not ledger.session().value("SELECT count(*) FROM metering.metered_hour"):
        month(ledger)
    with ledger.transaction() as session:
        session.do(_MARK, {"hour": DIRTY})

    def whole() -> None:
        report = meter(ledger, ledgers.Fixed(), settle=settle)
        last()
        assert report.hours == 1, report

    return clocked(whole)


def attributed(ledger: Ledger) -> float:
    """Seconds to attribute and settle the metered month into empty tables."""
    clear(ledger, "attribution")

    def whole() -> None:
        with ledger.transaction() as session:
            attribute(session, MONTH, ledgers.Fixed())

    return clocked(whole)


def published(ledger: Ledger) -> float:
    """Seconds to publish with nothing published before."""
    ledger.results.unlink(missing_ok=True)
    return clocked(lambda: results.publish(ledger, ledgers.Fixed()))


def clear(ledger: Ledger, schema: str) -> None:
    """Empty a stage's tables, and give their blocks back."""
    session = ledger.session()
    for (table,) in session.rows(
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE schema_name = $name", {"name": schema}
    ):
        session.do(f"DELETE FROM {table}")
    session.do("CHECKPOINT")
