"""Logs against engines, as programs and people read them: sums of what both sides tell, and every cause."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from apportion.domain.errors import UsageError
from apportion.ledger.connection import Session, read_only
from exporters import reconciliation, status
from exporters.results import publish
from tests.frozen import FrozenClock
from tests.unit.exporters import books

OCTOBER = datetime(2026, 10, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """The small books, published: a pool that is compared in three hours, one whose engines are silent, engines of none."""
    stands = FrozenClock(books.PUBLISHED_AT)
    with books.write(tmp_path_factory.mktemp("books") / "apportion.duckdb") as ledger:
        published = publish(ledger, stands)
    with closing(read_only(published)) as session:
        yield session


def printed(found: Mapping[str, Any]) -> str:
    page = io.StringIO()
    reconciliation.show(found, Console(file=page, width=60))
    return page.getvalue()


def test_pools_are_summed_where_both_sides_tell(results: Session) -> None:
    """Logged input of an hour whose engines tell no prompts is no part of the comparison; unlogged kinds add up."""
    found = reconciliation.compared(results)

    assert json.loads(json.dumps(found)) == found
    assert found == {
        "since": None,
        "until": None,
        "pools": [
            {
                "pool": "", "engine_input_tokens": None, "logged_input_tokens": None, "engine_output_tokens": 5, "logged_output_tokens": 0,
                "unlogged_input_tokens": 0, "unlogged_output_tokens": 0, "hours_by_cause": {"unplaced": 1},
            },
            {
                "pool": "h100-prod", "engine_input_tokens": 9900, "logged_input_tokens": 9800, "engine_output_tokens": 601,
                "logged_output_tokens": 471, "unlogged_input_tokens": 100, "unlogged_output_tokens": 130,
                "hours_by_cause": {"aborted": 1, "agreed": 1, "unlogged": 1},
            },
            {
                "pool": "silent", "engine_input_tokens": None, "logged_input_tokens": None, "engine_output_tokens": None,
                "logged_output_tokens": None, "unlogged_input_tokens": 0, "unlogged_output_tokens": 0, "hours_by_cause": {"no_telemetry": 1},
            },
        ],
    }  # fmt: skip


def test_a_pool_is_shown_hour_by_hour(results: Session) -> None:
    """Half-open times, every column, NULL where unknown."""
    found = reconciliation.compared(
        results, since=datetime(2026, 9, 30, 1, tzinfo=UTC), until=OCTOBER, pool="h100-prod"
    )

    assert [one["engine_output_tokens"] for one in found["pools"]] == [500]
    assert found["hours"] == [
        {
            "charge_period_start": "2026-09-30T23:00:00Z", "pool": "h100-prod", "deployment": "llama70b", "model": "llama-3.1-70b", "engines": 2,
            "observed_us": 7_200_000_000, "engine_input_tokens": None, "engine_cache_read_tokens": None, "engine_output_tokens": 500,
            "engine_requests": 7, "engine_aborted_requests": 1, "logged_input_tokens": 60, "logged_cache_read_tokens": 5,
            "logged_output_tokens": 400, "logged_requests": 6, "crossing_input_tokens": 3, "crossing_output_tokens": 4, "border_input_tokens": 0,
            "border_output_tokens": 0, "unlogged_uncached_input_tokens": 0,
            "unlogged_cache_read_tokens": 0, "unlogged_output_tokens": 100, "cause": "aborted",
        }
    ]  # fmt: skip


def test_people_read_it(results: Session) -> None:
    """By pool with the hours of each cause, or by hour; unknown is a word, not a number."""
    by_pool = printed(reconciliation.compared(results, since=OCTOBER))
    by_hour = printed(reconciliation.compared(results, pool="h100-prod"))

    assert by_pool.startswith("Logs and engines, since 2026-10-01T00:00:00Z\n")
    for said in ("h100-prod", "(none)", "silent", "unknown", "unlogged 1", "no_telemetry 1"):
        assert said in by_pool
    assert [line.split()[-1] for line in by_hour.splitlines()[4:]] == ["agreed", "aborted", "unlogged"]
    assert "9,000" in by_hour


def test_no_telemetry_is_said_in_words(results: Session) -> None:
    """Where no engine told anything there is no table of unknowns, but what to do."""
    assert printed(reconciliation.compared(results, pool="silent")) == reconciliation.NO_TELEMETRY + "\n"
    assert (
        printed(reconciliation.compared(results, until=datetime(2026, 1, 1, tzinfo=UTC)))
        == reconciliation.NO_TELEMETRY + "\n"
    )


def test_an_unknown_pool_names_those_there_are(results: Session) -> None:
    """A slip of the pen is no empty table."""
    with pytest.raises(UsageError, match="'h100' has no metered hour; there are h100-prod"):
        reconciliation.compared(results, pool="h100")


def test_the_newest_month_is_one_that_engines_told_of(results: Session, tmp_path: Path) -> None:
    """Of an empty ledger there is none."""
    stands = FrozenClock(books.PUBLISHED_AT)
    with books.write(tmp_path / "apportion.duckdb") as ledger:
        with ledger.transaction() as session:
            session.do("DELETE FROM metering.reconciliation_hourly")
        published = publish(ledger, stands)
    with closing(read_only(published)) as silent:
        assert reconciliation.newest_month(silent) is None
    newest = reconciliation.newest_month(results)

    assert newest is not None
    assert (newest.start, newest.end) == (OCTOBER, datetime(2026, 11, 1, tzinfo=UTC))


def test_status_says_how_much_the_logs_explain(results: Session) -> None:
    """Of the newest 24 hours, of each pool whose engines told; kinds that they do not tell are left out."""
    found = status.status(results)
    page = io.StringIO()
    status.show(found, Console(file=page, width=60))

    assert found["reconciliation"] == [
        {
            "pool": "h100-prod",
            "engine_tokens": 1500,
            "logged_tokens": 1270,
            "unlogged_tokens": 230,
            "logged_ratio": 0.846667,
        }
    ]
    assert (
        "Engines of h100-prod counted 1,500 tokens in the newest 24 hours; logs say 1,270 (84.67%), 230 are nobody's"
        in page.getvalue()
    )
