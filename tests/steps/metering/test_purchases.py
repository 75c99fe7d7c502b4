"""What each way to buy a GPU costs by the hour, with figures that a pencil gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from apportion.ledger.connection import Ledger
from tests.steps.metering import spending
from tests.steps.metering.facts import HOUR, at
from tests.steps.metering.spending import FROM, Cost, Key, fx, pool, rate, usd

Bought = Callable[..., dict[Key, Cost]]
ONE = at("01:00")


@pytest.fixture
def bought(ledger: Ledger, tmp_path: Path) -> Bought:
    """Tables of a config, and by default one hour of a day -> its origin charges, metered and audited."""

    def answer(text: str, start: int = ONE, end: int = ONE + HOUR) -> dict[Key, Cost]:
        session = spending.booked(ledger, spending.configured(tmp_path, text))
        report = spending.hours_metered(ledger, start, end)
        assert report.refused == {}
        return spending.costs(session)

    return answer


def key(
    evidence: str = "", cause: str = "", *, component: str = "accelerator", currency: str = "", of: str = "p"
) -> Key:
    """The key of a row of the first hour."""
    return ONE, of, component, evidence, currency, cause


def plain(amount: str, gpu_hours: int) -> Cost:
    """A row of the rate card at its list price."""
    nano = usd(amount)
    return Cost(nano, nano, nano, nano, None, gpu_hours * HOUR)


def reserved(more: str, ends: str = "2027-01-01T00:00:00Z", pools: str = '["p"]', dated: str = FROM) -> str:
    """A reservation, by default of the whole year 2026 (8760 hours)."""
    return f'[[commitments]]\nid = "r"\nkind = "reserved"\npools = {pools}\n{more}\n{dated}effective_to = {ends}\n'


def test_seconds_months_and_years_are_prices_too(bought: Bought) -> None:
    """Serverless by the second, storage by the month of 744 hours, maintenance by the year of 8760."""
    text = (
        pool(gpus=2) + rate('per_gpu_second = "0.001"\npurchase = "serverless"') + rate('per_month = "7.44"', component="storage")
        + rate('per_year = "87.60"', component="maintenance")
    )  # fmt: skip

    assert bought(text) == {
        key(): plain("7.2", 2), key(component="storage"): plain("0.01", 2), key(component="maintenance"): plain("0.01", 2),
    }  # fmt: skip


def test_a_month_adds_up_to_its_price(bought: Bought) -> None:
    """An amount that does not divide by the hours is paid to the nano, also where a pool is resized within an hour."""
    text = (
        pool(dated=f"{FROM}effective_to = 2026-10-10T10:20:30Z\n") + pool(gpus=9, dated="effective_from = 2026-10-10T10:20:30Z\n")
        + rate('per_month = "100.000000001"')
    )  # fmt: skip
    found = bought(text, at("2026-10-01"), at("2026-11-01"))

    assert sum(cost.effective for cost in found.values()) == usd("100.000000001")
    assert (
        sum(cost.paid_us for cost in found.values())
        == (9 * 744 - 5 * (9 * 24 + 10)) * HOUR - 5 * (20 * 60 + 30) * 10**6
    )


def test_a_price_that_changes_within_the_month_prices_each_hour_by_itself(bought: Bought) -> None:
    """Two GPUs: 3.00 until 01:15, 4.00 from then on."""
    text = pool(gpus=2) + rate(dated=f"{FROM}effective_to = 2026-10-01T01:15:00Z\n")
    text += rate('per_gpu_hour = "4"', dated="effective_from = 2026-10-01T01:15:00Z\n")

    found = bought(text, ONE - HOUR, ONE + 2 * HOUR)
    assert [found[hour, *key()[1:]].effective for hour in (ONE - HOUR, ONE, ONE + HOUR)] == [
        usd("6"),
        usd("7.5"),
        usd("8"),
    ]


def test_an_exchange_rate_may_change_within_the_hour(bought: Bought) -> None:
    """Two GPUs at 3.00 EUR: half an hour at 1.10, half at 1.20 is 3.30 + 3.60 USD, and 6.00 EUR."""
    text = pool(gpus=2) + rate('per_gpu_hour = "3"\nlist = "4"\ncurrency = "EUR"')
    text += fx("1.1", f"{FROM}effective_to = 2026-10-01T01:30:00Z\n") + fx(
        "1.2", "effective_from = 2026-10-01T01:30:00Z\n"
    )

    assert bought(text) == {
        key(currency="EUR"): Cost(usd("6.9"), usd("6.9"), usd("9.2"), usd("6.9"), usd("6"), 2 * HOUR)
    }


def test_amounts_are_rounded_once_and_each_by_itself(bought: Bought) -> None:
    """A price of 1e-9 EUR at 0.5 for three GPUs is 1.5 nano, so 2; the currency keeps its 3."""
    text = pool(gpus=3) + rate('per_gpu_hour = "0.000000001"\ncurrency = "EUR"') + fx("0.5")

    assert bought(text) == {key(currency="EUR"): Cost(2, 2, 2, 2, 3, 3 * HOUR)}


def test_a_discount_lowers_what_is_paid_and_not_the_list(bought: Bought) -> None:
    """Four GPUs at 3.00: 12.5 % off for the last half of the hour, on the accelerator alone."""
    text = pool() + rate() + rate('per_gpu_hour = "1"', component="host")
    text += '[[discounts]]\npools = ["p"]\npercent = "12.5"\neffective_from = 2026-10-01T01:30:00Z\n'

    assert bought(text) == {
        key(): Cost(usd("11.25"), usd("11.25"), usd("12"), usd("11.25"), None, 4 * HOUR), key(component="host"): plain("4", 4),
    }  # fmt: skip


def test_half_a_reservation_unused_is_a_line_of_its_own(bought: Bought) -> None:
    """Four GPUs reserved at 2.00 and an upfront 87.60 over 8760 hours; the pool has two of them: 8.01, half of it in vain."""
    found = bought(pool(gpus=2) + rate() + reserved('gpus = 4\nupfront = "87.60"\nper_gpu_hour = "2"'))

    assert found == {
        key("commitment/r"): Cost(usd("4.005"), usd("4"), usd("6"), usd("6"), None, 2 * HOUR),
        key("commitment/r", "unused_commitment"): Cost(
            usd("4.005"), usd("4"), usd("4.005"), usd("4.005"), None, 2 * HOUR
        ),
    }


def test_unused_commitments_are_idle_of_the_first_pool(bought: Bought, ledger: Ledger) -> None:
    """Two pools draw on eight GPUs, one after the other: three, then four at most; the rest is a line of idle with its cause."""
    text = (
        pool(gpus=3)
        + pool("q", 4)
        + rate()
        + rate(name="q")
        + reserved('gpus = 8\nper_gpu_hour = "1"', pools='["q", "p"]')
    )
    found = bought(text)
    lines = ledger.session().rows(
        "SELECT pool_id, deployment_no, cost_kind::VARCHAR, cause, effective_cost_nano FROM metering.charge_hourly "
        "JOIN book.pool_key USING (pool_no) ORDER BY ALL"
    )

    assert {each: cost.effective for each, cost in found.items()} == {
        key("commitment/r"): usd("3"), key("commitment/r", of="q"): usd("4"),
        key("commitment/r", "unused_commitment", of="q"): usd("1"),
    }  # fmt: skip
    assert lines == [
        ("p", 0, "idle", "unscheduled", usd("3")), ("q", 0, "idle", "unscheduled", usd("4")),
        ("q", 0, "idle", "unused_commitment", usd("1")),
    ]  # fmt: skip


def test_what_no_reservation_covers_pays_the_card(bought: Bought) -> None:
    """Of four GPUs one is reserved from half past one: half a GPU-hour at 1.00, the other three and a half at 3.00."""
    text = pool() + rate() + reserved('gpus = 1\nper_gpu_hour = "1"', dated="effective_from = 2026-10-01T01:30:00Z\n")

    assert bought(text) == {
        key(): Cost(usd("10.5"), usd("10.5"), usd("10.5"), usd("10.5"), None, 7 * HOUR // 2),
        key("commitment/r"): Cost(usd("0.5"), usd("0.5"), usd("1.5"), usd("1.5"), None, HOUR // 2),
    }


def test_what_is_covered_contracts_at_the_card_after_discounts(bought: Bought) -> None:
    """Of sixteen GPUs at 2.49 less 7.5 %, listed at 3.50: eight reserved would cost 18.426, a plan's five 11.51625, as the rest does."""
    card = rate('per_gpu_hour = "2.49"\nlist = "3.50"')
    discount = f'[[discounts]]\npools = ["p"]\npercent = "7.5"\n{FROM}'
    plan = '[[commitments]]\nid = "s"\nkind = "savings"\npools = ["p"]\nper_hour = "10"\nrates = { p = "2" }\n'
    plan += f"{FROM}effective_to = 2027-01-01T00:00:00Z\n"
    found = bought(pool(gpus=16) + card + discount + reserved('gpus = 8\nper_gpu_hour = "1"') + plan)

    assert {each[3]: (cost.listed, cost.contracted, cost.effective) for each, cost in found.items()} == {
        "commitment/r": (usd("28"), usd("18.426"), usd("8")), "commitment/s": (usd("17.5"), usd("11.51625"), usd("10")),
        "": (usd("10.5"), usd("6.90975"), usd("6.90975")),
    }  # fmt: skip


