"""The rate card from more than amounts: list prices of the catalog, files, and energy by the kilowatt-hour."""

from __future__ import annotations

from pathlib import Path

import pytest

from apportion.cli import main
from tests.unit.catalog.test_cloud_prices import SKYPILOT
from tests.unit.config.conftest import Loaded, Problems
from tests.unit.config.test_fleet import NOVEMBER, OCTOBER, UNTIL_NOVEMBER, rate

EUR = '[ledger]\npath = "ledger.duckdb"\nbilling_currency = "EUR"\n'


def pool(gpu: str = "H100_SXM", name: str = "p", dated: str = OCTOBER) -> str:
    """A `[[pools]]` table of eight GPUs."""
    return f'[[pools]]\nid = "{name}"\ngpu = "{gpu}"\ngpus = 8\n{dated}\n'


def cited(reference: str, more: str = "", component: str = "accelerator", name: str = "p") -> str:
    """A rate that names a list price."""
    return f'[[rates]]\npool = "{name}"\ncomponent = "{component}"\ncatalog = "{reference}"\n{OCTOBER}\n{more}\n'


def energy(more: str = "", name: str = "p", dated: str = OCTOBER) -> str:
    """A rate per kilowatt-hour."""
    return f'[[rates]]\npool = "{name}"\ncomponent = "energy"\nper_kwh = "0.12"\n{dated}\n{more}\n'


def test_a_list_price_is_charged_and_said(loaded: Loaded) -> None:
    """The amount is the catalog's for the pool's GPU, and a warning has price, seller, date, confidence and source."""
    config = loaded(pool() + cited("AWS/on_demand/us-east@2026-H1"))

    assert [(row.component, row.unit, row.price_nano, row.purchase) for row in config.rates] == [
        ("accelerator", "gpu_hour", 6_880_000_000, "on_demand")
    ]
    assert config.rates[0].source.startswith(
        "6.88 USD per GPU-hour, AWS on_demand us-east p5.48xlarge, as of 2026-H1, confidence high ("
    )
    (said,) = config.warnings
    assert said.startswith(
        "apportion.toml:rates[0].catalog: pool 'p' is charged a public list price: 6.88 USD per GPU-hour, "
        "AWS on_demand us-east p5.48xlarge, as of 2026-H1, confidence high ("
    )
    assert said.endswith("write what you pay as per_gpu_hour")


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (pool() + cited("AWS/on_demand"), "rates[0].catalog", "is 'AWS/on_demand', which names 4 prices of H100_SXM; write one of AWS/on_demand/p5.48xlarge@2025-10 (6.88), "),
        (pool() + cited("AWS/spot@1999"), "rates[0].catalog", "is 'AWS/spot@1999', and no such price of H100_SXM is listed; known are AWS/spot/us/p5.48xlarge@2026-04"),
        (pool("H20") + cited("AWS/spot"), "rates[0].catalog", "is 'AWS/spot', and no price of H20 is listed; write per_gpu_hour"),
        (pool() + cited("AWS"), "rates[0].catalog", "is 'AWS'; write PROVIDER/KIND"),
        (pool() + cited("SF Compute/spot/market low", 'per_gpu_hour = "1"'), "rates[0].catalog", "stands beside per_gpu_hour"),
        (pool() + cited("SF Compute/spot/market low", component="host"), "rates[0].component", 'is not "accelerator"'),
        (pool(dated=UNTIL_NOVEMBER) + pool("H200_SXM", dated=NOVEMBER) + cited("AWS/spot"), "rates[0].catalog", "prices one GPU, and pool 'p' has H100_SXM, H200_SXM in that time; write a rate for each range"),
        (pool(dated="effective_from = 2027-01-01T00:00:00Z") + cited("AWS/spot", "effective_to = 2026-11-01T00:00:00Z"), "rates[0].catalog", "is for a time in which pool 'p' has no GPU"),
        (pool() + cited("AWS/spot", name="q"), "rates[0].pool", "unknown pool 'q'"),
        (pool() + cited("SF Compute/spot/market low", 'colour = "red"'), "rates[0].colour", "unknown key 'colour'"),
    ],
)  # fmt: skip
def test_a_reference_that_names_no_one_price_is_refused(problems: Problems, text: str, place: str, said: str) -> None:
    """Never a silent pick: what is ambiguous or unknown lists the candidates."""
    found = problems(text)

    assert [line for line in found if line.startswith(f"apportion.toml:{place}: {said}")], found


def test_a_list_price_is_no_price_of_another_currency(problems: Problems) -> None:
    """The catalog is in USD; a ledger in another currency has to say so."""
    found = problems(pool() + cited("SF Compute/spot/market low"), ledger=EUR)

    assert found == (
        'apportion.toml:rates[0].catalog: is a price in USD, and this rate is in EUR; add currency = "USD" and an [[fx]] rate',
    )


