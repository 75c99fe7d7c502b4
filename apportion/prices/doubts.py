"""Where LiteLLM's file disagrees with the catalog about a price now in force: kept, so that people are told and can decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from apportion.config.globs import share_a_text
from apportion.config.prices import ALL_DAY, ANY_TIER, Price, Prices
from apportion.ledger.book_tables import text
from apportion.ledger.connection import Row, Session
from apportion.prices import catalog, litellm

_SHAPE: Final = {
    "provider": "VARCHAR", "model_id": "VARCHAR", "tier": "VARCHAR", "above_input_tokens": "BIGINT", "token_kind": "VARCHAR",
    "source": "VARCHAR", "source_version": "VARCHAR", "price_pico": "BIGINT", "effective_from": "TIMESTAMP",
    "other_source": "VARCHAR", "other_version": "VARCHAR", "other_pico": "BIGINT", "other_date": "DATE",
}  # fmt: skip


def replace(session: Session, said: Prices, names: Sequence[Row], now: datetime) -> None:
    """Put the disagreements of now in place of all others, inside the caller's transaction."""
    session.do("DELETE FROM book.price_doubt")
    if not said.catalog or not said.litellm or not names:
        return
    found = [doubt for doubt in compared(names, litellm.read(said.litellm), now) if not _settled(doubt, said.rows, now)]
    session.do(
        "INSERT INTO book.price_doubt BY NAME SELECT unnest(item) "
        "FROM (SELECT unnest(from_json($rows::JSON, $shape)) AS item)",
        {"rows": text(found), "shape": text([_SHAPE])},
    )


def _settled(doubt: Mapping[str, Any], rows: Sequence[Price], now: datetime) -> bool:
    """Whether an own row prices it instead, all day long."""
    return any(
        share_a_text(row.provider, doubt["provider"])
        and share_a_text(row.model, doubt["model_id"])
        and row.tier in {ANY_TIER, doubt["tier"]}
        and row.above_input_tokens <= doubt["above_input_tokens"]
        and row.daily == ALL_DAY
        and row.effective.start <= now < row.effective.end
        for row in rows
    )


def compared(names: Sequence[Row], file: litellm.PriceFile, now: datetime) -> list[dict[str, Any]]:
    """Every price in force on which both have a figure, and not the same one; `names` are providers and models.

    Prices by time of day are passed over: the file has none.
    """
    version = catalog.version()
    found: list[dict[str, Any]] = []
    for provider, model in names:
        prices = [
            price for price in catalog.prices(provider, model) if price.effective.start <= now < price.effective.end
        ]
        for price in (price for price in prices if price.daily == ALL_DAY):
            others = file.pico(provider, model, price.tier, price.above_input_tokens)
            found += [
                {
                    "provider": provider, "model_id": model, "tier": price.tier,
                    "above_input_tokens": price.above_input_tokens, "token_kind": kind, "source": catalog.NAME,
                    "source_version": version, "price_pico": price.pico[kind], "effective_from": price.effective.start,
                    "other_source": litellm.NAME, "other_version": file.version, "other_pico": other,
                    "other_date": file.dated.isoformat(),
                }
                for kind, other in others.items()
                if price.pico[kind] not in {None, other} and kind not in price.derived
            ]  # fmt: skip
    return found