def test_a_discount_that_ends_within_the_hour_contracts_its_part_of_it(bought: Bought) -> None:
    """Two owned GPUs, and a card of 3.00 with half off until 01:15: 2 x (0.375 + 2.25); what no pool has contracts at its cost."""
    text = pool(gpus=2) + rate() + asset('gpus = 3\ncapex = "8760"\nlife_months = 12')
    text += f'[[discounts]]\npools = ["p"]\npercent = "50"\n{FROM}effective_to = 2026-10-01T01:15:00Z\n'

    assert {each[5]: (cost.listed, cost.contracted) for each, cost in bought(text).items()} == {
        "": (usd("6"), usd("5.25")), "unused_asset": (usd("0.333333333"), usd("0.333333333")),
    }  # fmt: skip


def test_covered_gpus_that_the_card_prices_for_a_part_of_the_hour_contract_at_their_cost(bought: Bought) -> None:
    """A card from half past one on says nothing of the half hour before."""
    dated = "effective_from = 2026-10-01T01:30:00Z\n"
    text = pool(gpus=1) + rate(dated=dated) + reserved('gpus = 1\nper_gpu_hour = "1"')

    assert bought(text)[key("commitment/r")] == Cost(usd("1"), usd("1"), usd("1"), usd("1"), None, HOUR)