def test_a_list_price_may_be_in_another_currency_than_the_ledger(loaded: Loaded) -> None:
    """Where the rate says so, and the ledger has an exchange rate."""
    fx = f'[[fx]]\ncurrency = "USD"\nrate = "0.9"\n{OCTOBER}\n'
    config = loaded(pool() + cited("SF Compute/spot/market low", 'currency = "USD"') + fx, ledger=EUR)

    assert [(row.currency, row.price_nano, row.purchase) for row in config.rates] == [("USD", 1_260_000_000, "spot")]


def test_what_an_import_prints_is_a_rate_file(
    loaded: Loaded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows from a cloud's price file are read back as they were printed."""
    (tmp_path / "vms.csv").write_text(SKYPILOT, encoding="utf-8")
    command = [
        "rates",
        "import",
        str(tmp_path / "vms.csv"),
        "--format",
        "skypilot",
        "--pool",
        "p",
        "--purchase",
        "spot",
    ]
    assert main([*command, "--since", "2026-10-01T00:00Z"]) == 0
    (tmp_path / "rates.csv").write_text(capsys.readouterr().out, encoding="utf-8")
    config = loaded(pool() + '[[rate_files]]\npath = "rates.csv"\n')

    assert [(row.pool, row.price_nano, row.purchase, row.source) for row in config.rates] == [
        ("p", 2_687_500_000, "spot", "vms.csv (skypilot): p5.48xlarge us-east-1 21.5 per hour")
    ]
    assert config.warnings == ()


def test_a_file_of_rates_is_read_behind_the_tables(loaded: Loaded, tmp_path: Path) -> None:
    """Columns are the keys of [[rates]], an empty cell is a key that is not written; list prices and energy work alike."""
    (tmp_path / "rates.csv").write_text(
        "pool,component,per_gpu_hour,per_kwh,pue,watts_per_gpu,catalog,effective_from,effective_to\n"
        "q,accelerator,2.49,,,,,2026-10-01T00:00:00Z,2026-11-01T00:00:00Z\n"
        "\n"
        "q,accelerator,,,,,SF Compute/spot/market high,2026-11-01T00:00:00Z,\n"
        "q,energy,,0.08,1.2,650,,2026-10-01T00:00:00Z,\n",
        encoding="utf-8",
    )
    config = loaded(pool() + pool(name="q") + rate() + '[[rate_files]]\npath = "rates.csv"\n')

    assert [(row.pool, row.price_nano) for row in config.rates] == [
        ("p", 10**9),
        ("q", 2_490_000_000),
        ("q", 1_550_000_000),
    ]
    assert [(row.pool, row.per_kwh_nano, row.pue_ppm, row.watts_per_gpu) for row in config.energy_rates] == [
        ("q", 80_000_000, 1_200_000, 650)
    ]
    assert config.warnings[0].startswith("rates.csv:4.catalog: pool 'q' is charged a public list price: 1.55 USD")


def test_what_is_wrong_in_a_file_is_told_by_its_line(problems: Problems, tmp_path: Path) -> None:
    """Cells are read as the keys of the tables are, and contradictions between lines show with both places."""
    (tmp_path / "rates.csv").write_text(
        "pool,component,per_gpu_hour,effective_from\n"
        'p,accelerator,"2,49",2026-10-01T00:00:00Z\n'
        "nobody,accelerator,1,2026-10-01T00:00:00Z\n"
        "p,accelerator,1,2026-10-01T00:00:00Z\n"
        "p,accelerator,1,2026-12-01T00:00:00Z\n"
        "p,accelerator\n",
        encoding="utf-8",
    )
    found = problems(pool() + '[[rate_files]]\npath = "rates.csv"\n')

    assert [line.split(": ")[0] for line in found] == [
        "rates.csv:6",
        "rates.csv:2.per_gpu_hour",
        "rates.csv:3.pool",
        "rates.csv:5",
    ]
    assert "overlaps rates.csv:4" in found[-1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('path = "none.csv"', "apportion.toml:rate_files[0].path: "),
        ('path = "rates.csv"\nformat = "aws"', "apportion.toml:rate_files[0].format: unknown key 'format'"),
        ("", "apportion.toml:rate_files[0].path: is missing"),
    ],
)
def test_a_file_that_is_not_there_is_refused(problems: Problems, tmp_path: Path, text: str, said: str) -> None:
    """With the place where the config names it."""
    (tmp_path / "rates.csv").write_text("pool,component,per_gpu_hour,effective_from\n", encoding="utf-8")

    assert [line for line in problems(pool() + rate() + f"[[rate_files]]\n{text}\n") if line.startswith(said)]


