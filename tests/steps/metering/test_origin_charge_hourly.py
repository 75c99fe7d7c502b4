"""metering.origin_charge_hourly: what paid time and monthly amounts cost, hour by hour."""

from __future__ import annotations

import pytest

from tests.steps.metering.facts import HOUR, Facts, Pool, Rate, Shared, at

STEP = "metering.origin_charge_hourly"
QUERY = """
SELECT epoch_us(charge_period_start), pool_id, component, paid_us::BIGINT, effective_cost_nano
FROM metering.origin_charge_hourly JOIN book.pool_key USING (pool_no) ORDER BY ALL
"""
USD = 10**9


def test_every_hour_of_a_pool_costs(stepped) -> None:
    """No event, no sample: the hours cost all the same, and those before and after the pool do not."""
    facts = Facts(pools=(Pool(gpus=2, start=at("01:00"), end=at("03:00")),), rates=(Rate(nano=3 * USD),))
    found = stepped(facts, STEP, at("00:00"), at("04:00"), QUERY)

    assert found == [(at(hour), "p", "accelerator", 2 * HOUR, 6 * USD) for hour in ("01:00", "02:00")]


def test_a_resize_within_an_hour_is_paid_to_the_microsecond(stepped) -> None:
    """Two GPUs until 01:15, four from then on: 0.5 + 3 GPU-hours."""
    pools = (Pool(gpus=2, end=at("01:15")), Pool(gpus=4, start=at("01:15")))
    found = stepped(Facts(pools=pools, rates=(Rate(nano=2 * USD),)), STEP, at("01:00"), at("02:00"), QUERY)

    assert found == [(at("01:00"), "p", "accelerator", 7 * HOUR // 2, 7 * USD)]


def test_rates_of_one_hour_add_before_they_are_rounded(stepped) -> None:
    """Two rates of half an hour each, a third of a nano apart from whole numbers: one rounding, not two."""
    rates = (Rate(nano=1, end=at("01:20")), Rate(nano=2, start=at("01:20")))
    found = stepped(Facts(pools=(Pool(),), rates=rates), STEP, at("01:00"), at("02:00"), QUERY)

    assert found == [(at("01:00"), "p", "accelerator", HOUR, 2)]  # 1/3 + 4/3 = 5/3; rounded apart it would be 0 + 1


@pytest.mark.parametrize(("nano", "expected"), [(1, 0), (3, 2), (5, 2), (7, 4)])
def test_a_tie_goes_to_the_even_neighbour(stepped, nano: int, expected: int) -> None:
    """Half an hour at an odd price ends on a half."""
    facts = Facts(pools=(Pool(end=at("01:30")),), rates=(Rate(nano=nano),))

    assert stepped(facts, STEP, at("01:00"), at("02:00"), QUERY)[0][4] == expected


@pytest.mark.parametrize(("off", "expected"), [(-1, 0), (0, 0), (1, 1)])
def test_a_microsecond_decides_beside_a_tie(stepped, off: int, expected: int) -> None:
    """Half a nano minus a microsecond rounds down, plus one rounds up, and exactly half goes to the even one."""
    facts = Facts(pools=(Pool(end=at("01:30") + off),), rates=(Rate(nano=1),))

    assert stepped(facts, STEP, at("01:00"), at("02:00"), QUERY)[0][4] == expected


def test_each_component_has_its_own_row_and_rounding(stepped) -> None:
    """Components are priced over the time they have a rate for."""
    rates = (Rate(nano=3 * USD), Rate(component="host", nano=USD, start=at("01:45")))
    found = stepped(Facts(pools=(Pool(gpus=2),), rates=rates), STEP, at("01:00"), at("02:00"), QUERY)

    assert found == [
        (at("01:00"), "p", "accelerator", 2 * HOUR, 6 * USD),
        (at("01:00"), "p", "host", HOUR // 2, USD // 2),
    ]


def test_large_fleets_do_not_overflow(stepped) -> None:
    """A hundred thousand GPUs at ten thousand an hour stay exact."""
    facts = Facts(pools=(Pool(gpus=100_000),), rates=(Rate(nano=10_000 * USD + 1),))

    assert stepped(facts, STEP, at("01:00"), at("02:00"), QUERY)[0][4] == 100_000 * (10_000 * USD + 1)


@pytest.mark.parametrize(
    ("month", "following", "hours"),
    [
        ("2026-10-01", "2026-11-01", 744),
        ("2027-02-01", "2027-03-01", 672),
        ("2028-02-01", "2028-03-01", 696),
        ("2026-12-01", "2027-01-01", 744),
    ],
)
def test_a_monthly_amount_is_spread_over_every_hour_of_its_month(
    stepped, month: str, following: str, hours: int
) -> None:
    """Months of 28, 29 and 31 days, clocks changing or not: one row an hour, the first ones a nano more, the amount in all."""
    amount = 12_000 * USD + 5
    facts = Facts(shared=(Shared(id="platform", nano=amount),))
    found = stepped(facts, STEP, at(month), at(following), QUERY)
    costs = [row[4] for row in found]
    part, rest = divmod(amount, hours)

    assert len(found) == hours
    assert {row[1:4] for row in found} == {("", "platform", 0)}
    assert costs == [part + 1] * rest + [part] * (hours - rest)
    assert sum(costs) == amount


def test_a_monthly_amount_is_charged_only_while_it_is_in_force(stepped) -> None:
    """An hour counts when its start lies in the range; what falls outside is nobody's cost."""
    facts = Facts(shared=(Shared(id="platform", nano=744, start=at("01:30"), end=at("03:30")),))
    found = stepped(facts, STEP, at("00:00"), at("06:00"), QUERY)

    assert [(row[0], row[4]) for row in found] == [(at("02:00"), 1), (at("03:00"), 1)]