def test_an_upfront_payment_is_billed_when_the_term_begins(bought: Bought) -> None:
    """100.000000001 over three and a half hours from half past one: half a share first, all of it billed in that hour."""
    term = {"dated": "effective_from = 2026-10-01T01:30:00Z\n", "ends": "2026-10-01T05:00:00Z"}
    found = bought(pool(gpus=1) + rate() + reserved('gpus = 1\nupfront = "100.000000001"', **term), ONE, ONE + 4 * HOUR)
    rows = [found[ONE + hour * HOUR, *key("commitment/r")[1:]] for hour in range(4)]

    assert [row.effective for row in rows] == [usd("14.285714285"), *[usd("28.571428572")] * 3]
    assert [row.billed for row in rows] == [usd("100.000000001"), 0, 0, 0]


def test_an_upfront_payment_without_use_is_billed_too(bought: Bought) -> None:
    """The first pool begins a day later than the term: what is billed stands on the row of what is not used."""
    text = pool(dated="effective_from = 2026-10-02T00:00:00Z\n") + rate()
    text += reserved(
        'gpus = 1\nupfront = "24"', dated="effective_from = 2026-10-01T01:00:00Z\n", ends="2026-10-02T01:00:00Z"
    )

    assert bought(text) == {
        key("commitment/r", "unused_commitment"): Cost(usd("1"), usd("24"), usd("1"), usd("1"), None, HOUR)
    }


