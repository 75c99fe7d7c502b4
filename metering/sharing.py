"""An audit of how a deployment's work was divided over a day: token weights against processor sharing.

Processor sharing gives each instant in equal parts to the requests that ran in it: a request bears the integral of 1 / N(t)
over its life, where N is how many ran. It asks for durations and for no weight, so it sees what tokens cannot: that a token
made alone costs more than one made in a crowd. It cannot see that requests side by side differ in work. Nothing is charged by
it, and nothing that it does stays in the ledger.

Source: egalitarian processor sharing; the truth it is held against is in METHODS.md.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from apportion.domain.clock import Clock
from apportion.domain.errors import UsageError
from apportion.domain.period import MICROSECOND, Period
from apportion.ledger.connection import Ledger, Session
from apportion.ledger.step import run
from metering.steps import OBSERVED, STEPS

TABLE: Final = "temp.shares_compared"
"""Grain: charge_period_start, deployment_no, caller_no; tokens_nano, sharing_nano. Only hours in which both can be told."""

RUNS_AT_MOST: Final = timedelta(days=1)
"""Of a request's duration no more counts, as in reconciliation."""

_PLACES: Final = ("metering.served_model", "metering.series_place", OBSERVED)
"""Steps that say where a request ran and whether it counts, of those that there are."""

# A request runs from when it left the queue, where that is known. Its pieces lie within hours; an instant is one number for
# all deployments and hours, whose ends never meet (an hour has 3,600,000,001 of them), so that one sweep does for all.
_PIECES: Final = """
CREATE OR REPLACE TEMP TABLE ran AS
WITH placed AS (
    SELECT
        event.rowid AS event_row, place.deployment_no, place.caller_no,
        epoch_us(event.occurred_at) - epoch_us($start::TIMESTAMP) AS end_us,
        LEAST(event.duration_us - LEAST(COALESCE(event.queue_us, 0), event.duration_us), $longest_us::BIGINT) AS ran_us
    FROM raw.usage_event AS event
    JOIN metering.series_place AS place
        ON place.series_no = event.series_no
        AND event.occurred_at >= place.effective_from AND event.occurred_at < place.effective_to
    ANTI JOIN metering.observed_event AS observed ON observed.event_row = event.rowid
    WHERE event.occurred_at >= $start::TIMESTAMP AND event.occurred_at < $until::TIMESTAMP
        AND place.deployment_no IN (SELECT unnest($deployments::INTEGER[])) AND event.duration_us > 0  -- NULL is unknown
),
cut AS (
    SELECT
        *, unnest(range(GREATEST(end_us - ran_us, 0) // 3600000000, LEAST(end_us + 3599999999, $day_us::BIGINT) // 3600000000))
            AS hour_no
    FROM placed
    WHERE ran_us > 0 AND end_us - ran_us < $day_us::BIGINT
)
SELECT
    event_row, deployment_no, hour_no, caller_no,
    (deployment_no * 24 + hour_no) * 3600000001 + GREATEST(end_us - ran_us - hour_no * 3600000000, 0) AS from_instant,
    (deployment_no * 24 + hour_no) * 3600000001 + LEAST(end_us - hour_no * 3600000000, 3600000000) AS to_instant
FROM cut
"""

_RUNNING: Final = """
CREATE OR REPLACE TEMP TABLE running AS
SELECT instant, SUM(change) OVER so_far AS requests, LEAD(instant, 1, instant) OVER so_far - instant AS length_us
FROM (
    SELECT instant, SUM(change)::BIGINT AS change
    FROM (SELECT unnest([from_instant, to_instant]) AS instant, unnest([1, -1]) AS change FROM ran)
    GROUP BY instant
)
WINDOW so_far AS (ORDER BY instant ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
"""

# The price of an instant is the integral of 1 / N up to it, in whole femtoseconds, which keeps it exact on any engine; a piece
# bears the difference between its ends. An hour has 3.6e18 of them, so that what a caller bears in it fits 64 bits.
_PRICES: Final = """
CREATE OR REPLACE TEMP TABLE price AS
SELECT
    instant, COALESCE(SUM(CASE WHEN requests > 0 THEN length_us * 1000000000 // requests::BIGINT ELSE 0 END) OVER before, 0) AS price_fs
FROM running
WINDOW before AS (ORDER BY instant ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
"""