def test_a_file_with_another_header_is_refused(problems: Problems, tmp_path: Path) -> None:
    """Unknown columns get the nearest name, and required ones are asked for."""
    (tmp_path / "rates.csv").write_text("pool,component,per_gpu_hours\n", encoding="utf-8")

    assert problems(pool() + rate() + '[[rate_files]]\npath = "rates.csv"\n') == (
        "rates.csv:1: unknown column 'per_gpu_hours'; did you mean per_gpu_hour?",
        "rates.csv:1: has no column effective_from; add it",
    )


def test_energy_takes_the_watts_of_the_catalog(loaded: Loaded) -> None:
    """Where a rate says none: for each range of the pool those of its GPU, and where they are from."""
    config = loaded(
        pool("H100_SXM", dated=UNTIL_NOVEMBER)
        + pool("L4", dated=NOVEMBER)
        + rate()
        + energy('pue = "1.25"\nsource = "utility"')
    )

    assert [(row.watts_per_gpu, row.pue_ppm, row.per_kwh_nano, row.source) for row in config.energy_rates] == [
        (700, 1_250_000, 120_000_000, "utility"),
        (72, 1_250_000, 120_000_000, "utility"),
    ]
    assert [row.watts_source for row in config.energy_rates] == [
        "catalog: H100_SXM, tdp 700 W, confidence high",
        "catalog: L4, tdp 72 W, confidence high",
    ]
    assert config.energy_rates[0].effective.end == config.energy_rates[1].effective.start


def test_energy_outside_the_time_of_its_pool_is_not_priced(loaded: Loaded) -> None:
    """A rate reaches no further than the pool that it is for."""
    config = loaded(pool(dated=UNTIL_NOVEMBER) + rate() + energy("watts_per_gpu = 400"))

    assert [(row.effective.end.isoformat(), row.watts_source) for row in config.energy_rates] == [
        ("2026-11-01T00:00:00+00:00", "config")
    ]


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (pool("Q9") + energy(), "rates[0].watts_per_gpu", "is missing, and the hardware catalog has no 'Q9'"),
        (pool() + energy('pue = "0.9"'), "rates[0].pue", "is 0.9; write a ratio from 1 to 10"),
        (pool() + energy('pue = "1.1234567"'), "rates[0].pue", "is 1.1234567, which has 7 decimals"),
        (pool() + energy("watts_per_gpu = 0"), "rates[0].watts_per_gpu", "is 0; write an integer from 1 to 10000"),
        (pool() + energy('watts_per_gpu = "0.5"'), "rates[0].watts_per_gpu", "is 0.5, which has 1 decimals"),
        (pool() + energy().replace("energy", "host"), "rates[0].component", "is 'host'; write one of energy"),
        (pool() + energy().replace("0.12", "1000001"), "rates[0].per_kwh", "is more than 1000000"),
        (pool() + energy(name="q"), "rates[0].pool", "unknown pool 'q'; known are p"),
        (pool() + energy('per_gpu_hour = "1"'), "rates[0].per_gpu_hour", "unknown key 'per_gpu_hour'"),
        (pool() + energy() + energy(), "rates[1]", "energy rate of pool 'p' is in force from 2026-10-01T00:00:00Z on, and overlaps apportion.toml:rates[0], in force from 2026-10-01T00:00:00Z on; set effective_to on the earlier; where these are different costs, write their sum"),
        (pool() + rate(component="energy") + energy(), "rates[1]", "energy rate of pool 'p' is in force"),
        (pool().replace("= 8", "= 1000000") + energy().replace("0.12", "1000000"), "rates[0]", "an hour of energy of pool 'p' may cost more than one row can hold"),
    ],
)  # fmt: skip
def test_an_energy_rate_that_makes_no_sense_is_refused(problems: Problems, text: str, place: str, said: str) -> None:
    """Each with its place and what to write."""
    found = problems(text)

    assert [line for line in found if line.startswith(f"apportion.toml:{place}: {said}")], found


def test_a_gpu_that_the_catalog_does_not_know_is_a_warning(loaded: Loaded) -> None:
    """With the nearest names, once for each GPU; nothing else depends on it."""
    config = loaded(pool("H100") + pool("H100", "q") + pool("abacus", "r") + rate() + rate("q") + rate("r"))

    assert len(config.warnings) == 2
    assert config.warnings[0].startswith("apportion.toml:pools[0].gpu: 'H100' is not in the hardware catalog")
    assert config.warnings[0].endswith("did you mean H100_NVL or H100_PCIE or H100_SXM?")
    assert "known are A10, A100_40GB_PCIE" in config.warnings[1]
