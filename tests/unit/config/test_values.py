"""Single values: exact, or refused with how to write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apportion.config import values
from apportion.domain.period import FOREVER, Period


@pytest.mark.parametrize(
    ("written", "nanos"),
    [
        ("2.49", 2_490_000_000),
        (2, 2_000_000_000),
        (Decimal("0.000000001"), 1),
        ("0", 0),
        ("1.10000000000000", 1_100_000_000),
    ],
)
def test_amounts_are_exact(written: object, nanos: int) -> None:
    """Strings, integers and TOML decimals are the same money; zeros behind the ninth decimal say nothing."""
    assert values.amount(written) == nanos


@pytest.mark.parametrize(
    "written",
    [
        "1.0000000001", Decimal("1.0000000000000000000000000001"), "1_000", " 2.49", "2,49", "1e3", "٢", "", "-1", -1, True,
        2.49, Decimal("NaN"), Decimal("Infinity"), Decimal("1e999999"), "9" * 16, None, [],
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused_with_a_remedy(written: object) -> None:
    """Binary floats, separators, ten decimals, signs and absurd sizes never become money."""
    with pytest.raises(ValueError, match=r"; (write|at most)"):
        values.amount(written)


@given(st.integers(0, 10**24 - 1))
def test_every_amount_of_nine_decimals_survives(nanos: int) -> None:
    """What fits the ledger is read back to the nano; what is larger than a row is refused."""
    written = f"{nanos // 10**9}.{nanos % 10**9:09d}"
    if nanos <= 9_000_000_000_000_000_000:
        assert values.amount(written) == nanos
    else:
        with pytest.raises(ValueError, match="write an amount of at most 9000000000"):
            values.amount(written)


@pytest.mark.parametrize(
    "written",
    [
        "2026-10-01T02:00:00+02:00", "2026-10-01T00:00:00Z", "2026-10-01 00:00:00z", "2026-10-01T00:00:00.000000Z",
        datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 9, 30, 19, tzinfo=timezone(timedelta(hours=-5))),
    ],
)  # fmt: skip
def test_times_with_any_zone_become_utc(written: object) -> None:
    """TOML offset datetimes and RFC 3339 strings mean the same instant."""
    moment = values.instant(written)
    assert moment == datetime(2026, 10, 1, tzinfo=UTC)
    assert moment.tzinfo is UTC


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (datetime(2026, 10, 1), "which has no zone; append Z"),  # noqa: DTZ001 - the mistake itself
        (date(2026, 10, 1), "is a date without a time; write a time with its zone"),
        ("2026-10-01", "is not a time with a zone; write it as 2026-10-01T00:00:00Z"),
        ("2026-10-01T00:00:00", "is not a time with a zone"),
        ("2026-13-01T00:00:00Z", "is no such time"),
        ("1969-12-31T23:00:00Z", "after 1970 and before 9999"),
        ("9999-12-31T23:59:59-01:00", "after 1970 and before 9999"),
        (1_790_000_000, "is an integer; write a time"),
    ],
)
def test_a_time_without_a_zone_is_refused(written: object, said: str) -> None:
    """A local time would move with whoever reads it."""
    with pytest.raises(ValueError, match=said):
        values.instant(written)


@pytest.mark.parametrize("written", ["", "  ", "a ", "a\nb", "a\x00", "x" * 1001, 5, None])
def test_a_name_is_visible_text(written: object) -> None:
    """Blank, padded, overlong names and control characters are refused."""
    with pytest.raises(ValueError, match="; "):
        values.text(written)


def test_the_systems_names_are_its_own() -> None:
    """Names beginning with two underscores mark system lines; one underscore is anybody's."""
    with pytest.raises(ValueError, match=r"'__idle__' begins with __, .*; choose another name"):
        values.name("__idle__")
    assert values.name("_idle") == "_idle"


def test_ranges_read_as_sentences() -> None:
    """Open ends are words, not the year 9999."""
    start, end = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
    assert values.span(Period(start, end)) == "from 2026-10-01T00:00:00Z to 2026-11-01T00:00:00Z"
    assert values.span(Period(start, FOREVER)) == "from 2026-10-01T00:00:00Z on"
    assert values.span(Period(values.BEGINNING, end)) == "until 2026-11-01T00:00:00Z"
    assert values.span(Period(values.BEGINNING, FOREVER)) == "always"
