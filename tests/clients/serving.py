"""`apportion serve` as a real process for real clients to talk to, and the chargeback of what they sent.

Prices are chosen so that every weighted token costs a thousand nano-dollars exactly, in whatever hour it falls: one GPU for 3.60 an hour,
of which 3,600,000 weighted tokens are the capacity.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from apportion.config.load import load
from apportion.pipeline import Pipeline
from tests.clients.environment import ROOT
from tests.clients.programs import ask, running, stop, until
from tests.frozen import FrozenClock
from tests.ports import free_port

NANO_PER_WEIGHTED_TOKEN = 1000
WEIGHTS = {"uncached_input": 2, "cache_read": 1, "cache_write": 2, "output": 6, "reasoning": 6}
"""As CONFIG has them."""

TOKEN, ANY_TOKEN, RELAY_TOKEN = "shown-to-serve", "of-http-itself", "shown-to-the-relay"
"""The gateway's, which may speak for usage only; of any sender; and what senders show to the relay."""

CONFIG = """
[ledger]
path = "apportion.duckdb"
billing_currency = "USD"
metered_from = {since}

[[pools]]
id = "gpus"
gpu = "H100_SXM"
gpus = 1
effective_from = {since}

[[rates]]
pool = "gpus"
component = "accelerator"
per_gpu_hour = "3.60"
effective_from = {since}

[[deployments]]
id = "serving"
pool = "gpus"
gpus = 1
models = ["tiny", "mocked"]
capacity_per_gpu_hour = 3_600_000
effective_from = {since}

[policy]
utilization = "capacity"
weights = {{ uncached_input = 2, cache_write = 2, cache_read = 1, output = 6, reasoning = 6 }}

[directory]
rules = [
  {{ tag = {{ team = "team-search" }}, team = "search", cost_center = "CC-100" }},
  {{ tag = {{ team = "team-ads" }}, team = "ads", cost_center = "CC-200" }},
]

[http]
listen = "127.0.0.1:{port}"
token = {{ env = "APPORTION_TOKEN" }}

[schedule]
meter_every_seconds = 1

[[sources]]
name = "gateway"
collector = "http"
format = "litellm"
token = {{ env = "GATEWAY_TOKEN" }}
accepts = ["litellm", "otel*"]
"""
NAMES = (
    "id",
    "source",
    "principal",
    "team",
    "status",
    "quality",
    "requests",
    "uncached",
    "read",
    "output",
    "reasoning",
)
EVENTS = """
SELECT event_id, source, principal, tags ->> 'team', status, usage_quality, requests, uncached_input_tokens, cache_read_tokens,
    output_tokens, reasoning_tokens
FROM raw.usage_event AS event JOIN raw.series USING (series_no) JOIN raw.caller USING (caller_no) ORDER BY occurred_at, event_id
"""
SAMPLES = """
SELECT gpu_uuid, active_ppm, power_milliwatts, node
FROM raw.gpu_sample JOIN raw.gpu_series USING (gpu_series_no) JOIN raw.gpu_device AS device ON device.device_no = gpu_sample.device_no
ORDER BY ALL
"""
CONSERVED = """
SELECT (SELECT sum(effective_cost_nano) FROM metering.origin_charge_hourly)
    - (SELECT sum(effective_cost_nano) FROM metering.charge_hourly)
"""
OBSERVED = "SELECT source, believed_source, sum(events)::BIGINT, sum(consumed_tokens)::BIGINT FROM export.observed_usage GROUP BY ALL ORDER BY ALL"
OUTCOMES = """
SELECT coalesce(sum(landed)::BIGINT, 0), coalesce(sum(duplicates)::BIGINT, 0), coalesce(sum(superseded)::BIGINT, 0),
    coalesce(sum(conflicts)::BIGINT, 0), coalesce(sum(rejected)::BIGINT, 0)
FROM raw.batch
"""
LINES = """
SELECT team, cost_center, coalesce(cause, ''), token_kind, sum(consumed_tokens)::BIGINT, sum(effective_cost_nano)::BIGINT
FROM attribution.charge_monthly WHERE cost_kind = 'workload' GROUP BY ALL ORDER BY ALL
"""


