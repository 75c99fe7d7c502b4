"""Prices of external providers: those in force for what the ledger has seen, what has none, and where price lists disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rich.console import Console

from apportion.config.prices import ANY_TIER, DAY_US
from apportion.domain.period import FOREVER
from apportion.ledger.connection import Session
from exporters.causes import UNPRICED, next_step
from exporters.columns import Column, show_columns

PICO_PER_MILLION: Final = 1_000_000
KINDS: Final = ("input", "cache_read", "cache_write", "output", "reasoning")

_PRICES: Final = """
SELECT
    provider, model_id AS model, tier, above_input_tokens, daily_from_us, daily_to_us, uncached_input_pico AS input,
    cache_read_pico AS cache_read, cache_write_pico AS cache_write, output_pico AS output, reasoning_pico AS reasoning,
    derivation, currency, source, source_version, confidence, rank, effective_from, effective_to
FROM prices
WHERE effective_from IS NULL OR (effective_from <= $at::TIMESTAMP AND effective_to > $at::TIMESTAMP)
ORDER BY provider, model, rank, tier, above_input_tokens, daily_from_us
"""
_SEEN: Final = "SELECT DISTINCT provider, model_id AS model FROM prices ORDER BY provider, model"
_DOUBTS: Final = """
SELECT
    provider, model_id AS model, tier, above_input_tokens, token_kind, source, source_version, price_pico AS price, effective_from,
    other_source, other_version, other_pico AS other_price, other_date
FROM price_doubts ORDER BY ALL
"""
_UNPRICED: Final = """
SELECT
    provider, model_id AS model, tier, cause, string_agg(DISTINCT token_kind::VARCHAR, ', ' ORDER BY token_kind::VARCHAR) AS token_kinds,
    sum(consumed_tokens)::BIGINT AS tokens
FROM chargeback
WHERE cost_kind = 'external' AND effective_cost_nano IS NULL
    AND billing_period = (SELECT max(billing_period) FROM chargeback WHERE cost_kind = 'external')
