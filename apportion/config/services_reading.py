"""Read `[ledger]`, `[http]`, `[prometheus]`, `[schedule]` and `[budgets]`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Final

from apportion.config import secret_reading, values
from apportion.config.services import Http, LedgerConfig, Listener, Prometheus, Schedule
from apportion.config.tables import Table
from apportion.domain.period import hour_of

EPOCH: Final = datetime(2020, 1, 1, tzinfo=UTC)
LISTEN: Final = Listener(host="127.0.0.1", port=8321)
LABEL_SETS: Final = 5_000
"""Default bound: some 50,000 series, which a scrape carries with ease."""
LABEL_SETS_MAX: Final = 100_000

BODY_BYTES: Final = 2**25
"""Default bound of one request, decompressed: 32 MiB."""
PENDING_BYTES: Final = 2**28
"""Default bound of all requests that wait: 256 MiB."""

_LISTEN: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:\s]*)):(\d{1,5})", re.ASCII)


def ledger(table: Table, beside: Path) -> LedgerConfig:
    """`[ledger]`; relative paths are beside the config file."""
    metered_from = table.instant("metered_from") if table.has("metered_from") else None
    if metered_from and metered_from != hour_of(metered_from):
        table.wrong("metered_from", f"is {values.stamp(metered_from)}, inside an hour; write the start of a whole hour")
    return LedgerConfig(
        path=beside / table.text("path"),
        billing_currency=table.require("billing_currency", values.currency, ""),
        epoch=table.instant("epoch", EPOCH),
        metered_from=metered_from,
    )


def http(table: Table) -> Http:
    """`[http]`; whether anybody may send there is seen with the sources (`source_checks`)."""
    body = table.integer("body_bytes_max", 2**10, 2**30, BODY_BYTES)
    pending = table.integer("pending_bytes_max", 2**10, 2**36, max(PENDING_BYTES, body))
    if pending < body:
        table.wrong(
            "pending_bytes_max",
            f"is {pending}, less than body_bytes_max, {body}, so that one large request would never fit; raise it",
        )
    return Http(
        listen=table.read("listen", _listener, LISTEN),
        metrics_listen=table.read("metrics_listen", _listener, None),
        token=secret_reading.read(table, "token"),
        body_bytes_max=body,
        pending_bytes_max=pending,
    )


def prometheus(table: Table) -> Prometheus:
    """`[prometheus]`."""
    return Prometheus(max_label_sets=table.integer("max_label_sets", 1, LABEL_SETS_MAX, LABEL_SETS))


def schedule(table: Table, beside: Path) -> Schedule:
    """`[schedule]`; relative paths are beside the config file."""
    return Schedule(
        meter_every_seconds=table.integer("meter_every_seconds", 1, 86_400, 60),
        chargeback_at=table.read("chargeback_at", _time_of_day, time(2, 0)),
        chargeback_dir=beside / table.text("chargeback_dir", "chargeback"),
    )


def budgets(table: Table) -> Mapping[str, int]:
    """`[budgets]`: team -> amount per month, in nano."""
    teams = table.written()
    for team in teams:
        if team.startswith("__") or not team.strip():
            table.wrong(team, "is not a team of yours; budgets are for teams that pay")
    return {team: table.amount(team) for team in teams}


def _listener(value: object) -> Listener:
    found = _LISTEN.fullmatch(value) if isinstance(value, str) else None
    if not found or not 0 < int(found[3]) < 2**16:
        msg = f'is {value!r}; write host:port, such as "127.0.0.1:8321" or "[::1]:8321"'
        raise ValueError(msg)
    every = "0.0.0.0"  # noqa: S104 - what `:8321` asks for
    return Listener(host=found[1] or found[2] or every, port=int(found[3]))


def _time_of_day(value: object) -> time:
    if not isinstance(value, str) or not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value, re.ASCII):
        msg = f'is {value!r}; write hours and minutes in UTC, such as "02:00"'
        raise ValueError(msg)
    return time.fromisoformat(value)
