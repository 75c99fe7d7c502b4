"""The ledger, and what `serve` does: listeners, metrics, times of day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from pathlib import Path

from apportion.config.environment import Secret
from apportion.config.values import loopback


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerConfig:
    """Which ledger, and in what money.

    Attributes:
        path: the DuckDB file; relative ones are beside the config file.
        billing_currency: ISO 4217 code.
        epoch: nothing that happened before it is accepted.
        metered_from: first hour to meter; None is wherever pools and events begin.
    """

    path: Path
    billing_currency: str
    epoch: datetime
    metered_from: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where a server listens.

    Attributes:
        host: name or address, without brackets.
        port: 1 to 65535.
    """

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only programs of this machine reach it."""
        return loopback(self.host)


@dataclass(frozen=True, slots=True, kw_only=True)
class Http:
    """The process's HTTP side.

    Attributes:
        listen: for everything that has no listener of its own.
        metrics_listen: for `/metrics` alone, or None to share.
        token: bearer token of the source called http, or None.
        body_bytes_max: of one request, decompressed.
        pending_bytes_max: of all requests that wait to be landed; at least `body_bytes_max`.
    """

    listen: Listener
    metrics_listen: Listener | None
    token: Secret | None
    body_bytes_max: int
    pending_bytes_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Prometheus:
    """Bounds of `/metrics`.

    Attributes:
        max_label_sets: team and model pairs with labels of their own; the rest is `other`.
    """

    max_label_sets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What `serve` does by itself.

    Attributes:
        meter_every_seconds: pause between looks for due hours.
        chargeback_at: time of day in UTC.
        chargeback_dir: where the daily chargeback files go; relative ones are beside the config file.
    """

    meter_every_seconds: int
    chargeback_at: time
    chargeback_dir: Path
