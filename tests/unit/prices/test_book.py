"""Prices in the book: looked up once for what was seen, and a change reaches only hours with usage that it prices."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from apportion.config.load import load
from apportion.domain.errors import ConfigError
from apportion.pipeline import Pipeline
from apportion.prices import book, catalog
from apportion.prices.catalog import CatalogPrice
from tests.blank import blank
from tests.frozen import FrozenClock

START = datetime(2026, 10, 1, tzinfo=UTC)
LEDGER = '[ledger]\npath = "l.duckdb"\nbilling_currency = "USD"\n'
CATALOG = '[prices]\ncatalog = "genai-prices"\n'
AZURE = '[[prices.overrides]]\nprovider = "azure"\nmodel = "*"\ninput = "1"\noutput = "2"\n'

Fleet = Callable[[str], Pipeline]


def event(hour: int, model: str, provider: str = "openai", tier: str = "") -> dict[str, Any]:
    """A million tokens of output in an hour."""
    return {
        "event_id": f"{provider}-{model}-{hour}-{tier}", "source": "test", "occurred_at": (START + timedelta(hours=hour)).isoformat(),
        "model": model, "provider": provider, "output_tokens": 1_000_000, **({"tier": tier} if tier else {}),
    }  # fmt: skip


EVENTS = (
    event(1, "gpt-5"),
    event(2, "o3"),
    event(3, "house-gpt", "azure"),
    event(4, "nowhere"),
    event(5, "own", "self"),
    event(6, "gpt-5", tier="batch"),
)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """A config text -> a ledger with events in six hours, all metered by it; again, the same ledger with another config."""
    opened: list[Pipeline] = []
    file, usage = tmp_path / "apportion.toml", tmp_path / "usage.ndjson"
    usage.write_text("".join(json.dumps(one) + "\n" for one in EVENTS), encoding="utf-8")

    def answer(text: str) -> Pipeline:
        file.write_text(LEDGER + text, encoding="utf-8")
        if opened:
            opened[0].config = load(file)
            return opened[0]
        blank(tmp_path / "l.duckdb")
        opened.append(Pipeline.open(load(file), FrozenClock(START + timedelta(days=1)), threads=1))
        assert opened[0].ingest([usage], "usage").outcome.landed == len(EVENTS)
        opened[0].meter()
        return opened[0]

    yield answer
    for pipeline in opened:
        pipeline.close()


def dirty(pipeline: Pipeline) -> list[int]:
    """Hours marked since START."""
    rows = pipeline.ledger.session().rows("SELECT charge_period_start FROM book.dirty_hour ORDER BY ALL")
    return [(row[0] - START) // timedelta(hours=1) for row in rows]


def costs(pipeline: Pipeline) -> dict[tuple[str, str], tuple[int | None, str]]:
    """Nano and cause of every external line, by model and tier."""
    rows = pipeline.ledger.session().rows(
        "SELECT model_id, tier, effective_cost_nano, cause FROM metering.charge_hourly JOIN book.model USING (model_no) "
        "WHERE cost_kind = 'external'"
    )
    return {row[:2]: row[2:] for row in rows}


def test_without_prices_every_external_line_says_so(fleet: Fleet) -> None:
    """Nothing is priced by itself."""
    assert {cause for _, cause in costs(fleet("")).values()} == {"no_price"}


def test_models_are_looked_up_once_they_are_seen(fleet: Fleet) -> None:
    """Exact names of this ledger, each row with the catalog's version; our own fleet is none of its business."""
    pipeline = fleet(CATALOG)

    assert costs(pipeline) == {
        ("gpt-5", ""): (10_000_000_000, ""), ("gpt-5", "batch"): (None, "no_tier"), ("o3", ""): (8_000_000_000, ""),
        ("house-gpt", ""): (None, "no_price"), ("nowhere", ""): (None, "no_price"),
    }  # fmt: skip
    assert pipeline.ledger.session().rows(
        "SELECT DISTINCT model_pattern, source, source_version, confidence, currency FROM book.price ORDER BY ALL"
    ) == [(name, "genai-prices", catalog.version(), "modelled", "") for name in ("gpt-5", "o3")]


