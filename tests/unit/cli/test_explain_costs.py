"""`apportion explain`: from a figure to the prices behind it, and to what an invoice says; all that is shown adds up to the nano."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apportion.cli import main

HOUR = "2026-10-03T14:00Z"
EDITS = (
    ('id = "llama8b"\n', 'id = "llama8b"\nthroughput = { prefill = 73700, decode = 14800 }\n'),
    ('per_gpu_hour = "0.86"\n', 'per_gpu_hour = "0.86"\nlist = "1.10"\npurchase = "spot"\nsource = "quote 17"\ncurrency = "EUR"\n'),
)  # fmt: skip
CONTRACTS = """
[[fx]]
currency = "EUR"
rate = "1.08"
effective_from = 2026-10-01T00:00:00Z

[[discounts]]
pools = ["l40s-batch"]
percent = "12.5"
effective_from = 2026-10-01T00:00:00Z

[[commitments]]
id = "ri"
kind = "reserved"
pools = ["h100-prod"]
gpus = 10
upfront = "1000"
per_gpu_hour = "0.5"
effective_from = 2026-10-03T00:00:00Z
effective_to = 2026-10-04T00:00:00Z

[[prices.overrides]]
provider = "openai"
model = "gpt-4o"
input = "2.5"
cache_read = "1.25"
output = "10"
reasoning = "output"
currency = "EUR"
"""


@pytest.fixture(scope="module")
def contracts(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo with a price in another currency, a discount, a commitment too large and a priced provider."""
    own = Path(shutil.copytree(demo, tmp_path_factory.mktemp("contracts") / "demo"))
    config = own / "apportion.toml"
    text = config.read_text(encoding="utf-8")
    for before, after in EDITS:
        assert text.count(before) == 1
        text = text.replace(before, after)
    config.write_text(text + CONTRACTS, encoding="utf-8")
    span = ["--since", "2026-10-01T00:00Z", "--until", "2026-11-01T00:00Z"]
    assert main(["meter", *span, "--config", str(config)]) == 0
    return own


