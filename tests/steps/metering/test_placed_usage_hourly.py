"""metering.placed_usage_hourly: events of an hour, added by what tells charges apart."""

from __future__ import annotations

from tests.steps.metering.facts import HOUR, Alias, Deployment, Event, Facts, at

STEP = "metering.placed_usage_hourly"
QUERY = """
SELECT epoch_us(charge_period_start), model_id, principal, tier, uncached_input_tokens, cache_read_tokens, cache_write_tokens,
    output_tokens, reasoning_tokens, requests, events
FROM metering.placed_usage_hourly JOIN book.model USING (model_no) JOIN raw.caller USING (caller_no) ORDER BY ALL
"""


def used(
    moment: int,
    *,
    model: str = "m",
    principal: str = "key",
    tier: str = "",
    replica: str = "",
    status: str = "success",
    **tokens: int,
) -> Event:
    """An event that the one deployment takes."""
    return Event(
        at=moment,
        model=model,
        principal=principal,
        tier=tier,
        replica=replica,
        status=status,
        tokens=tuple(tokens.items()),
    )


def facts(*events: Event, **others: object) -> Facts:
    """One deployment that serves one model."""
    return Facts(deployments=(Deployment(),), events=events, **others)


def test_an_hour_holds_its_first_microsecond_and_not_the_next_hours(stepped) -> None:
    """Hours are half-open, and so is the window."""
    times = (at("00:59") + 59_999_999, at("01:00"), at("01:59") + 59_999_999, at("02:00"), at("03:00"))
    found = stepped(
        facts(*(used(time, output=2**n) for n, time in enumerate(times))), STEP, at("01:00"), at("03:00"), QUERY
    )

    assert [(row[0], row[7]) for row in found] == [(at("01:00"), 2 + 4), (at("02:00"), 8)]


def test_what_does_not_tell_charges_apart_is_added(stepped) -> None:
    """Replicas, statuses and reported names fall together; model, caller and tier do not. Failed requests count."""
    found = stepped(facts(
        used(at("01:00"), output=1, replica="r1"), used(at("01:00"), output=2, replica="r2", status="failed"), used(at("01:00"), output=4, model="chat"),
        used(at("01:00"), output=8, tier="batch"), used(at("01:00"), output=16, principal="other"), aliases=(Alias(alias="chat", model="m"),),
    ), STEP, at("01:00"), at("02:00"), QUERY)  # fmt: skip

    assert [(*row[1:4], *row[7:]) for row in found] == [
        ("m", "key", "", 7, 0, 3, 3),
        ("m", "key", "batch", 8, 0, 1, 1),
        ("m", "other", "", 16, 0, 1, 1),
    ]


def test_kinds_stay_apart(stepped) -> None:
    """Each token kind adds up by itself."""
    one = {"uncached_input": 1, "cache_read": 2, "cache_write": 3, "output": 4, "reasoning": 5}
    ten = {kind: 10 * tokens for kind, tokens in one.items()}
    found = stepped(facts(used(at("01:00"), **one), used(at("01:30"), **ten)), STEP, at("01:00"), at("02:00"), QUERY)

    assert found == [(at("01:00"), "m", "key", "", 11, 22, 33, 44, 55, 2, 2)]


def test_sums_pass_32_bits(stepped) -> None:
    """Ten billion tokens of one kind in each of many events add up exactly."""
    events = tuple(used(at("01:00") + after, output=10**10) for after in range(50))
    found = stepped(facts(*events), STEP, at("01:00"), at("01:00") + HOUR, QUERY)

    assert found[0][7] == 50 * 10**10
