"""Calls to external providers through the whole product: recorded costs, golden prices and published checks come out exactly."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from genai_prices import Usage, calc_price

from apportion.cli import main
from apportion.config.load import load
from apportion.ledger.connection import Session
from apportion.pipeline import Pipeline
from tests.blank import blank
from tests.frozen import FrozenClock
from tests.shared_data import shared
from tests.unit.ingest.test_format_bodies import flavor, golden

pytestmark = pytest.mark.traces

NOW = datetime(2026, 11, 20, tzinfo=UTC)
LEDGER = '[ledger]\npath = "l.duckdb"\nbilling_currency = "USD"\n'
CATALOG = '[prices]\ncatalog = "genai-prices"\n'
NANO, ZEPTO = 10**9, 10**21
EVENT_MAX = 10**10
"""Tokens of one kind in one event."""

Priced = Callable[..., Session]


@pytest.fixture
def priced(tmp_path: Path) -> Iterator[Priced]:
    """Records by format, and a `[prices]` table -> a session with a ledger in which they are metered."""
    opened: list[Pipeline] = []

    def answer(records: Mapping[str, Iterable[Mapping[str, Any]]], prices: str = CATALOG) -> Session:
        (tmp_path / "apportion.toml").write_text(LEDGER + prices, encoding="utf-8")
        blank(tmp_path / "l.duckdb")
        opened.append(Pipeline.open(load(tmp_path / "apportion.toml"), FrozenClock(NOW), threads=2))
        for name, lines in records.items():
            file = tmp_path / f"{name}.ndjson"
            file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
            outcome = opened[-1].ingest([file], name).outcome
            assert outcome.received == outcome.landed
        opened[-1].meter()
        return opened[-1].ledger.session()

    yield answer
    for pipeline in opened:
        pipeline.close()


def used(name: str, at: str, model: str, provider: str, **tokens: int) -> dict[str, Any]:
    """A canonical event of a caller of its own."""
    counts = {f"{kind}_tokens": count for kind, count in tokens.items()}
    return {
        "event_id": name,
        "source": "test",
        "occurred_at": at,
        "model": model,
        "provider": provider,
        "principal": name,
        **counts,
    }


def nano(session: Session) -> dict[str, int]:
    """What each caller's external lines cost."""
    rows = session.rows(
        "SELECT principal, sum(effective_cost_nano)::BIGINT FROM metering.charge_hourly JOIN raw.caller USING (caller_no) "
        "WHERE cost_kind = 'external' AND cause = '' GROUP BY principal"
    )
    return dict(rows)


def check(name: str) -> dict[str, Any]:
    """A published check, numbers exact."""
    checks = json.loads(shared("catalogs", "paper_checks.json").read_text(), parse_float=Decimal)
    (found,) = [one for one in checks if one["id"] == name]
    return dict(found)


def test_recorded_calls_cost_what_they_did(priced: Priced) -> None:
    """107 calls with the cost their client recorded: within 1e-9 dollars each, by the price of their day."""
    rows = [
        json.loads(line, parse_float=Decimal)
        for line in shared("traces", "aider", "assets", "sample-analytics.jsonl").read_text().splitlines()
    ]
    calls = {f"call-{n}": row for n, row in enumerate(row for row in rows if row["event"] == "message_send")}
    events = []
    for name, row in calls.items():
        said = row["properties"]
        provider = said["main_model"].rpartition("/")[0] or "openai"
        at = datetime.fromtimestamp(row["time"], UTC).isoformat()
        counts = {"uncached_input": said["prompt_tokens"], "output": said["completion_tokens"]}
        events.append(used(name, at, said["main_model"], provider, **counts))
    found = nano(priced({"usage": events}))

    assert len(found) == 107
    assert {
        name
        for name, row in calls.items()
        if abs(Decimal(found[name]) / NANO - row["properties"]["cost"]) > Decimal("1e-9")
    } == set()


