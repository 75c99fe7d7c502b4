"""What GPUs are paid with, as rows of the book: worked out once, and marking only the hours that a change reaches."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from apportion.domain.period import FOREVER
from tests.unit.ledger.book_samples import BASE, HOURS, START, Book, opened

NOVEMBER, SECOND = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)
AT_NOVEMBER = "effective_from = 2026-11-01T00:00:00Z\n"
FIRST_DAY = f"{AT_NOVEMBER}effective_to = 2026-11-02T00:00:00Z\n"
FX = f'[[fx]]\ncurrency = "EUR"\nrate = "1.5"\n{AT_NOVEMBER}'
DISCOUNT = f'[[discounts]]\npools = ["p"]\npercent = "12.5"\n{FIRST_DAY}'
RESERVED = f'[[commitments]]\nid = "r"\nkind = "reserved"\npools = ["p"]\ngpus = 9\nupfront = "7"\ncurrency = "EUR"\n{FIRST_DAY}'
SAVINGS = (
    f'[[commitments]]\nid = "s"\nkind = "savings"\npools = ["p"]\nper_hour = "5"\nrates = {{ p = "0.5" }}\n{FIRST_DAY}'
)
ASSET = f'[[assets]]\nid = "a"\npool = "p"\ngpus = 2\ncapex = "9"\nresidual = "1"\nlife_months = 3\ncurrency = "EUR"\n{AT_NOVEMBER}'
CREDIT = f'[[credits]]\nid = "c"\npools = ["p"]\namount = "3"\n{FIRST_DAY}'
HOST = f'[[rates]]\npool = "p"\ncomponent = "host"\nper_gpu_hour = "1"\ncurrency = "EUR"\n{FIRST_DAY}'
YEN = FX.replace("EUR", "JPY")
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
EARLY, LATER = FX + "effective_to = 2026-11-01T12:30:00Z\n", FX.replace("11-01T00:00", "11-01T12:30")
FEE, UPKEEP = 'per_gpu_hour = "1"\n', 'colocation_per_month = "1"\n'
RECURRING = RESERVED.replace('upfront = "7"\ncurrency = "EUR"', 'per_gpu_hour = "1"')
NEVER = (0, None)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """An empty book beside metered hours."""
    with opened(tmp_path) as made:
        yield made


def test_every_table_is_written(book: Book) -> None:
    """In nano; what is fixed at purchase in the billing currency too, coverage and savings as they follow from the rest."""
    book.sync(BASE + FX + DISCOUNT + RESERVED + SAVINGS + ASSET + CREDIT)

    assert book.rows("SELECT * FROM book.fx") == [("EUR", 1_500_000_000, NOVEMBER, FOREVER)]
    assert book.rows("SELECT * FROM book.discount") == [(1, "accelerator", 12_500_000, NOVEMBER, SECOND)]
    assert book.rows("SELECT * FROM book.commitment ORDER BY commitment_id") == [
        ("r", "reserved", 1, 9, 10_500_000_000, 7_000_000_000, 0, 0, "EUR", NOVEMBER, SECOND, 0),
        ("s", "savings", 1, 0, 0, 0, 0, 5_000_000_000, "", NOVEMBER, SECOND, 5_000_000_000),
    ]
    assert book.rows("SELECT * FROM book.coverage ORDER BY ALL") == [
        ("asset/a", 0, 2, NOVEMBER, SECOND), ("asset/a", 1, 2, SECOND, FOREVER),
        ("commitment/r", 0, 1, NOVEMBER, SECOND), ("commitment/r", 1, 8, NOVEMBER, SECOND),
    ]  # fmt: skip
    assert book.rows("SELECT * FROM book.savings") == [("s", 0, 0, 0, 5_000_000_000, 0, NOVEMBER, SECOND)]
    assert book.rows("SELECT asset_id, depreciation_nano, depreciation_in_currency_nano, life_to FROM book.asset") == [
        ("a", 12_000_000_000, 8_000_000_000, datetime(2027, 2, 1, tzinfo=UTC))
    ]
    assert book.rows("SELECT * FROM book.credit") == [("c", 1, 1, 1, 3_000_000_000, NOVEMBER, SECOND)]


@pytest.mark.parametrize(
    ("before", "after", "reached"),
    [
        ("", FX, NEVER),
        (FX + HOST, FX + HOST + YEN, NEVER),
        (FX + HOST, FX.replace("1.5", "1.6") + HOST, (24, NOVEMBER)),
        (
            FX + HOST,
            FX
            + "effective_to = 2026-11-01T12:30:00Z\n"
            + FX.replace("1.5", "2").replace("11-01T00:00", "11-01T12:30")
            + HOST,
            (12, NOON),
        ),
        (FX + HOST.replace('"1"', '"0"'), FX.replace("1.5", "1.6") + HOST.replace('"1"', '"0"'), NEVER),
        (FX + RESERVED, FX.replace("1.5", "1.6") + RESERVED, (24, NOVEMBER)),
        (FX + RESERVED, EARLY + LATER.replace("1.5", "2") + RESERVED, NEVER),
        (FX + RESERVED + FEE, EARLY + LATER.replace("1.5", "2") + RESERVED + FEE, (12, NOON)),
        (FX + ASSET, EARLY + LATER.replace("1.5", "2") + ASSET, NEVER),
        (FX + ASSET + UPKEEP, EARLY + LATER.replace("1.5", "2") + ASSET + UPKEEP, (19 * 24 - 12, NOON)),
        ("", DISCOUNT, (24, NOVEMBER)),
        (DISCOUNT, DISCOUNT.replace("12.5", "12.50"), NEVER),
        (FX + RESERVED, FX + RESERVED.replace("7", "8"), (24, NOVEMBER)),
        (SAVINGS, SAVINGS.replace('"5"', '"6"'), (24, NOVEMBER)),
        (SAVINGS, SAVINGS.replace("11-02", "11-03"), (24, SECOND)),
        (FX + RESERVED, FX + RESERVED.replace("11-02", "11-03"), (48, NOVEMBER)),
        (RECURRING, RECURRING.replace("11-02", "11-03"), (24, SECOND)),
        (FX + ASSET, FX + ASSET + "effective_to = 2026-11-02T00:00:00Z\n", (18 * 24, SECOND)),
        (CREDIT, CREDIT.replace("11-02", "11-03"), (48, NOVEMBER)),
        (BASE, BASE.replace('per_gpu_hour = "1"', 'per_gpu_hour = "1"\nlist = "2"'), (HOURS, START)),
        (BASE, BASE.replace('per_gpu_hour = "1"', 'per_gpu_hour = "1"\nsource = "a mail"\npurchase = "spot"'), NEVER),
        (BASE, BASE.replace('per_gpu_hour = "1"', 'per_gpu_hour = "1"\ncurrency = "USD"'), NEVER),
    ],
)
def test_a_change_reaches_its_own_hours(
    before: str, after: str, reached: tuple[int, datetime | None], book: Book
) -> None:
    """A range that an amount is spread over is reached as a whole, what recurs only where it differs, an asset where it was in
    service; an exchange rate reaches hours in which something costs in its currency."""
    base = "" if BASE in before else BASE
    book.sync(base + before)
    book.sync(base + after)

    assert book.dirty()[:2] == reached