def explained(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> dict[str, Any]:
    """What `explain --json` says."""
    capsys.readouterr()
    assert main(["explain", "--json", "--config", str(folder / "apportion.toml"), *arguments]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def screen(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> str:
    """What people see."""
    capsys.readouterr()
    assert main(["explain", "--config", str(folder / "apportion.toml"), *arguments]) == 0
    return capsys.readouterr().out


def added(rows: list[dict[str, Any]], name: str = "effective_cost") -> Decimal:
    """The sum of an amount over rows."""
    return sum((Decimal(row[name]) for row in rows if row[name] is not None), Decimal(0))


@pytest.mark.parametrize("asked", [
    ("--month", "2026-10"), ("--month", "2026-10", "--pool", "h100-prod"), ("--month", "2026-10", "--pool", "l40s-batch"),
    ("--hour", HOUR), ("--hour", HOUR, "--pool", "h100-prod"), ("--hour", "2026-10-03T00:00Z"),
])  # fmt: skip
def test_origin_charges_and_external_usage_are_the_figure(
    contracts: Path, capsys: pytest.CaptureFixture[str], asked: tuple[str, ...]
) -> None:
    """Of whole pools, what they cost by component and what providers charge is the figure, to the nano, and so are its lines."""
    found = explained(capsys, contracts, *asked)
    outside = [line for line in found["lines"] if line["cost_kind"] == "external"]

    assert added(found["origin_charges"]) + added(found["external"]) == Decimal(found["effective_cost"]) > 0
    assert added(found["lines"]) == Decimal(found["effective_cost"])
    assert added(found["external"]) == added(outside)


def test_an_hour_can_be_worked_out_from_its_prices(contracts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Price x GPU-hours x (1 - discount) x exchange rate is the effective cost; the list price is that of the list cost."""
    found = explained(capsys, contracts, "--hour", HOUR, "--pool", "l40s-batch")
    (charge,) = found["origin_charges"]
    terms = {one["term"]: one for one in found["prices"]}
    price, discount, exchange = terms["price"], terms["discount"], terms["exchange_rate"]
    gpu_hours = Decimal(charge["paid_us"]) / 3_600_000_000

    assert (price["unit"], price["purchase"], price["source"], price["currency"]) == (
        "gpu_hour",
        "spot",
        "quote 17",
        "EUR",
    )
    assert (price["effective_from"], discount["value"], exchange["value"]) == (
        "2026-10-01T00:00:00Z",
        "12.500000000",
        "1.080000000",
    )
    in_currency = Decimal(price["value"]) * gpu_hours * (1 - Decimal(discount["value"]) / 100)
    assert Decimal(charge["cost_in_currency"]) == in_currency
    assert Decimal(charge["effective_cost"]) == in_currency * Decimal(exchange["value"])
    assert Decimal(charge["list_cost"]) == Decimal(price["list"]) * gpu_hours * Decimal(exchange["value"])


def test_a_commitment_shows_its_terms_and_what_it_bills(contracts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A commitment's payments stand beside the charges they explain; over its term it bills what it costs, in its first hour more."""
    month = explained(capsys, contracts, "--month", "2026-10", "--pool", "h100-prod")
    own = [one for one in month["origin_charges"] if one["evidence"] == "commitment/ri"]
    terms = {one["term"]: (one["value"], one["unit"], one["gpus"]) for one in month["prices"] if one["evidence"]}

    assert terms == {"upfront": ("1000.000000000", "term", 10), "price": ("0.500000000", "gpu_hour", 10)}
    assert added(own) == added(own, "billed_cost") == Decimal(1000) + Decimal("0.5") * 10 * 24
    assert {one["cause"] for one in own} == {"", "unused_commitment"}
    first = screen(capsys, contracts, "--hour", "2026-10-03T00:00Z", "--pool", "h100-prod")
    later = screen(capsys, contracts, "--hour", "2026-10-05T00:00Z", "--pool", "h100-prod")
    assert "billed cost" in first
    assert "Of it, what deployments share: " in first
    assert "billed cost" not in later
    assert "commitment/ri" not in later


def test_a_total_is_of_all_rows_above_it(contracts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Below origin charges stands the sum of what is printed, what is not shared included."""
    found = explained(capsys, contracts, "--hour", HOUR, "--pool", "h100-prod")
    shown = screen(capsys, contracts, "--hour", HOUR, "--pool", "h100-prod").split("what the pool's hour cost")[1]
    (total,) = [line.split() for line in shown.split("\n\nOf it")[0].splitlines() if line.startswith("total")]

    assert Decimal(total[-1]) == added(found["origin_charges"])
    shared = [one for one in found["origin_charges"] if not one["cause"]]
    assert f"what deployments share: {added(shared):.9f};" in shown


def test_external_usage_says_by_whose_price(contracts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Provider, tier and source of the price, the amount in the price's currency, and each line's own provider and tier."""
    found = explained(capsys, contracts, "--month", "2026-10", "--model", "gpt-4o")
    output = next(one for one in found["external"] if one["token_kind"] == "output")

    assert (output["provider"], output["tier"], output["price_evidence"], output["currency"]) == (
        "openai",
        "",
        "override",
        "EUR",
    )
    assert Decimal(output["cost_in_currency"]) == Decimal(output["consumed_tokens"]) * 10 / 1_000_000
    assert {(line["provider"], line["tier"]) for line in found["lines"]} == {("openai", "")}
    shown = screen(capsys, contracts, "--month", "2026-10", "--model", "gpt-4o")
    assert f"{Decimal(output['cost_in_currency']):.9f} EUR" in shown


def test_teams_divide_external_usage(contracts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every team's external usage is that of its lines, and together they are everybody's."""
    whole = explained(capsys, contracts, "--month", "2026-10", "--model", "gpt-4o")
    results = [
        explained(capsys, contracts, "--month", "2026-10", "--model", "gpt-4o", "--team", team)
        for team in ("platform", "research", "support", "search", "__unmapped__")
        if team_has(contracts, team)
    ]

    assert sum(added(one["external"]) for one in results) == added(whole["external"]) > 0
    assert all(added(one["external"]) == added(one["lines"]) for one in results)


def team_has(folder: Path, team: str) -> bool:
    """Whether a team called the priced provider."""
    return main(["explain", "--month", "2026-10", "--model", "gpt-4o", "--team", team, "--config", str(folder / "apportion.toml")]) == 0  # fmt: skip


def test_inputs_are_in_units_for_people(contracts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Weighted tokens are decimals, times of a token microseconds; capacity says used of what it could, activity its share."""
    shown = screen(capsys, contracts, "--hour", HOUR)
    found = explained(capsys, contracts, "--hour", HOUR)
    (hour,) = [one for one in found["deployment_hours"] if one["deployment_id"] == "llama70b"]
    (weights,) = [one["inputs"] for one in hour["phases"] if one["phase_method"] == "weights/1"]

    prefill = Decimal(weights["prefill_weight"]) / weights["weight_scale"]
    assert f"weighted prefill tokens {prefill.normalize():,f}," in shown
    assert "output 67.567567 µs" in shown
    assert "used 240,323 of 8,000,000 weighted tokens it could serve (3.00 %)" in shown
    assert "47.58 % of that active" in shown


def test_hours_that_wait_for_a_rate_are_stale(demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An hour that is refused shows what it was metered as before: a warning beside it, and a mark for programs."""
    own = Path(shutil.copytree(demo, tmp_path / "demo"))
    config = own / "apportion.toml"
    text = config.read_text(encoding="utf-8")
    ends = 'per_gpu_hour = "0.86"\neffective_from = 2026-10-01T00:00:00Z\n'
    config.write_text(text.replace(ends, f"{ends}effective_to = 2026-10-03T15:00:00Z\n"), encoding="utf-8")
    span = ["--since", "2026-10-01T00:00Z", "--until", "2026-10-08T00:00Z"]
    assert main(["meter", *span, "--config", str(config)]) == 1
    later = ["--hour", "2026-10-03T16:00Z"]

    assert explained(capsys, own, "--hour", HOUR)["stale"] is None
    assert "warning" not in capsys.readouterr().err
    stale = explained(capsys, own, *later)["stale"]
    assert (stale["refused_hours"], stale["charged_hours"]) == (1, ["2026-10-03T16:00:00Z"])
    assert "l40s-batch" in stale["reason"]
    month = explained(capsys, own, "--month", "2026-10")
    assert month["stale"]["first_hour"] == "2026-10-03T15:00:00Z"
    assert len(month["stale"]["charged_hours"]) == month["stale"]["refused_hours"] == 9 + 4 * 24
    assert {one["is_stale"] for one in month["hours"]} == {False}
    screen_of = ["explain", "--config", str(config)]
    assert main([*screen_of, *later]) == 0
    assert "this hour could not be metered as things are now" in capsys.readouterr().err
    assert main([*screen_of, "--month", "2026-10"]) == 0
    assert "hours of this month could not be metered as things are now" in capsys.readouterr().err
    model = ["--month", "2026-10", "--model", "llama-3.1-8b"]
    hours = explained(capsys, own, *model)["hours"]
    assert [one["is_stale"] for one in hours] == [one["charge_period_start"] >= "2026-10-03T15" for one in hours]
    marked = screen(capsys, own, *model).count("as metered before: it waits")
    assert marked == sum(one["is_stale"] for one in hours)


def test_half_a_month_says_how_far_it_goes(demo: Path, contracts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A month that is not metered to its end says so beside its figure; one that is does not."""
    assert explained(capsys, demo, "--month", "2026-10")["metered_to"] == "2026-10-08T00:00:00Z"
    assert "2026-11-01 00:00 UTC, so far, to 2026-10-08 00:00: " in screen(capsys, demo, "--month", "2026-10")
    assert explained(capsys, contracts, "--month", "2026-10")["metered_to"] == "2026-11-01T00:00:00Z"
    assert "so far" not in screen(capsys, contracts, "--month", "2026-10")
