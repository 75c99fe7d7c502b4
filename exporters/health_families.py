"""Metric families that say whether the figures can be trusted: conservation, freshness, ingest, steps."""

from __future__ import annotations

from collections.abc import Iterator

from exporters.families import MICRO, MONTH, NANO, QUOTIENT, Family, decimal, instant
from exporters.reconciliation import DAY_BY_POOL


def law_families(cur: str) -> Iterator[Family]:
    """Whether everything adds up, and what has no explanation."""
    yield Family(
        "gauge",
        f"apportion_origin_cost_{cur}",
        (),
        cur,
        "What the fleet and everything shared cost in the newest metered month, before anything was divided.",
        f"SELECT {decimal('origin_nano', NANO)} AS sample FROM months WHERE billing_period = ({MONTH})",
    )
    yield Family(
        "gauge",
        "apportion_conserved",
        (),
        "",
        "1 while the charges of every month add up to their origin charges to the nano, 0 otherwise.",
        """
        SELECT CASE bool_and(origin_nano = charged_nano) WHEN TRUE THEN '1' WHEN FALSE THEN '0' END AS sample
        FROM months""",
    )
    share = decimal(f"unattributed_nano * {10**QUOTIENT} // workload_nano", QUOTIENT)
    yield Family(
        "gauge",
        "apportion_unattributed_ratio",
        ("pool",),
        "ratio",
        "Share of a pool's workload cost in the newest metered month that no logged request explains.",
        f"""
        SELECT pool_id AS pool, {share} AS sample FROM pool_shares
        WHERE billing_period = ({MONTH}) AND pool_id <> '' AND workload_nano > 0""",
    )
    explained = decimal(f"logged_tokens * {10**QUOTIENT} // engine_tokens", QUOTIENT)
    yield Family(
        "gauge",
        "apportion_reconciliation_ratio",
        ("pool",),
        "ratio",
        "Tokens in request logs over tokens that the pool's engines counted, where they did, in the newest 24 metered hours.",
        f"SELECT pool_id AS pool, {explained} AS sample FROM ({DAY_BY_POOL}) AS day WHERE engine_tokens > 0",
    )


def freshness_families() -> Iterator[Family]:
    """How current the figures are."""
    for name, said, sql in (
        (
            "month_start",
            "Start of the newest metered month, which month-to-date figures are of.",
            f"SELECT {instant(f'({MONTH})')} AS sample",
        ),
        ("watermark", "Up to when figures are final.", f"SELECT {instant('watermark')} AS sample FROM status"),
        ("published", "When figures were published.", f"SELECT {instant('published_at')} AS sample FROM status"),
    ):
        yield Family("gauge", f"apportion_{name}_timestamp_seconds", (), "seconds", said, sql)
    yield Family(
        "gauge",
        "apportion_dirty_charge_periods",
        (),
        "",
        "Charge periods that changed since they were metered.",
        "SELECT CAST(dirty_hours AS VARCHAR) AS sample FROM status",
    )
    yield Family(
        "gauge",
        "apportion_refused_charge_periods",
        (),
        "",
        "Charge periods that could not be metered, for a gap in the rate card say; apportion status names the reason.",
        "SELECT CAST(count(*) AS VARCHAR) AS sample FROM refused_hours",
    )


def ingest_families() -> Iterator[Family]:
    """What became of every record received."""
    yield Family(
        "counter",
        "apportion_ingest_events",
        ("source", "outcome"),
        "",
        "Records received so far, by what became of each; the outcomes add up to what was received.",
        """
        SELECT source, outcome, CAST(sum(records) AS VARCHAR) AS sample FROM ingest_totals
        WHERE outcome NOT IN ('received', 'skewed', 'claimed') GROUP BY source, outcome""",
    )
    yield Family(
        "counter",
        "apportion_ingest_skewed_events",
        ("source",),
        "",
        "Records so far whose clock ran ahead, which were taken at their arrival time.",
        """
        SELECT source, CAST(sum(records) AS VARCHAR) AS sample FROM ingest_totals
        WHERE outcome = 'skewed' GROUP BY source""",
    )
    yield Family(
        "counter",
        "apportion_ingest_claimed_events",
        ("source",),
        "",
        "Records so far whose caller wrote in the request who is to pay, which is not believed.",
        """
        SELECT source, CAST(sum(records) AS VARCHAR) AS sample FROM ingest_totals
        WHERE outcome = 'claimed' GROUP BY source""",
    )
    yield Family(
        "counter",
        "apportion_ingest_rejections",
        ("source", "reason"),
        "",
        "Records quarantined so far, by reason; a conflict is one of them.",
        "SELECT source, reason, CAST(sum(records) AS VARCHAR) AS sample FROM rejections GROUP BY source, reason",
    )
    yield Family(
        "gauge",
        "apportion_month_to_date_observed_events",
        ("source", "believed_source"),
        "",
        "Events of the newest metered month that were not metered, since another source is believed about their calls.",
        f"""
        SELECT source, believed_source, CAST(events AS VARCHAR) AS sample FROM observed_usage
        WHERE billing_period = ({MONTH})""",
    )


def step_families() -> Iterator[Family]:
    """How the steps of metering and attribution fare."""
    yield Family(
        "gauge",
        "apportion_step_duration_seconds",
        ("step",),
        "seconds",
        "How long the last run of a step took.",
        f"SELECT step, {decimal('duration_us', MICRO)} AS sample FROM step_runs",
    )
    yield Family(
        "gauge",
        "apportion_step_last_success_timestamp_seconds",
        ("step",),
        "seconds",
        "When a step last ended well; one that fails leaves no record.",
        f"SELECT step, {instant('finished_at')} AS sample FROM step_runs",
    )
