"""Own prices: rows of the config and of CSV files, per million tokens, in exact pico per token."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from apportion.config.prices import DAY_US
from apportion.config.values import BEGINNING
from apportion.domain.period import FOREVER, Period
from tests.unit.config.conftest import Loaded, Problems

HOUR_US = DAY_US // 24
HEADER = "provider,model,tier,above_input_tokens,daily,input,cache_read,cache_write,output,reasoning,currency,effective_from,effective_to\n"


def overrides(*lines: str) -> str:
    """A `[prices]` table with own rows."""
    return "[prices]\noverrides = [\n" + "".join(f"{{ {line} }},\n" for line in lines) + "]\n"


def row(more: str = 'input = "1"') -> str:
    """A row of a model."""
    return f'provider = "openai", model = "m", {more}'


def test_without_a_table_nothing_is_priced(loaded: Loaded) -> None:
    """No catalog unless it is asked for: a public list price never bills by itself."""
    prices = loaded("").prices

    assert (prices.catalog, prices.litellm, prices.files, prices.rows) == (None, None, (), ())


def test_a_row_is_exact_and_makes_nothing_up(loaded: Loaded) -> None:
    """A price per million tokens has six decimals more per token; kinds that are left out have none."""
    (price,) = loaded(overrides(row('input = "0.000001", output = 2.5, cache_read = "100000"'))).prices.rows

    assert price.pico == {
        "uncached_input": 1,
        "cache_read": 10**11,
        "cache_write": None,
        "output": 2_500_000,
        "reasoning": None,
    }
    assert (price.tier, price.above_input_tokens, price.daily, price.currency, price.source) == (
        "", 0, (0, DAY_US), "USD", "override",
    )  # fmt: skip
    assert (price.derived, price.effective) == ({}, Period(BEGINNING, FOREVER))


def test_a_kind_takes_another_price_only_where_it_is_said(loaded: Loaded) -> None:
    """By the other key's name: reasoning as output, cached tokens as input."""
    (price,) = loaded(
        overrides(row('input = "1", output = "4", cache_read = "input", cache_write = "input", reasoning = "output"'))
    ).prices.rows

    assert price.pico == {
        "uncached_input": 10**6, "cache_read": 10**6, "cache_write": 10**6, "output": 4 * 10**6, "reasoning": 4 * 10**6,
    }  # fmt: skip
    assert price.derived == {"cache_read": "uncached_input", "cache_write": "uncached_input", "reasoning": "output"}


def test_a_row_may_be_for_a_part(loaded: Loaded) -> None:
    """A tier, long prompts, a part of the day, a currency, a time."""
    (price,) = loaded(
        overrides(row('input = "1", tier = "Batch", above_input_tokens = 200_000, daily = "16:30-00:30", currency = "EUR", '
                      "effective_from = 2026-10-01T00:00:00Z, effective_to = 2026-11-01T00:00:00Z"))
    ).prices.rows  # fmt: skip

    assert (price.tier, price.above_input_tokens, price.currency) == ("batch", 200_000, "EUR")
    assert price.daily == (16 * HOUR_US + HOUR_US // 2, HOUR_US // 2)
    assert price.effective == Period(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
    assert loaded(overrides(row('input = "1", daily = "08:00-24:00"'))).prices.rows[0].daily == (8 * HOUR_US, DAY_US)
    assert loaded(overrides(row('input = "1", tier = "standard"'))).prices.rows[0].tier == ""


def test_files_come_behind_the_config(loaded: Loaded, tmp_path: Path) -> None:
    """A line has the words of a row; empty cells are left out."""
    (tmp_path / "prices.csv").write_text(
        HEADER
        + "\nopenai,m,,200000,,2,,,8,output,,2026-10-01T00:00:00Z,\nazure,n*,batch,,08:00-20:00,1,input,,,,EUR,,\n",
        "utf-8",
    )
    config = loaded(overrides(row()) + 'files = ["prices.csv"]\n')
    _, first, second = config.prices.rows

    assert config.prices.files == (tmp_path / "prices.csv",)
    assert (first.model, first.above_input_tokens, first.pico["reasoning"], first.source, first.currency) == (
        "m", 200_000, 8 * 10**6, "prices.csv", "USD",
    )  # fmt: skip
    assert (second.provider, second.model, second.tier, second.pico["cache_read"], second.currency) == (
        "azure", "n*", "batch", 10**6, "EUR",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (overrides('model = "m", input = "1"'), "overrides[0].provider", "is missing"),
        (overrides(row('tier = "batch"')), "overrides[0]", "has no price; add at least one of input, cache_read"),
        (overrides(row('input = "0.0000001"')), "overrides[0].input", "at most 6 are kept"),
        (overrides(row('input = "100001"')), "overrides[0].input", "at most 100000"),
        (overrides(row('input = "-1"')), "overrides[0].input", "zero or more"),
        (overrides(row('input = "output"')), "overrides[0].input", "write digits"),
        (overrides(row('input = "1", reasoning = "output"')), "overrides[0].reasoning", 'add output = "PRICE"'),
        (overrides(row('input = "1", tier = "b*"')), "overrides[0].tier", 'write "*" for any'),
        (overrides(row('input = "1", daily = "25:00-26:00"')), "overrides[0].daily", '"16:30-00:30"'),
        (overrides(row('input = "1", daily = "08:00-08:00"')), "overrides[0].daily", '"16:30-00:30"'),
        (overrides(row('input = "1", daily = "08:60-09:00"')), "overrides[0].daily", '"16:30-00:30"'),
        (overrides(row('input = "1", currency = "euro"')), "overrides[0].currency", "ISO 4217"),
        (overrides(row('input = "1", inptu = "1"')), "overrides[0].inptu", "did you mean input?"),
        ('[prices]\ncatalog = "genai"\n', "prices.catalog", "write one of genai-prices"),
        ('[prices]\nlitellm = "none.json"\n', "prices.litellm", "does not exist"),
        ('[prices]\nfiles = ["none.csv"]\n', "prices.files", "does not exist; create it with the header provider,model"),
    ],
)  # fmt: skip
def test_a_mistake_is_named(problems: Problems, text: str, place: str, said: str) -> None:
    """Each by its place, with what to do."""
    assert any(place in problem and said in problem for problem in problems(text)), problems(text)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "prices.csv:1: has no header"),
        ("provider,model,price\n", "prices.csv:1: unknown column 'price'"),
        ("provider,input\n", "prices.csv:1: has no column model; add it"),
        ("provider,model,model\n", "prices.csv:1: has the column model twice"),
        ("provider,model,input\nopenai,m\n", "prices.csv:2: has 2 cells, and the header 3"),
        ("provider,model,input\nopenai,m,x\n", "prices.csv:2.input: is 'x'; write digits"),
        ('provider,model,input\nopenai,"m\n', "prices.csv: is not CSV"),
        (b"\xff", "prices.csv: is not UTF-8 text"),
        (HEADER + "openai,m,,many,,1,,,,,,,\n", "prices.csv:2.above_input_tokens: is a string"),
    ],
)
def test_a_file_names_its_lines(problems: Problems, tmp_path: Path, content: str | bytes, said: str) -> None:
    """Every problem as file:line."""
    (tmp_path / "prices.csv").write_bytes(content if isinstance(content, bytes) else content.encode())

    assert any(said in problem for problem in problems('[prices]\nfiles = ["prices.csv"]\n'))


