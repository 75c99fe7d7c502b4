"""A ledger with the worked example, attributed and published."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from apportion.ledger.connection import Ledger, Session, read_only
from exporters.results import publish
from tests.blank import blank
from tests.frozen import FrozenClock
from tests.steps.attribution.metered import NOVEMBER, Books

NANO = 10**9


def worked_example(books: Books) -> None:
    """Search and ads on two GPUs at 3.00 an hour, three quarters active, idle settled in proportion."""
    books.session.do("INSERT INTO book.setting VALUES ('billing_currency', 'USD')")
    books.pool("h100-prod")
    books.deployment("llama70b", "h100-prod")
    books.policy("proportional")
    for number, team in enumerate(("search", "ads"), 1):
        books.rule(number, team, principal=f"key-{team}-%", team_name=team.title(), cost_center=f"CC-{number}00")
    where = {"pool": "h100-prod", "deployment": "llama70b", "model": "llama-3.1-70b"}
    search, ads = books.caller("key-search-1"), books.caller("key-ads-1")
    books.charge(0, NANO, tokens=600_000, caller=search, kind="uncached_input", **where)
    books.charge(0, NANO, tokens=100_000, caller=search, **where)
    books.charge(0, NANO // 2, tokens=300_000, caller=ads, kind="uncached_input", **where)
    books.charge(0, 2 * NANO, tokens=200_000, caller=ads, **where)
    books.idle(0, 3 * NANO // 2, pool="h100-prod", deployment="llama70b")


def results_of(folder: Path, *writers: Callable[[Books], object]) -> Session:
    """Write books into a new ledger, attribute and publish them; answers a session over the results."""
    with Ledger(blank(folder / "apportion.duckdb"), threads=1) as ledger:
        with ledger.transaction() as session:
            books = Books(session)
            for writer in writers:
                writer(books)
            books.run()
        return read_only(publish(ledger, FrozenClock(NOVEMBER)))


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger."""
    with Ledger(blank(tmp_path / "apportion.duckdb"), threads=1) as ledger:
        yield ledger


@pytest.fixture
def published(tmp_path: Path) -> Callable[..., Session]:
    """Results of books in the test's own folder."""
    return partial(results_of, tmp_path)