@dataclass
class Serving:
    """A `serve` that clients can reach.

    Attributes:
        folder: of its config and its ledger.
        port: where it listens.
        log: what it says.
    """

    folder: Path
    port: int
    log: Path
    process: Popen[bytes]

    def received(self) -> Mapping[str, int]:
        """Records by outcome since it started, over all sources."""
        found: dict[str, int] = {}
        for line in ask(self.port, "/metrics")[1].decode().splitlines():
            if line.startswith("apportion_ingest_events_total{"):
                outcome = line.split('outcome="')[1].split('"')[0]
                found[outcome] = found.get(outcome, 0) + int(float(line.rsplit(" ", 1)[1]))
        return found

    def until_received(self, records: int) -> Mapping[str, int]:
        """Outcomes, once so many records were answered for."""
        until(lambda: sum(self.received().values()) >= records, f"{records} records", self.process, self.log)
        return self.received()

    def stop(self) -> int:
        """End it by SIGTERM. Returns: its exit status."""
        return stop(self.process)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Serving]:
    """A `serve` on a free port of loopback, ready; its fleet began the day before yesterday."""
    port, log = free_port(), folder / "serve.log"
    since = (datetime.now(UTC) - timedelta(days=2)).strftime("%Y-%m-%dT%H:00:00Z")
    (folder / "apportion.toml").write_text(CONFIG.format(port=port, since=since), encoding="utf-8")
    tokens = {"APPORTION_TOKEN": ANY_TOKEN, "GATEWAY_TOKEN": TOKEN, "PYTHONPATH": str(ROOT)}
    with running([sys.executable, "-m", "apportion", "serve"], folder, tokens, log) as process:
        until(lambda: ask(port, "/readyz")[0] == 200, "serve is ready", process, log)
        yield Serving(folder, port, log, process)


@contextlib.contextmanager
def relay(folder: Path, to: Serving) -> Iterator[int]:
    """A relay in front of it. Yields: its port."""
    port, log = free_port(), folder / "relay.log"
    addresses = ["--to", f"http://127.0.0.1:{to.port}", "--listen", f"127.0.0.1:{port}"]
    tokens = ["--token-env", "APPORTION_TOKEN", "--listen-token-env", "RELAY_TOKEN"]
    environment = {"APPORTION_TOKEN": TOKEN, "RELAY_TOKEN": RELAY_TOKEN, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "apportion", "relay", *addresses, *tokens, "--spool", folder / "relay.spool"]
    with running(command, folder, environment, log) as process:
        until(lambda: ask(port, "/healthz")[0] == 200, "the relay answers", process, log)
        yield port


@dataclass(frozen=True)
class Charged:
    """What a ledger holds, metered by a clock by which every event's hour is over.

    Attributes:
        events: one row of EVENTS each.
        lines: one row of LINES each.
        conserved: origin costs less allocated charges, in nano.
        samples: one row of SAMPLES each.
        observed: source, whom the ledger believes instead, how many events and tokens.
        outcomes: records by what became of them.
        rejections: reason of each.
    """

    events: list[dict[str, Any]]
    lines: list[tuple[Any, ...]]
    conserved: int
    samples: list[tuple[Any, ...]]
    observed: list[tuple[Any, ...]]
    outcomes: dict[str, int]
    rejections: list[str]


def charged(folder: Path) -> Charged:
    """Meter a stopped serve's ledger as of two hours from now."""
    clock = FrozenClock(datetime.now(UTC) + timedelta(hours=2))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("APPORTION_TOKEN", ANY_TOKEN)
        environment.setenv("GATEWAY_TOKEN", TOKEN)
        config = load(folder / "apportion.toml")
    with Pipeline.open(config, clock, threads=1) as pipeline:
        pipeline.meter()
        session = pipeline.ledger.session()
        return Charged(
            events=[dict(zip(NAMES, row, strict=True)) for row in session.rows(EVENTS)],
            lines=session.rows(LINES),
            conserved=session.value(CONSERVED),
            samples=session.rows(SAMPLES),
            observed=session.rows(OBSERVED),
            outcomes=dict(
                zip(("landed", "duplicates", "superseded", "conflicts", "rejected"), session.row(OUTCOMES), strict=True)
            ),
            rejections=[row[0] for row in session.rows("SELECT reason FROM raw.rejection")],
        )