_WEIGHTS: Final = """
CREATE OR REPLACE TEMP TABLE sharing AS
SELECT
    $start::TIMESTAMP + to_hours(hour_no::BIGINT) AS charge_period_start, deployment_no, caller_no,
    SUM(sign * price_fs)::BIGINT AS weight
FROM (SELECT deployment_no, hour_no, caller_no, unnest([from_instant, to_instant]) AS instant, unnest([-1, 1]) AS sign FROM ran)
JOIN price USING (instant)
GROUP BY hour_no, deployment_no, caller_no
"""

_COMPARED: Final = f"""
CREATE OR REPLACE TEMP TABLE {TABLE.partition(".")[2]} AS
WITH charged AS (
    SELECT charge_period_start, deployment_no, caller_no, SUM(effective_cost_nano)::BIGINT AS tokens_nano
    FROM metering.charge_hourly
    WHERE charge_period_start >= $start::TIMESTAMP AND charge_period_start < $end::TIMESTAMP
        AND deployment_no IN (SELECT unnest($deployments::INTEGER[])) AND cost_kind = 'workload' AND caller_no > 0
    GROUP BY charge_period_start, deployment_no, caller_no
),
whole AS (
    SELECT charge_period_start, deployment_no, charged_nano, whole_weight
    FROM (
        SELECT charge_period_start, deployment_no, SUM(tokens_nano)::HUGEINT AS charged_nano
        FROM charged GROUP BY charge_period_start, deployment_no
    )
    JOIN (
        SELECT charge_period_start, deployment_no, SUM(weight)::HUGEINT AS whole_weight
        FROM sharing GROUP BY charge_period_start, deployment_no
    ) USING (charge_period_start, deployment_no)
    WHERE whole_weight > 0
),
part AS (
    SELECT
        charge_period_start, deployment_no, caller_no, charged_nano, charged_nano * weight // whole_weight AS share,
        charged_nano * weight % whole_weight AS remainder
    FROM sharing
    JOIN whole USING (charge_period_start, deployment_no)
),
ranked AS (
    SELECT
        part.*, ROW_NUMBER() OVER largest_first AS place,
        charged_nano - SUM(share) OVER (PARTITION BY charge_period_start, deployment_no) AS left_over
    FROM part
    JOIN raw.caller AS named USING (caller_no)
    WINDOW largest_first AS (PARTITION BY charge_period_start, deployment_no ORDER BY remainder DESC, named.caller)
)
SELECT
    charge_period_start, deployment_no, caller_no, COALESCE(tokens_nano, 0) AS tokens_nano,
    COALESCE(share + CASE WHEN place <= left_over THEN 1 ELSE 0 END, 0)::BIGINT AS sharing_nano
FROM (FROM charged SEMI JOIN whole USING (charge_period_start, deployment_no))
FULL JOIN ranked USING (charge_period_start, deployment_no, caller_no)  -- NULL: no durations, or no tokens in this hour
"""

_WORKED: Final = """
SELECT COUNT(*) FROM metering.deployment_hourly
WHERE deployment_no IN (SELECT unnest($deployments::INTEGER[])) AND workload_nano > 0
    AND charge_period_start >= $start::TIMESTAMP AND charge_period_start < $end::TIMESTAMP
"""

_DECODED_BY: Final = """
SELECT DISTINCT key.deployment_id
FROM metering.prefill_place_hourly AS place
JOIN metering.consumption_hourly AS usage USING (charge_period_start, deployment_no, model_no)
JOIN book.deployment_key AS key USING (deployment_no)
WHERE place.charge_period_start >= $start::TIMESTAMP AND place.charge_period_start < $end::TIMESTAMP
    AND place.prefill_deployment_no IN (SELECT unnest($deployments::INTEGER[]))
    AND place.deployment_no NOT IN (SELECT unnest($deployments::INTEGER[]))
ORDER BY ALL
"""

