"""Read what a `[[deployments]]` table says of its speed: `throughput` and `service_level`."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from apportion.config import values
from apportion.config.phases import ServiceLevel, Throughput
from apportion.config.tables import Table

PER_SECOND_MAX: Final = 10**9
"""Tokens per second and GPU; far beyond any hardware, and a token then still takes a thousand picoseconds."""
MILLISECONDS_MAX: Final = 86_400_000
PPM: Final = 1_000_000


def throughput(table: Table) -> Throughput | None:
    """`throughput = { prefill = 9212.5, decode = 1850 }`, or None where it is not written."""
    given = table.table("throughput")
    if not isinstance(table.raw("throughput"), dict):
        return None
    return Throughput(
        prefill=given.require("prefill", _per_1000_s, 1),
        decode=given.require("decode", _per_1000_s, 1),
        cache_read=given.read("cache_read", _per_1000_s, None),
    )


def service_level(table: Table) -> ServiceLevel | None:
    """`service_level = { ttft_ms = 500, tpot_ms = 50, quantile = "0.95" }`, or None where it is not written."""
    given = table.table("service_level")
    if not isinstance(table.raw("service_level"), dict):
        return None
    return ServiceLevel(
        ttft_us=given.require("ttft_ms", milliseconds, 1),
        tpot_us=given.require("tpot_ms", milliseconds, 1),
        quantile_ppm=given.read("quantile", quantile, 950_000),
    )


def milliseconds(value: object) -> int:
    """A limit in milliseconds. Units: microseconds. Raises: ValueError in a sentence, as all here."""
    limit = values.exact(value, 3)
    if not 0 < limit <= MILLISECONDS_MAX:
        msg = f"is {limit}; write milliseconds above 0 and up to {MILLISECONDS_MAX}"
        raise ValueError(msg)
    return int(limit * 1000)


def quantile(value: object) -> int:
    """A share of requests. Units: parts per million."""
    share = values.exact(value, 6)
    if not 0 < share <= 1:
        msg = f'is {share}; write a share above 0 and up to 1, such as "0.95"'
        raise ValueError(msg)
    return int(share * PPM)


def _per_1000_s(value: object) -> int:
    number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    below = number and Decimal(str(value)).is_finite() and Decimal(str(value)) < 1
    rate = Decimal(str(value)) if below else values.exact(value, 3)
    if not 1 <= rate <= PER_SECOND_MAX:
        msg = f"is {rate}; write tokens per second and GPU, from 1 to {PER_SECOND_MAX}"
        raise ValueError(msg)
    return int(rate * 1000)