def test_a_catalog_marks_exactly_what_it_prices(fleet: Fleet) -> None:
    """Named in a config later: the hours of the two models it knows, once; and the second sync changes nothing."""
    pipeline = fleet("")
    first = fleet(CATALOG).sync()

    assert (dirty(pipeline), first.dirty_hours, first.changed) == ([1, 2, 6], 3, True)
    assert pipeline.sync() == replace(first, changed=False, dirty_hours=0)
    assert pipeline.meter().hours == 3
    assert costs(pipeline)["gpt-5", ""] == (10_000_000_000, "")


def test_an_own_row_marks_its_hours_only(fleet: Fleet) -> None:
    """By provider, model, tier and time; and what it was before is remembered."""
    pipeline = fleet(CATALOG)
    fleet(CATALOG + AZURE).sync()
    assert dirty(pipeline) == [3]
    pipeline.meter()
    assert costs(pipeline)["house-gpt", ""] == (2_000_000_000, "")

    openai = '[[prices.overrides]]\nprovider = "openai"\nmodel = "gpt*"\noutput = "1"\ntier = "batch"\n'
    fleet(CATALOG + AZURE + openai).sync()
    assert dirty(pipeline) == [6]
    late = f"effective_from = {(START + timedelta(hours=7)).isoformat()}\n"
    pipeline.meter()
    fleet(CATALOG + AZURE + openai + f"{AZURE.replace('azure', 'openai')}{late}").sync()
    assert dirty(pipeline) == []

    fleet(CATALOG + openai).sync()
    assert dirty(pipeline) == [3]
    (before, after), *_ = pipeline.ledger.session().rows(
        "SELECT before, after FROM book.change WHERE subject = 'book.price' ORDER BY rowid DESC"
    )
    assert {row["provider_pattern"] for row in json.loads(before)} == {"azure", "openai"}
    assert json.loads(after) == []


@pytest.mark.parametrize(
    ("daily", "marked"),
    [("01:30-01:45", [1]), ("02:00-06:00", []), ("06:00-07:00", [6]), ("05:30-01:15", [1, 6]), ("12:00-01:00", [])],
)
def test_a_part_of_the_day_marks_its_hours_only(daily: str, marked: list[int], fleet: Fleet) -> None:
    """A row for some time of the day may price nothing in the hours that this does not touch, over midnight or not."""
    base = '[[prices.overrides]]\nprovider = "openai"\nmodel = "gpt*"\ntier = "*"\noutput = "1"\n'
    pipeline = fleet(base)
    fleet(f'{base}{base}daily = "{daily}"\n').sync()

    assert dirty(pipeline) == marked


def test_a_part_of_the_day_tells_the_rest_of_it_why_there_is_no_price(fleet: Fleet) -> None:
    """Lines without a cost are marked at any time of day, since the reason is another; of another tier no more than once."""
    openai = '[[prices.overrides]]\nprovider = "openai"\nmodel = "gpt*"\noutput = "1"\n'
    pipeline = fleet("")
    fleet(f'{openai}daily = "20:00-21:00"\n').sync()
    assert dirty(pipeline) == [1, 6]
    pipeline.meter()
    assert costs(pipeline)["gpt-5", ""] == (None, "no_condition")
    assert costs(pipeline)["gpt-5", "batch"] == (None, "no_tier")

    fleet(f'{openai}daily = "20:00-21:00"\n{openai}tier = "batch"\nabove_input_tokens = 5\n').sync()
    assert dirty(pipeline) == [6]
    pipeline.meter()
    assert costs(pipeline)["gpt-5", "batch"] == (None, "no_condition")


def test_an_exchange_rate_marks_what_is_priced_in_its_currency(fleet: Fleet) -> None:
    """Lines that a price in that currency stands behind, also where it waited for the rate, or where several share a line."""

    def priced(model: str, currency: str, dated: str) -> str:
        return (
            f'[[prices.overrides]]\nprovider = "openai"\nmodel = "{model}"\ntier = "*"\noutput = "1"\n'
            f'currency = "{currency}"\n{dated}'
        )

    half = f"= {(START + timedelta(hours=1, minutes=30)).isoformat()}\n"
    fx = '[[fx]]\ncurrency = "{}"\nrate = "{}"\neffective_from = {}\n'
    text = priced("gpt*", "EUR", f"effective_to {half}") + priced("gpt*", "USD", f"effective_from {half}")
    text += priced("o3", "JPY", "")
    dates = START.isoformat(), (START + timedelta(hours=1, minutes=10)).isoformat()
    pipeline = fleet(text)
    assert costs(pipeline)["o3", ""] == (None, "no_fx")

    fleet(text + fx.format("JPY", "0.01", dates[0])).sync()
    assert dirty(pipeline) == [2]
    fleet(text + fx.format("JPY", "0.01", dates[0]) + fx.format("EUR", "1.1", dates[1])).sync()
    assert dirty(pipeline) == [1, 2]
    pipeline.meter()
    assert costs(pipeline)["o3", ""] == (10_000_000, "")
    fleet(
        text + fx.format("JPY", "0.01", dates[0]) + fx.format("EUR", "1.1", dates[1]) + fx.format("GBP", "2", dates[0])
    ).sync()
    assert dirty(pipeline) == []


