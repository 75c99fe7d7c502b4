"""Read what rows of several tables have in common: the pools they are for, a currency, an end."""

from __future__ import annotations

from typing import Final

from apportion.config import values
from apportion.config.tables import Table
from apportion.domain.period import FOREVER, Period

GPUS_MAX: Final = 1_000_000
"""Per row: GPU-microseconds of an hour then stay far inside 64 bits."""


def pools_of(table: Table) -> tuple[str, ...]:
    """The pools that a row names, at least one."""
    pools = table.names("pools")
    if not pools and table.raw("pools") in (None, []):
        table.wrong("pools", 'names none; add at least one, such as pools = ["h100-prod"]')
    return pools


def currency_of(table: Table) -> str | None:
    """The currency of a row's amounts; None is the billing currency."""
    return table.read("currency", values.currency, None)


def ending_of(table: Table, why: str) -> Period:
    """The range of a row that must end, and why it must."""
    period = table.period()
    if not table.has("effective_to") or period.end == FOREVER:
        table.wrong("effective_to", f"is missing, and {why}; add when it ends")
    return period
