"""How the sources fare, kept in the ledger first and shown afterwards: what people see of it outlives the process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from apportion.ledger.connection import Ledger, Session
from exporters.arrivals import Arrivals, SourceState
from ingest.supervise import Condition


class HealthLog:
    """The ledger's memory of sources and of the HTTP side.

    What a process counts from its start is added to what was counted before it; one that dies loses what it had not
    written yet, and had shown to nobody.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        session = ledger.session()
        self._failures: dict[str, int] = dict(session.rows("SELECT name, failures FROM raw.collector"))
        self._successes: dict[str, Any] = dict(session.rows("SELECT name, last_success_at FROM raw.collector"))
        session.close()

    def job_runs(self) -> dict[tuple[str, str], int]:
        """Attempts of jobs so far, by job and outcome."""
        session = self._ledger.session()
        found = session.rows("SELECT job, outcome, count(*) FROM ledger.job_run GROUP BY ALL")
        session.close()
        return {(str(job), str(outcome)): int(count) for job, outcome, count in found}

    def arrivals(self) -> Arrivals:
        """What the ledger says now, and may be shown."""
        session = self._ledger.session()
        found = _arrivals(session)
        session.close()
        return found

    def write(self, conditions: Sequence[Condition], responses: Mapping[tuple[str, int], int]) -> Arrivals:
        """Remember how every source is, and answers given since the last call. Returns: what may be shown.

        Raises: LedgerError; then the caller keeps the answers, to hand them in again.
        """
        with self._ledger.transaction() as session:
            names = [condition.name for condition in conditions]
            session.do(
                "DELETE FROM raw.collector WHERE name NOT IN (SELECT unnest($names::VARCHAR[]))", {"names": names}
            )
            for condition in conditions:
                session.do(_COLLECTOR, self._row(condition))
            for (endpoint, code), count in responses.items():
                session.do(_RESPONSES, {"endpoint": endpoint, "code": code, "responses": count})
            return _arrivals(session)

    def _row(self, condition: Condition) -> dict[str, Any]:
        return {
            "name": condition.name,
            "collector": condition.collector,
            "state": condition.state,
            "since": condition.since,
            "failures": self._failures.get(condition.name, 0) + condition.failures,
            "last_error": condition.last_error[:2000],
            "last_success_at": condition.last_success_at or self._successes.get(condition.name),
            "lag_records": condition.lag_records,
            "notes": "\n".join(condition.notes)[:8000],
        }


def _arrivals(session: Session) -> Arrivals:
    """What the ledger says now."""
    sources = {
        str(name): SourceState(
            collector=collector,
            is_up=state == "running",
            failures=failures,
            last_success_at=last_success_at,
            lag_records=lag_records,
        )
        for name, collector, state, failures, last_success_at, lag_records in session.rows(
            "SELECT name, collector, state, failures, last_success_at, lag_records FROM raw.collector"
        )
    }
    answered = session.rows("SELECT endpoint, code, responses FROM raw.http_response")
    lost = session.value("SELECT sum(position_to - position_from)::BIGINT FROM raw.stream_gap")
    responses = Counter({(str(endpoint), int(code)): int(count) for endpoint, code, count in answered})
    return Arrivals(sources=sources, responses=responses, lost_records=lost)


_COLLECTOR = """
INSERT INTO raw.collector
VALUES ($name, $collector, $state, $since, $failures, $last_error, $last_success_at, $lag_records, $notes)
ON CONFLICT (name) DO UPDATE SET
    collector = excluded.collector, state = excluded.state, since = excluded.since, failures = excluded.failures,
    last_error = excluded.last_error, last_success_at = excluded.last_success_at, lag_records = excluded.lag_records,
    notes = excluded.notes
"""

_RESPONSES = """
INSERT INTO raw.http_response VALUES ($endpoint, $code, $responses)
ON CONFLICT (endpoint, code) DO UPDATE SET responses = responses + excluded.responses
"""
