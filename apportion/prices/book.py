"""Keep `book.price` in line with the config and the catalog, before anything is metered.

The catalog is asked once for each model that the ledger has seen at an external provider. Rows are numbered once: what does not
change keeps its number, and a new version of the catalog that says the same changes nothing but the version on the row. What does
change marks the metered hours dirty that have usage of that provider, model and tier while the row is in force, by date and part of the
day, and no others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from apportion.config.globs import like
from apportion.config.model import Config
from apportion.domain.period import HOUR
from apportion.domain.tokens import TOKEN_KINDS
from apportion.ledger.book_tables import text
from apportion.ledger.connection import Row, Session
from apportion.prices import catalog, doubts, litellm

FORMAT: Final = "1"
"""Part of the digest: a program that writes these tables differently does so once more."""
COLUMNS: Final = {
    "provider_pattern": "VARCHAR", "model_pattern": "VARCHAR", "tier": "VARCHAR", "above_input_tokens": "BIGINT",
    "daily_from_us": "BIGINT", "daily_to_us": "BIGINT", **{f"{kind}_pico": "BIGINT" for kind in TOKEN_KINDS},
    "derivation": "VARCHAR", "currency": "VARCHAR", "source": "VARCHAR", "confidence": "VARCHAR",
    "effective_from": "TIMESTAMP", "effective_to": "TIMESTAMP", "rank": "INTEGER", "source_version": "VARCHAR",
}  # fmt: skip
"""The last two are no part of what a row is: where it stands among others, and which version said it last."""
RANK: Final = 1_000_000
"""Of the catalog: behind every own row."""
_LITERAL: Final = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_"})

_NAMES: Final = "SELECT provider, model_id FROM book.external_model ORDER BY provider, model_id"
_KEPT: Final = "book.external_prices"

# What a row that comes or goes may price: lines of its names and tier in the hours that its range and its part of the day touch.
# And those without a price, since the row may change the reason: of its tier whatever the time of day, and of others where no row
# is of theirs.
_AFFECTED: Final = r"""
SELECT DISTINCT line.charge_period_start
FROM metering.external_usage_hourly AS line
JOIN book.model AS model USING (model_no)
JOIN metering.metered_hour AS hour USING (charge_period_start)
LEFT JOIN book.price_tier AS known ON known.said = lower(line.tier)
JOIN (SELECT unnest(from_json($rows::JSON, $shape)) AS price) AS changed
    ON line.provider LIKE changed.price.provider_pattern ESCAPE '\' AND model.model_id LIKE changed.price.model_pattern ESCAPE '\'
    AND changed.price.effective_from < line.charge_period_start + INTERVAL 1 HOUR
    AND changed.price.effective_to > line.charge_period_start