def test_a_foreign_term_costs_what_it_cost_when_it_began(bought: Bought) -> None:
    """Upfront 24 EUR at 1.10 stays 26.40 USD over the day, although the rate moves; what recurs follows it."""
    text = pool(gpus=1) + rate() + fx("1.1", f"{FROM}effective_to = 2026-10-01T01:00:00Z\n")
    text += fx("2", "effective_from = 2026-10-01T01:00:00Z\n")
    text += reserved(
        'gpus = 1\nupfront = "24"\nper_gpu_hour = "1"\ncurrency = "EUR"', dated="effective_from = 2026-10-01T00:00:00Z\n",
        ends="2026-10-02T00:00:00Z",
    )  # fmt: skip
    found = bought(text, at("00:00"), at("23:00") + HOUR)

    assert found[key("commitment/r", currency="EUR")] == Cost(usd("3.1"), usd("2"), usd("3"), usd("3"), usd("2"), HOUR)
    assert sum(cost.effective for cost in found.values()) == sum(cost.billed for cost in found.values()) == usd("73.5")


PLAN = (
    '[[commitments]]\nid = "s"\nkind = "savings"\npools = ["p", "q"]\nper_hour = "{}"\nrates = {{ p = "2", q = "1" }}\n'
    + FROM
)
PLAN += "effective_to = 2027-01-01T00:00:00Z\n"


def test_a_savings_plan_is_used_in_order_and_the_rest_pays_the_card(bought: Bought) -> None:
    """10.00 an hour: four GPUs at 2.00 use 8, two of the next eight at 1.00 the last 2; six pay 5.00 at their card."""
    text = pool() + pool("q", 8) + rate() + rate('per_gpu_hour = "5"', "q") + PLAN.format(10)

    assert bought(text) == {
        key("commitment/s"): Cost(usd("8"), usd("8"), usd("12"), usd("12"), None, 4 * HOUR),
        key("commitment/s", of="q"): Cost(usd("2"), usd("2"), usd("10"), usd("10"), None, 2 * HOUR),
        key(of="q"): plain("30", 6),
    }


def test_what_a_savings_plan_promises_is_paid_unused(bought: Bought) -> None:
    """10.00 an hour and one GPU each: 2 + 1 used, 7 in vain, on the first pool."""
    text = pool(gpus=1) + pool("q", 1) + PLAN.format(10)

    assert {each: (cost.effective, cost.paid_us) for each, cost in bought(text).items()} == {
        key("commitment/s"): (usd("2"), HOUR), key("commitment/s", of="q"): (usd("1"), HOUR),
        key("commitment/s", "unused_commitment"): (usd("7"), 0),
    }  # fmt: skip


def test_a_plan_paid_in_part_at_its_start_is_used_as_any_other(bought: Bought) -> None:
    """10.00 an hour for four hours, 20.00 of it upfront: each hour costs 10, and is billed 5, the first one 25."""
    term = "effective_from = 2026-10-01T01:00:00Z\neffective_to = 2026-10-01T05:00:00Z\n"
    plan = PLAN.format(10).partition("effective_from")[0] + f'upfront = "20"\nrecurring_per_hour = "5"\n{term}'
    found = bought(pool(gpus=1) + pool("q", 1) + rate() + rate('per_gpu_hour = "5"', "q") + plan, ONE, ONE + 2 * HOUR)

    for hour, upfront in ((ONE, 20), (ONE + HOUR, 0)):
        assert {each[1:]: (cost.effective, cost.billed) for each, cost in found.items() if each[0] == hour} == {
            key("commitment/s")[1:]: (usd("2"), usd(str(1 + upfront))), key("commitment/s", of="q")[1:]: (usd("1"), usd("0.5")),
            key("commitment/s", "unused_commitment")[1:]: (usd("7"), usd("3.5")),
        }  # fmt: skip


