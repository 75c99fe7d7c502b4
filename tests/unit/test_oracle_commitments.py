"""The oracle's commitments and assets agree with the pencil, and cost over their term what was paid for them."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle_commitments import Amounts, Charge
from tests.oracle_costs import origin_rows
from tests.oracle_fleet import fleet
from tests.oracle_purchases import payments
from tests.oracle_units import HOUR_US, micros, month_hours

START = datetime(2026, 10, 1, tzinfo=UTC)
HOUR = micros(START)
UNUSED = "unused_commitment"
UNUSED_ASSET = "unused_asset"


def at(minutes: int) -> datetime:
    """Minutes after the start."""
    return START + timedelta(minutes=minutes)


def rows(hour: int = HOUR, **tables: Any) -> dict[Charge, Amounts]:
    """Origin charges of pools p and q of 4 and 2 GPUs, at 2.00 and 3.00 a GPU-hour, listed at 2.50 and 3.00."""
    pools = [{"id": "p", "gpus": 4, "effective_from": START}, {"id": "q", "gpus": 2, "effective_from": START}]
    rates = [
        {"pool": "p", "component": "accelerator", "per_gpu_hour": "2.00", "list": "2.50"},
        {"pool": "q", "component": "accelerator", "per_gpu_hour": "3.00"},
    ]
    return origin_rows(fleet({"pools": pools, "rates": rates, **tables}), hour)


def reserved(name: str, gpus: int, *pools: str, **entry: Any) -> dict[str, Any]:
    """GPUs reserved for two hours."""
    term = {"effective_from": START, "effective_to": at(120)}
    return {"id": name, "kind": "reserved", "gpus": gpus, "pools": list(pools), **term, **entry}


def nano(amount: str) -> int:
    """Nano of an amount."""
    return int(Decimal(amount) * 10**9)


def test_a_reservation_covers_pools_in_their_order() -> None:
    """5 GPUs of q, then p: 2 + 3 are covered at 1.00 + 12.00 upfront over two hours; one GPU of p pays the card."""
    found = rows(commitments=[reserved("r", 5, "q", "p", upfront="12.00", per_gpu_hour="1.00")])

    assert found == {
        Charge("p", "accelerator", "", "", ""): (nano("2"), nano("2"), nano("2.5"), nano("2"), None),
        Charge("p", "accelerator", "commitment/r", "", ""): (nano("6.6"), nano("3"), nano("7.5"), nano("6"), None),
        Charge("q", "accelerator", "commitment/r", "", ""): (nano("4.4"), nano("14"), nano("6"), nano("6"), None),
    }


def test_what_nobody_used_is_the_first_pools_and_says_so() -> None:
    """10 reserved for 6 GPUs: 4 are unused, cause unused_commitment; an earlier row takes first, a later one what is left."""
    found = rows(commitments=[reserved("a", 1, "q", per_gpu_hour="1"), reserved("b", 10, "q", "p", per_gpu_hour="1")])

    assert {(row.pool, row.evidence, row.cause): amounts.effective for row, amounts in found.items()} == {
        ("q", "commitment/a", ""): nano("1"),
        ("q", "commitment/b", ""): nano("1"),
        ("p", "commitment/b", ""): nano("4"),
        ("q", "commitment/b", UNUSED): nano("5"),
    }


def test_an_hours_cost_is_split_with_ties_in_order() -> None:
    """Two nano over half an hour unused, a quarter of q and of p: one is the unused part's, the other p's; one alone is unused."""
    half = [{"id": name, "gpus": 1, "effective_from": START, "effective_to": at(30)} for name in ("q", "p")]

    def costs(amount: str) -> dict[tuple[str, str], int]:
        one = reserved("r", 2, "q", "p", upfront=amount, effective_to=at(60))
        found = rows(pools=half, rates=[], commitments=[one])
        return {(row.pool, row.cause): amounts.effective for row, amounts in found.items() if amounts.effective}

    assert costs("0.000000002") == {("q", UNUSED): 1, ("p", ""): 1}
    assert costs("0.000000001") == {("q", UNUSED): 1}


def test_upfront_is_billed_once_where_the_term_begins() -> None:
    """The hour that holds the start bills it on the first pool's row: the used one, or the unused one where nothing is used."""
    begins = {"effective_from": at(10), "effective_to": at(130)}
    used = reserved("r", 1, "p", upfront="12", **begins)
    idle = {**used, "pools": ["elsewhere", "p"], "gpus": 1}
    bills = [
        {
            (row.pool, row.cause): amounts.billed
            for row, amounts in rows(hour, commitments=[entry]).items()
            if row.evidence
        }
        for entry in (used, idle)
        for hour in (HOUR, HOUR + HOUR_US)
    ]

    assert bills == [
        {("p", ""): nano("12")},
        {("p", ""): 0},
        {("p", ""): 0, ("elsewhere", UNUSED): nano("12")},
        {("p", ""): 0},
    ]