def test_another_order_marks_what_it_may_price(fleet: Fleet) -> None:
    """The first row that fits counts, so that rows which change places are other prices."""
    cheap, dear = (
        f'[[prices.overrides]]\nprovider = "azure"\nmodel = "{m}"\noutput = "{p}"\n'
        for m, p in (("house*", 1), ("*", 9))
    )
    pipeline = fleet(cheap + dear)
    assert costs(pipeline)["house-gpt", ""] == (1_000_000_000, "")
    fleet(dear + cheap).meter()

    assert costs(pipeline)["house-gpt", ""] == (9_000_000_000, "")


def test_an_alias_is_priced_by_what_it_stands_for(fleet: Fleet) -> None:
    """A deployment's name at Azure says nothing; the model it stands for does."""
    pipeline = fleet(CATALOG)
    fleet(CATALOG + '[[model_aliases]]\nalias = "house-gpt"\nmodel = "gpt-5"\n')
    pipeline.meter()

    assert {key: value for key, value in costs(pipeline).items() if key[0] == "house-gpt"} == {}
    assert pipeline.ledger.session().rows(
        "SELECT effective_cost_nano FROM metering.charge_hourly WHERE provider = 'azure'"
    ) == [(10_000_000_000,)]


def test_a_newer_catalog_marks_what_it_changes(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that says the same is a new version on the same rows; a price that it changes marks its hours from when on."""
    pipeline = fleet(CATALOG)
    numbers = "SELECT price_no, source_version FROM book.price ORDER BY price_no"
    before = pipeline.ledger.session().rows(numbers)
    monkeypatch.setattr(catalog, "version", lambda: "9.0")
    pipeline.sync()
    assert (dirty(pipeline), pipeline.ledger.session().rows(numbers)) == ([], [(number, "9.0") for number, _ in before])

    asked = catalog.prices

    def dearer(provider: str, model: str) -> list[CatalogPrice]:
        return [
            replace(row, pico={**row.pico, "output": 1}) if model == "o3" and row.tier == "" else row
            for row in asked(provider, model)
        ]

    monkeypatch.setattr(catalog, "version", lambda: "9.1")
    monkeypatch.setattr(catalog, "prices", dearer)
    pipeline.sync()
    assert dirty(pipeline) == [2]
    pipeline.meter()
    assert costs(pipeline)["o3", ""] == (1000, "")


def test_the_catalog_is_not_asked_again_for_nothing(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing new was seen and nothing changed: nobody is asked."""
    pipeline = fleet(CATALOG)
    monkeypatch.setattr(catalog, "prices", None)

    assert pipeline.sync().changed is False


def test_a_name_with_wildcards_is_only_itself(fleet: Fleet) -> None:
    """Names come from events: a row that is looked up for one matches nothing else."""
    pipeline = fleet("")
    with pipeline.ledger.transaction() as session:
        session.do("UPDATE book.model SET model_id = 'gpt-4o%' WHERE model_id = 'gpt-5'")
        book.refresh(
            session, replace(pipeline.config, prices=replace(pipeline.config.prices, catalog="genai-prices")), START
        )

    assert {row[0] for row in pipeline.ledger.session().rows("SELECT model_pattern FROM book.price")} == {
        "o3",
        r"gpt-4o\%",
    } - (set() if catalog.prices("openai", "gpt-4o%") else {r"gpt-4o\%"})


def test_a_catalog_that_is_not_installed_is_named(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install."""

    def missing(_: str) -> str:
        raise catalog.metadata.PackageNotFoundError

    pipeline = fleet("")
    monkeypatch.setattr(catalog.metadata, "version", missing)
    fleet(CATALOG)

    with pytest.raises(ConfigError, match=r"install apportion\[prices\]"):
        pipeline.sync()
