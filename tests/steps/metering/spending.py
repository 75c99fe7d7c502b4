"""What a fleet is bought with, as a config says it, and what its hours then cost: rows by what they are for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from apportion.config.load import load
from apportion.config.model import Config
from apportion.domain.money import NANO
from apportion.ledger.book import sync
from apportion.ledger.connection import Ledger, Session
from metering.meter import MeterReport, meter
from tests.frozen import FrozenClock
from tests.steps.metering import facts
from tests.steps.metering.facts import moment
from tests.steps.metering.reading import nothing

HEAD = '[ledger]\npath = "l"\nbilling_currency = "USD"\n[policy]\nutilization = "allocation"\n'
FROM = "effective_from = 2026-01-01T00:00:00Z\n"
Key = tuple[int, str, str, str, str, str]
"""Microseconds of the hour, pool, component, evidence, currency, cause."""

_COSTS = """
SELECT
    epoch_us(charge_period_start), pool_id, component, evidence, currency, cause, effective_cost_nano, billed_cost_nano, list_cost_nano,
    contracted_cost_nano, cost_in_currency_nano, paid_us::BIGINT
FROM metering.origin_charge_hourly JOIN book.pool_key USING (pool_no)
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """A row of origin charges without its key; nano, and GPU-microseconds."""

    effective: int
    billed: int
    listed: int
    contracted: int
    in_currency: int | None
    paid_us: int


def pool(name: str = "p", gpus: int = 4, dated: str = FROM) -> str:
    """A `[[pools]]` table."""
    return f'[[pools]]\nid = "{name}"\ngpu = "H100"\ngpus = {gpus}\n{dated}'


def rate(price: str = 'per_gpu_hour = "3"', name: str = "p", component: str = "accelerator", dated: str = FROM) -> str:
    """A `[[rates]]` table; `price` is one or more lines."""
    return f'[[rates]]\npool = "{name}"\ncomponent = "{component}"\n{price}\n{dated}'


def fx(price: str, dated: str = FROM, currency: str = "EUR") -> str:
    """An `[[fx]]` table."""
    return f'[[fx]]\ncurrency = "{currency}"\nrate = "{price}"\n{dated}'


def configured(folder: Path, text: str) -> Config:
    """A config of these tables."""
    file = folder / "apportion.toml"
    file.write_text(HEAD + text, encoding="utf-8")
    return load(file)


def booked(ledger: Ledger, config: Config) -> Session:
    """A ledger that holds nothing but this config."""
    with ledger.transaction() as session:
        facts.load(session, facts.Facts())
        for table in ("book.setting", "book.policy", "book.history", "book.change"):
            session.do(f"DELETE FROM {table}")
        sync(session, config, moment(0))
    return ledger.session()


def hours_metered(ledger: Ledger, start: int, end: int) -> MeterReport:
    """Meter a window with all its audits."""
    return meter(ledger, FrozenClock(moment(end)), settle=nothing, since=moment(start), until=moment(end))


def costs(session: Session) -> dict[Key, Cost]:
    """Every origin charge of the ledger, by what it is for."""
    return {row[:6]: Cost(*row[6:]) for row in session.rows(_COSTS)}


def usd(amount: str) -> int:
    """Nano of an amount."""
    whole, _, rest = amount.partition(".")
    return int(whole) * NANO + int(rest.ljust(9, "0"))