def asset(more: str, dated: str = FROM) -> str:
    """Owned GPUs of pool p."""
    return f'[[assets]]\nid = "a"\npool = "p"\n{more}\n{dated}'


def test_owned_hardware_depreciates_in_a_straight_line(bought: Bought) -> None:
    """8760 less a residual of 876 over the 8760 hours of 2026 is 0.90 an hour; upkeep is by the calendar, the card says 3.00."""
    text = pool(gpus=2) + rate() + asset(
        'gpus = 2\ncapex = "8760"\nresidual = "876"\nlife_months = 12\nmaintenance_per_year = "87.6"\ncolocation_per_month = "744"'
    )  # fmt: skip

    assert bought(text) == {
        key("asset/a"): Cost(usd("0.9"), usd("0.9"), usd("6"), usd("6"), None, 2 * HOUR),
        key("asset/a", component="maintenance"): plain("0.01", 0), key("asset/a", component="colocation"): plain("1", 0),
    }  # fmt: skip


def test_an_annuity_adds_the_cost_of_capital(bought: Bought) -> None:
    """1000 over two months at 12 % a year: i = 0.01, payments of 507.512437811, so 15.024875622 of financing in 59 days."""
    text = pool(gpus=1) + asset('gpus = 1\ncapex = "1000"\nlife_months = 2\nmethod = "annuity"\nannual_rate = "0.12"')
    found = bought(text, at("2026-01-01"), at("2026-03-02"))
    sums = {
        part: sum(cost.effective for each, cost in found.items() if each[2] == part)
        for part in ("accelerator", "financing")
    }

    assert sums == {"accelerator": usd("1000"), "financing": usd("15.024875622")}
    assert (
        len([each for each in found if each[2] == "accelerator"]) == 60 * 24
    )  # worn out and in service still, at no cost


OWNED = 'capex = "8760"\nlife_months = 12\nmaintenance_per_year = "87.6"\ncolocation_per_month = "744"'


def test_owned_gpus_that_the_pool_has_not_are_unused(bought: Bought, ledger: Ledger) -> None:
    """Four are owned and the pool has three: a quarter of every component is nobody's, a line of idle, and no deployment's."""
    found = bought(pool(gpus=3) + rate() + asset(f"gpus = 4\n{OWNED}"))
    lines = ledger.session().rows(
        "SELECT deployment_no, cost_kind::VARCHAR, cause, effective_cost_nano FROM metering.charge_hourly ORDER BY ALL"
    )

    assert found == {
        key("asset/a"): Cost(usd("0.75"), usd("0.75"), usd("9"), usd("9"), None, 3 * HOUR),
        key("asset/a", "unused_asset"): plain("0.25", 1),
        key("asset/a", component="maintenance"): plain("0.0075", 0),
        key("asset/a", "unused_asset", component="maintenance"): plain("0.0025", 0),
        key("asset/a", component="colocation"): plain("0.75", 0),
        key("asset/a", "unused_asset", component="colocation"): plain("0.25", 0),
    }
    assert lines == [(0, "idle", "unscheduled", usd("1.5075")), (0, "idle", "unused_asset", usd("0.5025"))]