def test_one_price_at_a_time(problems: Problems, loaded: Loaded) -> None:
    """Two rows for the same requests at the same time are an error with both places; a part of the day comes before the whole."""
    (problem,) = problems(overrides(row(), row('input = "2", effective_from = 2026-10-01T00:00:00Z')))
    assert "overrides[1]: prices openai m twice" in problem
    assert "overrides[0] does so always" in problem
    (problem,) = problems(
        overrides(row('input = "1", daily = "22:00-02:00"'), row('input = "2", daily = "01:00-03:00"'))
    )
    assert "overrides[1]" in problem

    fine = overrides(
        row('input = "1", effective_to = 2026-10-01T00:00:00Z'), row('input = "2", effective_from = 2026-10-01T00:00:00Z'),
        row('input = "3", tier = "batch"'), row('input = "4", above_input_tokens = 5'),
        row('input = "5", daily = "22:00-02:00"'), row('input = "6", daily = "02:00-03:00"'),
    )  # fmt: skip
    assert len(loaded(fine).prices.rows) == 6


def test_a_price_of_our_own_deployments_is_refused(problems: Problems) -> None:
    """Nothing would ever be priced by it: what they serve costs what their GPUs do."""
    (problem,) = problems(overrides(row().replace("openai", "self")))
    assert problem.startswith("apportion.toml:prices.overrides[0].provider: is 'self', which is what our own")


EURO = 'currency = "EUR", input = "1"'
FX = '[[fx]]\ncurrency = "EUR"\nrate = "1.1"\neffective_from = 2026-02-01T00:00:00Z\n'
UNTIL_MAY = FX + "effective_to = 2026-05-01T00:00:00Z\n"
METERED = """
[ledger]
path = "ledger.duckdb"
billing_currency = "USD"
metered_from = 2026-01-01T00:00:00Z
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is no exchange rate of EUR at all, so usage by them has no cost then (no_fx); add a [[fx]] row"),
        (FX, "there is no exchange rate of EUR from 2026-01-01T00:00:00Z to 2026-02-01T00:00:00Z, so usage"),
        (
            UNTIL_MAY,
            "of EUR from 2026-01-01T00:00:00Z to 2026-02-01T00:00:00Z, from 2026-05-01T00:00:00Z on, so usage",
        ),
    ],
)
def test_a_price_in_another_currency_asks_for_its_rate(text: str, said: str, loaded: Loaded) -> None:
    """Once for each currency, with the times that lack one; a rate of all the time settles it."""
    (warning,) = loaded(text + overrides(row(EURO), row(EURO).replace('"m"', '"n"')), ledger=METERED).warnings
    assert warning.startswith("apportion.toml:prices.overrides[0].currency: has prices in EUR, and ")
    assert said in warning


def test_a_price_needs_its_rate_only_while_it_is_in_force(loaded: Loaded) -> None:
    """Of the time before the first thing that is known, nothing is said either."""
    dated = ", effective_from = 2026-03-01T00:00:00Z, effective_to = 2026-04-01T00:00:00Z"
    assert loaded(UNTIL_MAY + overrides(row(EURO + dated)), ledger=METERED).warnings == ()
    assert loaded(FX + overrides(row(EURO))).warnings == ()
    assert loaded(overrides(row('currency = "USD", input = "1"'))).warnings == ()


def test_a_catalog_in_dollars_asks_for_a_rate_in_a_ledger_of_euros(loaded: Loaded) -> None:
    """All its prices are in dollars."""
    euros = METERED.replace('"USD"', '"EUR"')
    (warning,) = loaded('[prices]\ncatalog = "genai-prices"\n', ledger=euros).warnings
    assert warning.startswith("apportion.toml:prices.catalog: has prices in USD, and there is no exchange rate of USD")
    assert loaded('[prices]\ncatalog = "genai-prices"\n', ledger=METERED).warnings == ()