@settings(max_examples=40)
@given(
    upfront=st.integers(0, 10**12),
    fee=st.integers(0, 10**10),
    gpus=st.integers(1, 7),
    minutes=st.tuples(st.integers(0, 200), st.integers(1, 300)),
    change=st.integers(1, 400),
)
def test_a_term_costs_what_was_billed(upfront: int, fee: int, gpus: int, minutes: tuple[int, int], change: int) -> None:
    """Used and unused together, over the whole term, are what the commitment was bought for, and nothing is negative."""
    term = {"effective_from": at(minutes[0]), "effective_to": at(minutes[0] + minutes[1])}
    money = {"upfront": Decimal(upfront).scaleb(-9), "per_gpu_hour": Decimal(fee).scaleb(-9)}
    pools = [
        {"id": "p", "gpus": 4, "effective_from": START, "effective_to": at(change)},
        {"id": "p", "gpus": 1, "effective_from": at(change)},
        {"id": "q", "gpus": 2, "effective_from": at(change // 2)},
    ]
    found: dict[Charge, list[int]] = defaultdict(lambda: [0, 0])
    for hour in range(HOUR, HOUR + 10 * HOUR_US, HOUR_US):
        for row, amounts in rows(
            hour, pools=pools, commitments=[reserved("r", gpus, "p", "q", **term, **money)]
        ).items():
            assert min(amounts[:4]) >= 0
            if row.evidence:
                found[row][0] += amounts.effective
                found[row][1] += amounts.billed

    assert sum(effective for effective, _ in found.values()) == sum(billed for _, billed in found.values())


def test_spending_is_used_up_and_the_rest_pays_the_card() -> None:
    """5.00 an hour at 1.50 for q and 1.00 for p: 3.00 for q's two GPUs, 2.00 for two of p's; the other two pay 2.00 each."""
    plan = {"id": "s", "kind": "savings", "pools": ["q", "p"], "per_hour": "5.00", "rates": {"p": "1.00", "q": "1.50"}}
    term = {"effective_from": START, "effective_to": at(60)}
    found = rows(commitments=[{**plan, **term}])
    partly = rows(commitments=[{**plan, **term, "per_hour": "4.25"}])
    unused = rows(commitments=[{**plan, **term, "per_hour": "9.00"}])

    assert found == {
        Charge("q", "accelerator", "commitment/s", "", ""): (nano("3"), nano("3"), nano("6"), nano("6"), None),
        Charge("p", "accelerator", "commitment/s", "", ""): (nano("2"), nano("2"), nano("5"), nano("4"), None),
        Charge("p", "accelerator", "", "", ""): (nano("4"), nano("4"), nano("5"), nano("4"), None),
    }
    assert partly[Charge("p", "accelerator", "", "", "")].effective == nano("5.5")
    assert unused[Charge("q", "accelerator", "commitment/s", "", UNUSED)].effective == nano("2")
    assert Charge("p", "accelerator", "", "", "") not in unused


def test_spending_is_for_gpus_that_nothing_else_covers() -> None:
    """A reservation of 3 and an asset of 1 stand for all of p, so its spending commitment is unused."""
    term = {"effective_from": START, "effective_to": at(60)}
    found = rows(
        commitments=[
            {"id": "s", "kind": "savings", "pools": ["p"], "per_hour": "1", "rates": {"p": "1"}, **term},
            reserved("r", 3, "p", per_gpu_hour="1"),
        ],
        assets=[{"id": "a", "pool": "p", "gpus": 1, "capex": "0", "life_months": 12, "effective_from": START}],
    )

    assert {(row.evidence, row.cause): r.effective for row, r in found.items() if row.pool == "p"} == {
        ("commitment/r", ""): nano("3"),
        ("commitment/s", UNUSED): nano("1"),
        ("asset/a", ""): 0,
    }
    assert found[Charge("p", "accelerator", "asset/a", "", "")].listed == nano("2.5")


def test_an_asset_is_written_off_over_its_life_and_covers_beyond_it() -> None:
    """8760.00 over the 8760 hours of its life, an hour of a month and of a year beside it; after its life only those, and no card."""
    asset = {"id": "a", "pool": "q", "gpus": 2, "capex": "8860", "residual": "100", "life_months": 12}
    asset |= {"effective_from": START, "maintenance_per_year": "8760", "colocation_per_month": "744"}
    first = rows(assets=[asset])
    later = rows(micros(datetime(2028, 1, 1, tzinfo=UTC)), assets=[asset])

    assert {row.component: (r.effective, r.listed) for row, r in first.items() if row.pool == "q"} == {
        "accelerator": (nano("1"), nano("6")),
        "maintenance": (nano("1"), nano("1")),
        "colocation": (nano("1"), nano("1")),
    }
    assert {row.component: r.effective for row, r in later.items() if row.pool == "q"} == {
        "accelerator": 0,
        "maintenance": 8760 * 10**9 // 8784,
        "colocation": nano("1"),
    }


def test_owned_gpus_without_a_pool_are_nobodys() -> None:
    """1.00 an hour for five GPUs: the pool has four of them for the first half of the hour and two from then on."""
    asset = {"id": "a", "pool": "q", "gpus": 5, "capex": "8760", "life_months": 12, "effective_from": START}
    dated = [{"gpus": 4, "effective_from": START, "effective_to": at(30)}, {"gpus": 2, "effective_from": at(30)}]
    found = rows(
        pools=[{"id": "q", **row} for row in dated], rates=[], assets=[{**asset, "colocation_per_month": "744"}]
    )

    assert {(row.component, row.cause): amounts.effective for row, amounts in found.items()} == {
        ("accelerator", ""): nano("0.6"),
        ("accelerator", UNUSED_ASSET): nano("0.4"),
        ("colocation", ""): nano("0.6"),
        ("colocation", UNUSED_ASSET): nano("0.4"),
    }


def test_an_annuity_pays_interest_on_top() -> None:
    """100.00 in two payments at 1 % a month are 50.751243781 each: 1.502487562 of interest, spread over the two months."""
    asset = {"id": "a", "pool": "q", "gpus": 2, "capex": "100", "life_months": 2, "method": "annuity"}
    tables = {"assets": [{**asset, "annual_rate": "0.12", "effective_from": START}]}
    hours = [*month_hours(HOUR), *month_hours(HOUR + 40 * 24 * HOUR_US)]

    costs: dict[str, int] = defaultdict(int)
    for hour in hours:
        for row, amounts in rows(hour, **tables).items():
            costs[row.component] += amounts.effective if row.evidence else 0

    assert payments(Decimal(100), Decimal(0), Decimal("0.12"), 2) == 101_502_487_562
    assert costs == {"accelerator": nano("100"), "financing": 1_502_487_562}


def test_a_residual_is_interest_bearing() -> None:
    """100.00 with 50.00 left at the end: interest is that of 100 less the value of 50 in two months."""
    lost = Decimal(100) - Decimal(50) / Decimal("1.0201")
    expected = lost * 2 * Decimal("0.01") / (1 - 1 / Decimal("1.0201"))

    assert payments(Decimal(100), Decimal(50), Decimal("0.12"), 2) == round(expected * 10**9)


def test_covered_gpus_contract_at_the_card_after_discounts() -> None:
    """Half off p for half an hour: 4 GPUs at 2.00 contract at 6.00, listed at 10.00, whoever pays for them; unused at its cost."""
    discount = {"pools": ["p"], "percent": "50", "effective_from": START, "effective_to": at(30)}
    owned = {"id": "a", "pool": "p", "gpus": 3, "capex": "0", "life_months": 12, "effective_from": START}
    found = rows(discounts=[discount], commitments=[reserved("r", 2, "p", per_gpu_hour="1")], assets=[owned])

    assert {(row.evidence, row.cause): (r.listed, r.contracted) for row, r in found.items() if row.pool == "p"} == {
        ("commitment/r", ""): (nano("5"), nano("3")),
        ("asset/a", ""): (nano("5"), nano("3")),
    }


def test_amounts_in_a_currency_of_their_own_are_kept() -> None:
    """A reservation of 1.00 EUR an hour at 1.5: the pool's hour is 6.00 USD and 4.00 EUR, split alike."""
    found = rows(
        commitments=[reserved("r", 4, "p", per_gpu_hour="1", currency="EUR")],
        fx=[{"currency": "EUR", "rate": "1.5", "effective_from": START}],
    )

    assert found[Charge("p", "accelerator", "commitment/r", "EUR", "")] == (
        nano("6"),
        nano("6"),
        nano("10"),
        nano("8"),
        nano("4"),
    )


def test_what_is_paid_once_is_worth_what_it_was_when_it_was_paid() -> None:
    """4.00 EUR upfront for two hours at 1.5 are 6.00 USD, 3.00 in each, though the rate is 2 in the second; fees follow the rate."""
    entry = reserved("r", 1, "p", upfront="4", per_gpu_hour="1", currency="EUR")
    asset = {"id": "a", "pool": "q", "gpus": 2, "capex": "744", "life_months": 1, "effective_from": START}
    tables = {
        "commitments": [entry],
        "assets": [{**asset, "colocation_per_month": "744", "currency": "EUR"}],
        "fx": [
            {"currency": "EUR", "rate": "1.5", "effective_from": START, "effective_to": at(60)},
            {"currency": "EUR", "rate": "2", "effective_from": at(60)},
        ],
    }
    first, second = (
        {(row.evidence, row.component): amounts for row, amounts in rows(hour, **tables).items() if row.evidence}
        for hour in (HOUR, HOUR + HOUR_US)
    )

    assert [found["commitment/r", "accelerator"].effective for found in (first, second)] == [nano("4.5"), nano("5")]
    assert [found["commitment/r", "accelerator"].billed for found in (first, second)] == [nano("7.5"), nano("2")]
    assert [found["asset/a", "accelerator"].effective for found in (first, second)] == [nano("1.5"), nano("1.5")]
    assert [found["asset/a", "colocation"].effective for found in (first, second)] == [nano("1.5"), nano("2")]
    assert second["commitment/r", "accelerator"].in_currency == nano("3")