def test_owned_gpus_are_unused_while_their_pool_is_not_there(bought: Bought) -> None:
    """The pool comes at a quarter to two: three quarters of the hour are nobody's, in the asset's own currency too."""
    text = pool(gpus=1, dated="effective_from = 2026-10-01T01:45:00Z\n") + fx("2")

    assert bought(text + asset('gpus = 1\ncapex = "8760"\nlife_months = 12\ncurrency = "EUR"')) == {
        key("asset/a", currency="EUR"): Cost(usd("0.5"), usd("0.5"), usd("0.5"), usd("0.5"), usd("0.25"), HOUR // 4),
        key("asset/a", "unused_asset", currency="EUR"): Cost(
            usd("1.5"), usd("1.5"), usd("1.5"), usd("1.5"), usd("0.75"), 3 * HOUR // 4
        ),
    }


def test_a_tie_between_used_and_unused_gpus_goes_to_nobody(bought: Bought) -> None:
    """A nano an hour for two GPUs, of which the pool has one: the remainders are equal, and the unused part sorts first."""
    found = bought(pool(gpus=1) + asset('gpus = 2\ncapex = "0.000008760"\nlife_months = 12'))

    assert {each[-1]: cost.effective for each, cost in found.items()} == {"": 0, "unused_asset": 1}


def test_worn_out_gpus_cover_on_at_no_cost(bought: Bought) -> None:
    """A month after their life of a month two owned GPUs still pay no rate: one of them serves, the other has no pool."""
    text = (
        pool(gpus=1)
        + rate()
        + asset('gpus = 2\ncapex = "8760"\nlife_months = 1', "effective_from = 2026-08-01T00:00:00Z\n")
    )

    assert bought(text) == {
        key("asset/a"): Cost(0, 0, usd("3"), usd("3"), None, HOUR), key("asset/a", "unused_asset"): plain("0", 1),
    }  # fmt: skip


def test_gpus_that_a_reservation_took_are_not_the_assets(bought: Bought) -> None:
    """Reservations come first: of two owned GPUs one finds the pool full, and half of them is unused."""
    text = pool(gpus=2) + reserved('gpus = 1\nper_gpu_hour = "1"') + asset('gpus = 2\ncapex = "8760"\nlife_months = 12')

    assert {(each[3], each[5]): cost.effective for each, cost in bought(text).items()} == {
        ("commitment/r", ""): usd("1"), ("asset/a", ""): usd("0.5"), ("asset/a", "unused_asset"): usd("0.5"),
    }  # fmt: skip


def test_an_asset_without_its_pool_costs_all_the_same(bought: Bought) -> None:
    """Nothing can be split over GPUs that are not there, so the line says that it is unused."""
    text = (
        pool(dated="effective_from = 2026-11-01T00:00:00Z\n")
        + rate()
        + asset('gpus = 1\ncapex = "8760"\nlife_months = 12')
    )

    assert bought(text) == {key("asset/a", "unused_asset"): plain("1", 1)}


CREDIT = '[[credits]]\nid = "{}"\npools = {}\namount = "{}"\neffective_from = 2026-10-01T00:00:00Z\neffective_to = 2026-10-01T10:00:00Z\n'


def test_a_credit_pays_in_order_and_what_outlasts_its_hour_is_lost(bought: Bought, ledger: Ledger) -> None:
    """Two pools of 3.00 and 6.00: a credit of 1.00 an hour for p, then one of 10.00 for both, of which 2.00 find nothing."""
    text = pool(gpus=1) + pool("q", 2) + rate() + rate(name="q")
    text += CREDIT.format("c1", '["p"]', 10) + CREDIT.format("c2", '["q", "p"]', 100)
    found = bought(text)
    counted = ledger.session().rows(
        "SELECT credit_id, granted_nano, applied_nano FROM metering.credit_hourly ORDER BY ALL"
    )

    assert {each: cost.effective for each, cost in found.items()} == {
        key(): usd("3"), key(of="q"): usd("6"), key("credit/c1", component="credit"): -usd("1"),
        key("credit/c2", component="credit"): -usd("2"), key("credit/c2", component="credit", of="q"): -usd("6"),
    }  # fmt: skip
    assert found[key("credit/c1", component="credit")] == Cost(-usd("1"), -usd("1"), 0, -usd("1"), None, 0)
    assert counted == [("c1", usd("1"), usd("1")), ("c2", usd("10"), usd("8"))]