_FIGURES: Final = f"""
SELECT
    (SELECT COUNT(DISTINCT event_row) FROM ran),
    (SELECT COALESCE(SUM(to_instant - from_instant), 0)::BIGINT FROM ran),
    (SELECT COALESCE(SUM(length_us) FILTER (requests > 0), 0)::BIGINT FROM running),
    (SELECT COUNT(*) FROM (SELECT DISTINCT charge_period_start, deployment_no FROM {TABLE})),
    (
        SELECT COALESCE(SUM(effective_cost_nano), 0)::HUGEINT FROM metering.charge_hourly
        WHERE charge_period_start >= $start::TIMESTAMP AND charge_period_start < $end::TIMESTAMP
            AND deployment_no IN (SELECT unnest($deployments::INTEGER[])) AND cost_kind = 'workload'
    ) - (SELECT COALESCE(SUM(tokens_nano), 0)::HUGEINT FROM {TABLE})
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What an audit rests on.

    Attributes:
        requests: that ran in the day and tell how long.
        ran_us: microseconds that they ran, added up.
        busy_us: microseconds in which any ran.
        hours: deployment-hours of the day in which both divisions can be told.
        left_out_nano: workload of the day that is compared with nothing: hours without durations, and nobody's tokens.
        decoded_by: other deployments, on which requests ran whose prompts these read: those tell how long, these do not.
    """

    requests: int
    ran_us: int
    busy_us: int
    hours: int
    left_out_nano: int
    decoded_by: tuple[str, ...]


@contextlib.contextmanager
def undone(ledger: Ledger) -> Iterator[Session]:
    """A transaction of which nothing stays."""
    with contextlib.suppress(_Undone), ledger.transaction() as session:
        yield session
        raise _Undone


class _Undone(Exception):
    """Rolls back what was only needed to look."""


def compare(session: Session, clock: Clock, day: Period, deployments: Sequence[int]) -> Compared:
    """Fill TABLE with both divisions of each deployment-hour's workload, which add up to the same. Run it inside `undone`.

    Raises: UsageError for a day without metered work.
    """
    window = {"start": day.start, "end": day.end, "deployments": list(deployments)}
    if not session.value(_WORKED, window):
        raise UsageError(
            f"there is no metered work on {day.start:%Y-%m-%d}; run `apportion meter`, or name another day."
        )
    version = session.value("SELECT MAX(policy_version) FROM book.policy")  # there is one: the day is metered
    until = day.end + RUNS_AT_MOST  # what ended later may have run within the day
    places = [step for step in STEPS if step.name in _PLACES]
    run(session, places, Period(day.start, until), {"policy_version": version}, clock)
    lengths = {"longest_us": RUNS_AT_MOST // MICROSECOND, "day_us": (day.end - day.start) // MICROSECOND}
    session.do(_PIECES, {"start": day.start, "until": until, "deployments": list(deployments), **lengths})
    session.do(_RUNNING)
    session.do(_PRICES)
    session.do(_WEIGHTS, {"start": day.start})
    session.do(_COMPARED, window)
    requests, ran_us, busy_us, hours, left_out = session.row(_FIGURES, window)
    return Compared(
        requests=requests, ran_us=ran_us, busy_us=busy_us, hours=hours, left_out_nano=left_out,
        decoded_by=tuple(name for (name,) in session.rows(_DECODED_BY, window)),
    )  # fmt: skip


def deployments_of(session: Session, *, deployment: str | None, pool: str | None) -> list[int]:
    """Numbers of the one deployment, or of all that a pool ever had. Raises: UsageError naming those there are."""
    option, named, table = (
        ("--deployment", deployment, "book.deployment_key")
        if deployment is not None
        else ("--pool", pool, "book.pool_key")
    )
    kind = option.removeprefix("--")
    rows = session.rows(f"SELECT {kind}_id, {kind}_no FROM {table} WHERE {kind}_no > 0 ORDER BY ALL")
    known: dict[str, int] = {name: number for name, number in rows}  # noqa: C416 - rows are untyped tuples
    if named not in known:
        raise UsageError(f"{option} {named!r} is not in the config; there are {', '.join(known) or 'none'}.")
    if deployment is not None:
        return [known[named]]
    parts = session.rows(
        "SELECT DISTINCT deployment_no FROM book.deployment WHERE pool_no = $no ORDER BY ALL", {"no": known[named]}
    )
    return [number for (number,) in parts]
