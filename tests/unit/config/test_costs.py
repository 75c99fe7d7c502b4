"""What GPUs are paid with: rows by themselves and together, refused in a sentence or warned about with the dates."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.unit.config.conftest import Loaded, Problems

FROM = "effective_from = 2026-10-01T00:00:00Z\n"
TERM = f"{FROM}effective_to = 2027-10-01T00:00:00Z\n"
POOL = f'[[pools]]\nid = "p"\ngpu = "L4"\ngpus = 8\n{FROM}'
EUR = f'[[fx]]\ncurrency = "EUR"\nrate = "1.1"\n{FROM}'


def rate(price: str = 'per_gpu_hour = "3"', dated: str = FROM) -> str:
    """A `[[rates]]` table of pool p."""
    return f'[[rates]]\npool = "p"\ncomponent = "accelerator"\n{price}\n{dated}'


def reserved(more: str = "gpus = 4", dated: str = TERM, name: str = "r") -> str:
    """A reservation for pool p, at a price of its own or the usual one."""
    more += "" if "upfront" in more or "per_gpu_hour" in more or "per_hour" in more else '\nupfront = "1"'
    return f'[[commitments]]\nid = "{name}"\nkind = "reserved"\npools = ["p"]\n{more}\n{dated}'


def savings(more: str = 'per_hour = "5"\nrates = { p = "2" }', dated: str = TERM, name: str = "s") -> str:
    """A savings plan for pool p."""
    return f'[[commitments]]\nid = "{name}"\nkind = "savings"\npools = ["p"]\n{more}\n{dated}'


def asset(more: str = 'capex = "100"\nlife_months = 48', gpus: int = 8, dated: str = FROM) -> str:
    """Owned GPUs of pool p."""
    return f'[[assets]]\nid = "a"\npool = "p"\ngpus = {gpus}\n{more}\n{dated}'


def discount(more: str = 'percent = "10"', dated: str = FROM) -> str:
    """A discount for pool p."""
    return f'[[discounts]]\npools = ["p"]\n{more}\n{dated}'


def credit(more: str = 'pools = ["p"]\namount = "10"', dated: str = TERM) -> str:
    """A free credit."""
    return f'[[credits]]\nid = "c"\n{more}\n{dated}'


def test_a_rate_says_what_its_price_is_for(loaded: Loaded) -> None:
    """The unit is in the name of the key; a list price is the price unless it is written."""
    config = loaded(
        POOL
        + EUR
        + rate('per_gpu_second = "0.001"\nlist = "0.002"\npurchase = "spot"\ncurrency = "EUR"\nsource = "a mail"')
    )
    (found,) = config.rates

    assert (found.unit, found.price_nano, found.list_nano) == ("gpu_second", 1_000_000, 2_000_000)
    assert (found.purchase, found.currency, found.source) == ("spot", "EUR", "a mail")
    assert config.warnings == ()


def test_every_table_is_read(loaded: Loaded) -> None:
    """With its defaults: discounts are on accelerators, assets wear in a straight line and are worth nothing in the end."""
    config = loaded(POOL + rate() + EUR + discount() + reserved() + savings() + asset() + credit())
    costs = config.costs

    assert config.resolved()["credits"] == [
        {
            "id": "c",
            "amount": "10.000000000",
            "pools": ["p"],
            "effective_from": "2026-10-01T00:00:00Z",
            "effective_to": "2027-10-01T00:00:00Z",
        }
    ]
    assert (costs.fx[0].rate, costs.discounts[0].components) == (Decimal("1.1"), ("accelerator",))
    assert [(row.id, row.gpus, dict(row.rates_nano)) for row in costs.commitments] == [
        ("r", 4, {}),
        ("s", 0, {"p": 2_000_000_000}),
    ]
    assert (costs.assets[0].method, costs.assets[0].residual_nano, costs.credits[0].pools) == (
        "straight_line",
        0,
        ("p",),
    )


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (rate("") + POOL, "rates[0]", "has no price; write one of per_gpu_hour, per_gpu_second, per_month, per_year"),
        (rate('per_gpu_hour = "3"\nper_month = "4"') + POOL, "rates[0]", "has per_gpu_hour and per_month; write one of per_gpu_hour"),
        (rate('per_gpu_hour = "3"\ncurrency = "euro"') + POOL, "rates[0].currency", "is 'euro'; write an ISO 4217 code"),
        (POOL + rate() + EUR + EUR, "fx[1]", "exchange rate of 'EUR' is in force from 2026-10-01T00:00:00Z on, and overlaps apportion.toml:fx[0]"),
        (POOL + rate() + EUR.replace("EUR", "USD"), "fx[0].currency", "is USD, which is the billing currency; remove the row"),
        (POOL + rate() + EUR.replace("1.1", "0"), "fx[0].rate", "is 0; write units of the billing currency for one unit of it, above 0"),
        (POOL + rate() + discount() + discount('percent = "5"'), "discounts[1]", "discount on accelerator of pool 'p' is in force"),
        (POOL + rate() + discount('percent = "100.5"'), "discounts[0].percent", "is 100.5; write a percentage from 0 to 100"),
        (POOL + rate() + discount('percent = "1"\ncomponents = ["gpu"]'), "discounts[0].components", "holds 'gpu'; write some of accelerator, host"),
        (POOL + rate() + discount().replace('["p"]', '["q"]'), "discounts[0].pools", "unknown pool 'q'; known are p"),
        (POOL + rate() + reserved('gpus = 4\nper_hour = "1"').replace('per_hour = "1"\n', ""), "commitments[0]", "has no price; write upfront, per_gpu_hour or both"),
        (POOL + rate('per_month = "5"') + reserved(), "rates[0]", "pays for all GPUs of pool 'p' by the month, and apportion.toml:commitments[0] pays for some of them too"),
        (POOL + rate('per_year = "5"') + asset(gpus=2), "rates[0]", "pays for all GPUs of pool 'p' by the year, and apportion.toml:assets[0] pays for some"),
        (POOL + rate() + rate('per_kwh = "0.1"').replace("accelerator", "energy").replace(FROM, "watts_per_gpu = 70\n" + FROM) + discount('percent = "1"\ncomponents = ["energy"]'), "discounts[0]", "is not taken off per_kwh at apportion.toml:rates[1]; write the tariff"),
        (POOL + rate() + reserved(dated=FROM), "commitments[0].effective_to", "is missing, and a commitment has a term; add when it ends"),
        (POOL + rate() + reserved().replace('["p"]', '["q"]'), "commitments[0].pools", "unknown pool 'q'"),
        (POOL + rate() + reserved().replace('["p"]', "[]"), "commitments[0].pools", "names none; add at least one"),
        (POOL + rate() + reserved('gpus = 4\nper_gpu_hour = "1"\nper_hour = "1"'), "commitments[0].per_hour", 'is only for kind = "savings", and this is "reserved"'),
        (POOL + rate() + reserved() + reserved(), "commitments[1].id", "commitment 'r' is written twice; give each an id of its own"),
        (POOL + rate() + reserved('gpus = 4\ncurrency = "EUR"'), "commitments[0].currency", "is EUR, and there is no exchange rate at 2026-10-01T00:00:00Z, when it begins"),
        (POOL + rate() + reserved('gpus = 1000000\nper_gpu_hour = "9000000000"'), "commitments[0]", "commitment 'r' costs more than one row can hold"),
        (POOL + rate() + savings('per_hour = "5"\nupfront = "9000000000"\nrecurring_per_hour = "9000000000"\nrates = { p = "2" }'), "commitments[0]", "commitment 's' costs more than one row can hold"),
        (POOL + rate() + savings() + savings(name="t"), "commitments[1]", "savings plan of pool 'p' is in force"),
        (POOL + rate() + savings('per_hour = "5"\nrates = { p = "2" }\nupfront = "1"'), "commitments[0].recurring_per_hour", "is missing"),
        (POOL + rate() + savings('per_hour = "5"\nrates = { p = "2" }\nrecurring_per_hour = "1"'), "commitments[0].recurring_per_hour", "is what an upfront payment leaves to be paid by the hour; add upfront, or remove it"),
        (POOL + rate() + savings('per_hour = "0"\nrates = { p = "2" }\nupfront = "1"\nrecurring_per_hour = "0"'), "commitments[0].upfront", "is paid for a plan that promises to spend nothing"),
        (POOL + rate() + savings('per_hour = "5"'), "commitments[0].rates", 'is missing; add rates = { POOL = "1.90" }'),
        (POOL + rate() + savings('per_hour = "5"\nrates = { p = "1", q = "1" }'), "commitments[0].rates.q", "is not among pools; name it there"),
        (POOL + rate() + savings('per_hour = "5"\nrates = { p = "0" }'), "commitments[0].rates.p", "is 0, and a plan is used up in proportion"),
        (POOL + rate('per_month = "5"') + savings(), "commitments[0]", "what the plan leaves of pool 'p' is paid by the GPU-hour, and apportion.toml:rates[0] has a price per month"),
        (POOL + asset('capex = "100"'), "assets[0].life_months", "is missing, and there is no default"),
        (POOL + asset('capex = "100"\nresidual = "101"\nlife_months = 1'), "assets[0].residual", "is more than capex"),
        (POOL + asset('capex = "1"\nlife_months = 1\nannual_rate = "0.1"'), "assets[0].annual_rate", 'is only for method = "annuity"; remove it'),
        (POOL + asset('capex = "1"\nlife_months = 1\nmethod = "annuity"'), "assets[0].annual_rate", "is missing, and there is no default"),
        (POOL + asset('capex = "1"\nlife_months = 1\nmethod = "annuity"\nannual_rate = "8"\n'), "assets[0].annual_rate", "is 8; write a fraction of a year's cost of capital"),
        (POOL + rate() + credit(dated=FROM), "credits[0].effective_to", "is missing, and a credit is spread over its range"),
        (POOL + rate() + credit('amount = "10"'), "credits[0].pools", "names none; add at least one"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(text: str, place: str, said: str, problems: Problems) -> None:
    """One sentence with the place, the dates where there are any, and what to do."""
    found = problems(text)

    assert len(found) == 1, found
    assert found[0].startswith(f"apportion.toml:{place}: ")
    assert said in found[0]


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        (POOL + asset(), []),
        (POOL + asset(gpus=9), ["assets[0].gpus: 9 GPUs of pool 'p' are owned from 2026-10-01T00:00:00Z on, and 8 are there; the part of the others is idle cost, cause unused_asset"]),
        (POOL + rate() + reserved("gpus = 9"), ["commitments[0].gpus: 1 of 9 reserved GPUs find none to pay for from 2026-10-01T00:00:00Z to 2027-10-01T00:00:00Z: the pools named have fewer that nothing before covers; the part of these is idle cost, cause unused_commitment"]),
        (POOL + rate() + reserved("gpus = 8"), []),
        (POOL + rate() + reserved("gpus = 6") + reserved("gpus = 4", name="q"), ["commitments[1].gpus: 2 of 4 reserved GPUs find none to pay for from 2026-10-01"]),
        (POOL + "effective_to = 2027-01-01T00:00:00Z\n" + POOL.replace("8", "2").replace("2026-10", "2027-02") + rate() + reserved(), ["commitments[0].gpus: 4 of 4 reserved GPUs find none to pay for from 2027-01-01T00:00:00Z to 2027-02-01T00:00:00Z (and in 1 more ranges)"]),
        (POOL + rate() + credit('amount = "210240"\npools = ["p"]'), []),
        (POOL + rate() + credit('amount = "210241"\npools = ["p"]'), ["credits[0].amount: is 24.000114155 USD an hour, and an hour of its pools costs 24.000000000 at most from 2026-10-01T00:00:00Z to 2027-10-01T00:00:00Z; what an hour cannot use is lost; spread it over a longer range"]),
        (POOL + rate('per_month = "672"') + credit('amount = "8760"\npools = ["p"]'), []),
        (POOL + rate('per_gpu_second = "0.001"') + credit('amount = "260000"\npools = ["p"]'), ["credits[0].amount: is 29.680365296 USD an hour, and an hour of its pools costs 28.800000000 at most"]),
        (POOL + EUR + rate('per_gpu_hour = "1"\ncurrency = "EUR"') + credit('amount = "77089"\npools = ["p"]'), ["credits[0].amount: is 8.800114155 USD an hour, and an hour of its pools costs 8.800000000 at most"]),
        (POOL + rate() + reserved() + credit('amount = "900000"\npools = ["p"]'), []),
        (POOL + asset(gpus=7), ["pools[0]: pool 'p' has no accelerator rate from 2026-10-01T00:00:00Z on"]),
        (POOL + reserved("gpus = 8"), ["pools[0]: pool 'p' has no accelerator rate from 2027-10-01T00:00:00Z on"]),
        (POOL + reserved() + asset(gpus=4), ["pools[0]: pool 'p' has no accelerator rate from 2027-10-01T00:00:00Z on"]),
        (POOL + savings('per_hour = "16"\nrates = { p = "2" }'), ["pools[0]: pool 'p' has no accelerator rate from 2027-10-01T00:00:00Z on"]),
        (POOL + savings('per_hour = "15"\nrates = { p = "2" }'), ["pools[0]: pool 'p' has no accelerator rate from 2026-10-01T00:00:00Z on"]),
        (POOL + rate('per_gpu_hour = "1"\ncurrency = "EUR"'), ["pools[0]: pool 'p' is priced in EUR, which has no exchange rate from 2026-10-01T00:00:00Z on, and hours without one are not metered; add a [[fx]] row"]),
        (POOL + rate('per_gpu_hour = "1"\ncurrency = "USD"'), []),
        (POOL + rate() + savings('per_hour = "5"\nupfront = "21900"\nrecurring_per_hour = "2.5"\nrates = { p = "2" }'), []),
        (POOL + rate() + savings('per_hour = "5"\nupfront = "43362"\nrecurring_per_hour = "0"\nrates = { p = "2" }'), []),
        (POOL + rate() + savings('per_hour = "5"\nupfront = "21900"\nrecurring_per_hour = "5"\nrates = { p = "2" }'), ["commitments[0]: savings plan 's' promises to spend 43800.000000000 in its term, and 65700.000000000 are paid for it"]),
        (POOL + rate() + discount('percent = "0.075"'), ['discounts[0].percent: is 0.075, less than one percent; did you mean "7.5"? Write it in percent']),
        (POOL + rate() + discount('percent = "0"'), []),
        (POOL + rate() + discount('percent = "5"\ncomponents = ["accelerator", "host"]'), ["discounts[0].pools: pool 'p' has no host rate from 2026-10-01T00:00:00Z on, so the discount takes nothing off there"]),
        (POOL + asset() + discount('percent = "1"'), ["discounts[0].pools: pool 'p' has no accelerator rate"]),
        (POOL + rate() + reserved('gpus = 1\nupfront = "1"\ncurrency = "EUR"') + EUR + "effective_to = 2026-10-02T00:00:00Z\n", []),
        (POOL + rate() + reserved('gpus = 1\nper_gpu_hour = "1"\ncurrency = "EUR"') + EUR + "effective_to = 2026-10-02T00:00:00Z\n", ["commitments[0].currency: there is no exchange rate of EUR from 2026-10-02T00:00:00Z to 2027-10-01T00:00:00Z"]),
    ],
)  # fmt: skip
def test_holes_in_what_is_paid_are_warned_about(text: str, warnings: list[str], loaded: Loaded) -> None:
    """Covered GPUs need no rate, foreign prices an exchange rate, and what was fixed at the start none after it."""
    found = loaded(text).warnings

    assert len(found) == len(warnings), found
    for sentence, expected in zip(found, warnings, strict=True):
        assert sentence.startswith(f"apportion.toml:{expected}")