WHERE changed.price.tier IN ('*', coalesce(known.tier, lower(line.tier))) AND (
    line.cause IN ('no_price', 'no_tier', 'no_condition')
    OR CASE WHEN changed.price.daily_from_us < changed.price.daily_to_us
        THEN changed.price.daily_from_us < hour(line.charge_period_start) * 3600000000 + 3600000000
            AND changed.price.daily_to_us > hour(line.charge_period_start) * 3600000000
        ELSE changed.price.daily_from_us < hour(line.charge_period_start) * 3600000000 + 3600000000
            OR changed.price.daily_to_us > hour(line.charge_period_start) * 3600000000 END
) OR line.cause IN ('no_price', 'no_tier')
"""


def refresh(session: Session, config: Config, now: datetime) -> int:
    """Bring the prices up to date, inside the caller's transaction. Returns: metered hours that are dirty for it.

    Invariant: a second time with the same config, catalog and names changes nothing, and costs one small query.
    Raises: ConfigError where the config names a catalog that is not installed, or a price file that cannot be read.
    """
    said = config.prices
    names = session.rows(_NAMES) if said.catalog or said.litellm else []
    version = catalog.version() if said.catalog else ""
    compared = (
        f"{litellm.digest(said.litellm)} {now:%Y-%m-%d}" if said.litellm else ""
    )  # what is in force changes by the day
    digest = hashlib.sha256(
        text([FORMAT, _own(config), config.ledger.billing_currency, version, compared, names]).encode()
    ).hexdigest()
    if session.rows(
        "SELECT 1 FROM book.setting WHERE name = $name AND setting = $digest", {"name": _KEPT, "digest": digest}
    ):
        return 0
    rows = _own(config)
    if said.catalog:
        rows += [row for name in names for row in _looked_up(name, version, config.ledger.billing_currency)]
    dirty = _replace(session, rows, now)
    doubts.replace(session, said, names, now)
    session.do("INSERT OR REPLACE INTO book.setting VALUES ($name, $digest)", {"name": _KEPT, "digest": digest})
    return dirty


def _own(config: Config) -> list[Row]:
    """Rows of the config and of its files: those of one selector share a rank, by where it is first written."""
    ranks: dict[tuple[str, str], int] = {}
    rows: list[Row] = []
    for price in config.prices.rows:
        rank = ranks.setdefault((price.provider, price.model), len(ranks) + 1)
        currency = _currency(price.currency, config.ledger.billing_currency)
        rows.append((
            like(price.provider), like(price.model), price.tier, price.above_input_tokens, *price.daily,
            *(price.pico[kind] for kind in TOKEN_KINDS), _derivation(price.derived), currency, price.source, "measured",
            price.effective.start, price.effective.end, rank, "",
        ))  # fmt: skip
    return rows


def _looked_up(name: Row, version: str, billing_currency: str) -> list[Row]:
    provider, model = name
    currency = _currency(catalog.CURRENCY, billing_currency)
    return [
        (
            provider.translate(_LITERAL), model.translate(_LITERAL), price.tier, price.above_input_tokens, *price.daily,
            *(price.pico[kind] for kind in TOKEN_KINDS), _derivation(price.derived), currency, catalog.NAME, "modelled",
            price.effective.start, price.effective.end, RANK, version,
        )
        for price in catalog.prices(provider, model)
    ]  # fmt: skip


def _currency(currency: str, billing_currency: str) -> str:
    return "" if currency == billing_currency else currency


def _derivation(derived: Mapping[str, str]) -> str:
    return ",".join(f"{kind}={other}" for kind, other in sorted(derived.items()))


def _replace(session: Session, after: Sequence[Row], now: datetime) -> int:
    kept = session.rows(f"SELECT price_no, {', '.join(COLUMNS)} FROM book.price")
    before = {row[1:-2]: (row[0], *row[-2:]) for row in kept}
    wanted = {row[:-2]: row[-2:] for row in after}
    gone = [(*content, *place[1:]) for content, place in before.items() if content not in wanted]
    come = [(*content, *place) for content, place in wanted.items() if content not in before]
    ranks = sorted((before[content][1], place[0]) for content, place in wanted.items() if content in before)
    moved = [] if all(one[1] <= next_[1] for one, next_ in pairwise(ranks)) else [*wanted]
    _number(session, before, wanted, come)
    changed = [*gone, *come, *((*content, *wanted[content]) for content in moved if content in before)]
    return _mark(session, changed, gone, come, now) if changed else 0


def _number(
    session: Session, before: Mapping[Row, Row], wanted: Mapping[Row, tuple[int, str]], come: Sequence[Row]
) -> None:
    """Rows that are gone leave, those that come get new numbers, and the others stand where they stand now."""
    session.do(
        "DELETE FROM book.price WHERE price_no IN (SELECT unnest($numbers::INTEGER[]))",
        {"numbers": [place[0] for content, place in before.items() if content not in wanted]},
    )
    placed = [
        {"price_no": place[0], "rank": wanted[content][0], "source_version": wanted[content][1]}
        for content, place in before.items()
        if content in wanted and place[1:] != wanted[content]
    ]
    session.do(
        "UPDATE book.price AS price SET rank = now.item.rank, source_version = now.item.source_version "
        "FROM (SELECT unnest(from_json($rows::JSON, $shape)) AS item) AS now WHERE price.price_no = now.item.price_no",
        {
            "rows": text(placed),
            "shape": text([{"price_no": "INTEGER", "rank": "INTEGER", "source_version": "VARCHAR"}]),
        },
    )
    columns = ", ".join(f"item.{column}" for column in COLUMNS)
    session.do(
        f"INSERT INTO book.price BY NAME SELECT nextval('book.price_no')::INTEGER AS price_no, {columns} "
        "FROM (SELECT unnest(from_json($rows::JSON, $shape)) AS item)",
        {"rows": text(_objects(come)), "shape": _shape()},
    )


def _mark(session: Session, changed: Sequence[Row], gone: Sequence[Row], come: Sequence[Row], now: datetime) -> int:
    """Mark what changed rows may price dirty, and remember the change. Returns: how many hours that are."""
    values = {"rows": text(_objects(changed)), "shape": _shape()}
    count, first, last = session.row(
        f"SELECT count(*), min(charge_period_start), max(charge_period_start) FROM ({_AFFECTED})", values
    )
    session.do(
        f"INSERT INTO book.dirty_hour SELECT charge_period_start, $now FROM ({_AFFECTED}) ON CONFLICT DO NOTHING",
        {**values, "now": now},
    )
    session.do(
        "INSERT INTO book.change VALUES ($now, 'book.price', $before, $after, $first, $last)",
        {"now": now, "before": text(_objects(gone)), "after": text(_objects(come)), "first": first,
         "last": last + HOUR if last else None},
    )  # fmt: skip
    return int(count)


def _objects(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def _shape() -> str:
    return text([dict(COLUMNS)])
