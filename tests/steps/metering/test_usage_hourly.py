"""metering.usage_hourly: events of an hour and a series, added."""

from __future__ import annotations

from tests.steps.metering.facts import HOUR, Event, Facts, at

QUERY = """
SELECT epoch_us(charge_period_start), status, uncached_input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
    reasoning_tokens, requests, events
FROM metering.usage_hourly JOIN raw.series USING (series_no) ORDER BY ALL
"""


def used(moment: int, *, status: str = "success", **tokens: int) -> Event:
    """An event of one caller and model."""
    return Event(at=moment, status=status, tokens=tuple(tokens.items()))


def test_an_hour_holds_its_first_microsecond_and_not_the_next_hours(stepped) -> None:
    """Hours are half-open, and so is the window."""
    events = (
        used(at("00:59") + 59_999_999, output=1), used(at("01:00"), output=2), used(at("01:59") + 59_999_999, output=4),
        used(at("02:00"), output=8), used(at("03:00"), output=16),
    )  # fmt: skip
    found = stepped(Facts(events=events), "metering.usage_hourly", at("01:00"), at("03:00"), QUERY)

    assert [(hour, row[4]) for hour, *row in found] == [(at("01:00"), 6), (at("02:00"), 8)]


def test_kinds_and_series_stay_apart(stepped) -> None:
    """Each token kind adds up by itself, and what differs in any dimension is another row; failed requests count."""
    events = (
        used(at("01:00"), uncached_input=1, cache_read=2, cache_write=3, output=4, reasoning=5),
        used(at("01:30"), uncached_input=10, cache_read=20, cache_write=30, output=40, reasoning=50),
        used(at("01:30"), status="failed", uncached_input=7),
    )
    found = stepped(Facts(events=events), "metering.usage_hourly", at("01:00"), at("02:00"), QUERY)

    assert found == [
        (at("01:00"), "failed", 7, 0, 0, 0, 0, 1, 1),
        (at("01:00"), "success", 11, 22, 33, 44, 55, 2, 2),
    ]


def test_sums_pass_32_bits(stepped) -> None:
    """Ten billion tokens of one kind in each of many events add up exactly."""
    events = tuple(used(at("01:00") + second, output=10**10) for second in range(50))
    found = stepped(Facts(events=events), "metering.usage_hourly", at("01:00"), at("01:00") + HOUR, QUERY)

    assert found[0][5] == 50 * 10**10