def test_recorded_answers_cost_their_golden_price(priced: Priced) -> None:
    """Every real body with a golden price at some provider, read by our own formats: exactly that price.

    All but those whose golden price is made up of what a price list does not say: a cache price taken from the input's, a flex
    request at the standard price; of what events do not tell, pictures and sound; or of an older catalog's price.
    """
    when = datetime(2026, 6, 15, 12, tzinfo=UTC)
    lines: dict[str, list[dict[str, Any]]] = {}
    wanted: dict[str, tuple[Decimal, dict[str, int], str, str]] = {}
    for number, entry in enumerate(json.loads(shared("traces", "genai_prices", "usages_even.json").read_text())):
        format_, provider, shape = flavor(entry["body"])
        usage = golden(entry, provider, shape)
        (group,) = [
            one
            for one in entry["extracted"]
            if one["usage"] == usage and any(by["provider_id"] == provider for by in one["extractors"])
        ]
        for seller, prices in {by["provider_id"]: by for by in group["extractors"] if "input_price" in by}.items():
            name = f"answer-{number}-{seller}"
            answer = {key: value for key, value in entry["body"].items() if key != "file"}
            beside = {
                "time": when.isoformat(),
                "model": entry["model"],
                "id": name,
                "principal": name,
                "provider": seller,
            }
            lines.setdefault(format_.name, []).append({**beside, "response": answer})
            wanted[name] = (
                Decimal(prices["input_price"]) + Decimal(prices["output_price"]),
                usage,
                seller,
                entry["model"],
            )
    session = priced(lines)
    rows = session.rows(
        "SELECT principal, sum(coalesce(effective_cost_zepto, 0))::HUGEINT, string_agg(DISTINCT cause, '') "
        "FROM metering.external_usage_hourly JOIN raw.caller USING (caller_no) GROUP BY principal"
    )
    found = dict.fromkeys(wanted, (0, "")) | {name: (zepto, cause) for name, zepto, cause in rows}

    differing = {name for name, (price, *_) in wanted.items() if found[name] != (price * ZEPTO, "")}
    unpriced = {name for name in differing if found[name][1]}
    modal = {
        name
        for name in differing - unpriced
        if any(word in kind for kind in wanted[name][1] for word in ("image", "audio", "video"))
    }
    older = {
        name
        for name in differing - unpriced - modal
        if calc_price(
            Usage(**wanted[name][1]), wanted[name][3], provider_id=wanted[name][2], genai_request_timestamp=when
        ).total_price
        != wanted[name][0]
    }
    assert differing == unpriced | modal | older
    assert {found[name][1] for name in unpriced} == {"no_kind", "no_tier"}
    assert all(
        "cache_read_tokens" in wanted[name][1] for name in unpriced if found[name][1] == "no_kind" and wanted[name][0]
    )
    assert len(wanted) == 1273
    assert len(differing) < len(wanted) // 30


def test_cached_tokens_are_a_part_of_the_prompt(priced: Priced) -> None:
    """price.genai_cache_write: 4,735 of 4,740 prompt tokens are written to the cache."""
    published = check("price.genai_cache_write")
    given = published["inputs"]
    tokens = {
        "uncached_input": given["input_tokens"] - given["cache_write_tokens"] - given["cache_read_tokens"],
        "cache_write": given["cache_write_tokens"], "output": given["output_tokens"],
    }  # fmt: skip
    session = priced(
        {"usage": [used("call", "2025-10-01T00:00:00Z", "claude-sonnet-4-20250514", "anthropic", **tokens)]}
    )

    assert nano(session) == {"call": published["expected"]["usd"] * NANO}


def test_a_price_holds_from_its_date(priced: Priced) -> None:
    """price.effective_date_o3: one million prompt tokens before and after the cut."""
    published = check("price.effective_date_o3")
    given = published["inputs"]
    events = [
        used(day, f"{day}T12:00:00Z", given["model"], "openai", uncached_input=given["input_tokens"])
        for day in given["dates"]
    ]

    assert nano(priced({"usage": events})) == dict(
        zip(given["dates"], (published["expected"][key] * NANO for key in ("usd_before", "usd_after")), strict=True)
    )