GROUP BY provider, model_id, tier, cause ORDER BY tokens DESC, provider, model, tier, cause
"""


def listed(results: Session, at: datetime | None = None) -> dict[str, Any]:
    """The rows that price usage of external models at a time (default: when the results were published), and models without.

    Units: prices are decimal text per million tokens of the row's currency; None is no price. Rows that others come before
    in all they price are left out.
    """
    published_at, billing_currency = results.row("SELECT published_at, billing_currency FROM status")
    moment = at or published_at
    columns = results.columns(_PRICES, {"at": moment})
    rows = [dict(zip(columns, row, strict=True)) for row in results.rows(_PRICES, {"at": moment})]
    priced = [row for row in rows if row["source"] is not None]
    shown = [row for row in priced if not any(_comes_before(other, row) for other in priced)]
    known = {(row["provider"], row["model"]) for row in shown}
    unpriced = [{"provider": p, "model": m} for p, m in results.rows(_SEEN) if (p, m) not in known]
    return {"at": moment, "prices": [_plain(row, billing_currency) for row in shown], "unpriced": unpriced}


def doubts(results: Session) -> dict[str, Any]:
    """Where price lists disagree about a price in force, and usage of the newest month that has none, with the reason."""
    columns = results.columns(_DOUBTS)
    found = [dict(zip(columns, row, strict=True)) for row in results.rows(_DOUBTS)]
    for doubt in found:
        doubt |= {name: _per_million(doubt[name]) for name in ("price", "other_price")}
    columns = results.columns(_UNPRICED)
    unpriced = [dict(zip(columns, row, strict=True)) for row in results.rows(_UNPRICED)]
    return {"disagreements": found, "unpriced": unpriced}


def warnings(results: Session) -> list[str]:
    """What `doubts` finds, a sentence each."""
    found = doubts(results)
    said = [
        f"prices of {doubt['provider']} {doubt['model']}{_tier(doubt)} disagree about {doubt['token_kind']}: "
        f"{doubt['source']} {doubt['source_version']} has {doubt['price']} per million tokens{_since(doubt)}, "
        f"{doubt['other_source']} {doubt['other_version']} of {doubt['other_date']} has {doubt['other_price']}; "
        f"{doubt['source']} counts, unless a [[prices.overrides]] row settles it"
        for doubt in found["disagreements"]
    ]
    return said + [
        f"{row['tokens']} tokens ({row['token_kinds']}) of {row['provider']} {row['model']}{_tier(row)} have no cost, "
        f"{row['cause']}; {next_step(row['cause'])}"
        for row in found["unpriced"]
    ]


def show_listed(found: Mapping[str, Any], console: Console) -> None:
    """Print the prices in force."""
    rows: Sequence[Mapping[str, Any]] = found["prices"]
    title = f"Prices of external models per million tokens, {found['at']:%Y-%m-%d %H:%M} UTC"
    if rows:
        columns = [
            Column("provider", [row["provider"] for row in rows]),
            Column("model", [row["model"] for row in rows]),
        ]
        columns.append(Column("for", [_scope(row) for row in rows]))
        columns += [Column(kind, [row[kind] or "-" for row in rows], is_number=True) for kind in KINDS]
        columns.append(Column("", [row["currency"] for row in rows]))
        columns.append(
            Column("source", [f"{row['source']} {row['source_version']}".rstrip() for row in rows], wraps=True)
        )
        show_columns(title, columns, console)
    for row in found["unpriced"]:
        console.print(
            f"{row['provider']} {row['model']}: no price in force; {UNPRICED['no_price'].next_step}", markup=False
        )
    if not rows and not found["unpriced"]:
        console.print("No event tells of an external provider yet, so there is nothing to price.")


def _comes_before(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether a row prices everything that another one does, and is asked first."""
    return bool(
        (one["provider"], one["model"]) == (other["provider"], other["model"])
        and one["rank"] < other["rank"]
        and one["tier"] in {ANY_TIER, other["tier"]}
        and one["above_input_tokens"] <= other["above_input_tokens"]
        and (one["daily_from_us"], one["daily_to_us"]) == (0, DAY_US)
    )


def _plain(row: Mapping[str, Any], billing_currency: str) -> dict[str, Any]:
    plain = {name: value for name, value in row.items() if name not in {"rank", "daily_from_us", "daily_to_us"}}
    plain |= {kind: _per_million(row[kind]) for kind in KINDS}
    plain["currency"] = row["currency"] or billing_currency
    daily = (row["daily_from_us"], row["daily_to_us"])
    plain["daily"] = None if daily == (0, DAY_US) else "-".join(_clock(us) for us in daily)
    plain["effective_to"] = None if row["effective_to"] >= FOREVER else row["effective_to"]
    return plain


def _per_million(pico: int | None) -> str | None:
    if pico is None:
        return None
    units, rest = divmod(pico, PICO_PER_MILLION)
    return f"{units}.{rest:06d}".rstrip("0").rstrip(".")


def _clock(us: int) -> str:
    minutes, rest = divmod(us, 60_000_000)
    seconds = f":{rest // 1_000_000:02d}" if rest else ""
    return f"{minutes // 60:02d}:{minutes % 60:02d}{seconds}"


def _scope(row: Mapping[str, Any]) -> str:
    above = f"> {row['above_input_tokens']} input tokens" if row["above_input_tokens"] else ""
    tier = {"": "", ANY_TIER: "any tier"}.get(row["tier"], row["tier"])
    return ", ".join(part for part in (tier, above, row["daily"] or "") if part)


def _tier(row: Mapping[str, Any]) -> str:
    above = f" above {row['above_input_tokens']} input tokens" if row.get("above_input_tokens") else ""
    return (f", tier {row['tier']}," if row["tier"] else "") + above


def _since(doubt: Mapping[str, Any]) -> str:
    start: datetime = doubt["effective_from"]
    return f" since {start:%Y-%m-%d}" if start.year > 1970 else ""  # noqa: PLR2004 - the open beginning