@pytest.mark.parametrize("own", [False, True], ids=["catalog", "own"])
def test_a_published_day_brings_in_its_revenue(priced: Priced, own: bool) -> None:
    """deepseek.revenue: cache hits are a part of the input; by the catalog's price of that day's hours, and by a row of our own."""
    published = check("deepseek.revenue")
    given = published["inputs"]
    total = {
        "uncached_input": int(given["input_tokens"] - given["cache_hit_tokens"]), "cache_read": int(given["cache_hit_tokens"]),
        "output": int(given["output_tokens"]),
    }  # fmt: skip
    parts = -(-max(total.values()) // EVENT_MAX)
    shares = [
        {kind: count * (n + 1) // parts - count * n // parts for kind, count in total.items()} for n in range(parts)
    ]
    events = [
        used(f"part-{n}", "2025-02-27T12:00:00Z", "deepseek-reasoner", "deepseek", **share)
        for n, share in enumerate(shares)
    ]
    row = (
        f'[[prices.overrides]]\nprovider = "deepseek"\nmodel = "deepseek-reasoner"\ninput = "{given["price_miss_per_m"]}"\n'
        f'cache_read = "{given["price_hit_per_m"]}"\noutput = "{given["price_out_per_m"]}"\n'
    )
    earned = Decimal(sum(nano(priced({"usage": events}, row if own else CATALOG)).values())) / NANO
    exact = sum(
        total[kind] * given[price] / 10**6
        for kind, price in (
            ("uncached_input", "price_miss_per_m"),
            ("cache_read", "price_hit_per_m"),
            ("output", "price_out_per_m"),
        )
    )

    assert earned == exact
    assert (
        abs(earned - published["expected"]["usd_per_day"])
        <= published["tolerance"]["rel"] * published["expected"]["usd_per_day"]
    )


def test_duplicate_and_shuffled_events_change_nothing(priced: Priced, tmp_path: Path) -> None:
    """The same calls again and in another order: the same lines."""
    events = [
        used(f"call-{n}", f"2026-11-01T0{n % 3}:30:00Z", "gpt-5", "openai", uncached_input=n * 1000, output=n)
        for n in range(1, 9)
    ]
    once = nano(priced({"usage": events}))
    file = tmp_path / "again.ndjson"
    file.write_text("".join(json.dumps(event) + "\n" for event in [*reversed(events), *events]), encoding="utf-8")
    with Pipeline.open(load(tmp_path / "apportion.toml"), FrozenClock(NOW), path=tmp_path / "other.duckdb") as pipeline:
        assert pipeline.ingest([file], "usage").outcome.duplicates == len(events)
        pipeline.meter()

        assert nano(pipeline.ledger.session()) == once


def test_commands_say_which_price_and_what_is_doubtful(
    priced: Priced, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prices in force with source and version; a list that disagrees, and usage without a price, are warnings of `check` too."""
    (tmp_path / "litellm.json").write_text(
        json.dumps({"gpt-5": {"litellm_provider": "openai", "output_cost_per_token": 9e-06}}), encoding="utf-8"
    )
    own = '[[prices.overrides]]\nprovider = "azure"\nmodel = "house"\noutput = "1"\ndaily = "08:00-20:00"\ncurrency = "EUR"\n'
    events = [
        used("a", "2026-11-01T00:30:00Z", "gpt-5", "openai", output=1), used("b", "2026-11-01T00:30:00Z", "nowhere", "elsewhere", output=5),
        used("c", "2026-11-01T09:30:00Z", "house", "azure", output=1),
    ]  # fmt: skip
    session = priced({"usage": events}, CATALOG + 'litellm = "litellm.json"\n' + own)
    assert session.rows("SELECT DISTINCT cause FROM metering.charge_hourly ORDER BY ALL") == [
        ("",),
        ("no_fx",),
        ("no_price",),
    ]
    place = ["--config", str(tmp_path / "apportion.toml")]

    assert main(["prices", "list", "--json", *place]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["unpriced"] == [{"provider": "elsewhere", "model": "nowhere"}]
    (standard,) = [row for row in found["prices"] if row["model"] == "gpt-5" and row["tier"] == ""]
    assert (standard["input"], standard["cache_read"], standard["cache_write"], standard["output"], standard["currency"], standard["source"]) == (
        "1.25", "0.125", None, "10", "USD", "genai-prices",
    )  # fmt: skip
    (house,) = [row for row in found["prices"] if row["model"] == "house"]
    assert (house["output"], house["daily"], house["currency"], house["source"]) == (
        "1",
        "08:00-20:00",
        "EUR",
        "override",
    )

    assert main(["prices", "list", *place]) == 0
    printed = capsys.readouterr().out
    assert "elsewhere nowhere: no price in force" in printed
    assert "1.25" in printed

    assert main(["prices", "check", "--json", *place]) == 0
    doubts = json.loads(capsys.readouterr().out)
    (doubt,) = doubts["disagreements"]
    assert (doubt["token_kind"], doubt["price"], doubt["other_price"], doubt["other_source"]) == (
        "output",
        "10",
        "9",
        "litellm",
    )
    assert {(row["cause"], row["tokens"]) for row in doubts["unpriced"]} == {("no_price", 5), ("no_fx", 1)}

    for command in (["prices", "check", *place], ["check", "--no-probe", *place]):
        assert main(command) == 0
        printed = capsys.readouterr().out
        assert "disagree about output: genai-prices" in printed
        assert "has 10 per million tokens, litellm" in printed
        assert "5 tokens (output) of elsewhere nowhere have no cost, no_price" in printed


def test_an_own_row_settles_a_disagreement(priced: Priced, tmp_path: Path) -> None:
    """Whoever wrote the price has decided."""
    (tmp_path / "litellm.json").write_text(
        json.dumps({"gpt-5": {"litellm_provider": "openai", "output_cost_per_token": 9e-06}}), encoding="utf-8"
    )
    events = [used("a", "2026-11-01T00:30:00Z", "gpt-5", "openai", output=1)]
    own = '[[prices.overrides]]\nprovider = "openai"\nmodel = "gpt-5"\noutput = "9"\n'
    session = priced({"usage": events}, CATALOG + 'litellm = "litellm.json"\n' + own)

    assert session.rows("SELECT count(*) FROM book.price_doubt") == [(0,)]
    assert nano(session) == {"a": 9000}
