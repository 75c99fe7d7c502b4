"""One pool of two GPUs at 3.00 per GPU-hour, one deployment and two teams: driven as the commands drive it, read as finance reads it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from apportion.config.load import load
from apportion.config.model import Config
from apportion.domain.period import month
from apportion.ledger.connection import read_only
from apportion.pipeline import Pipeline
from exporters.chargeback import month_table
from ingest.outcome import Outcome
from tests.blank import blank
from tests.frozen import FrozenClock

UNIT = 1_000_000_000
"""Nano in one of the billing currency."""
HOUR_COST = 6 * UNIT
"""Two GPUs for an hour."""
START, END = "2026-10-05T12:00:00Z", "2026-10-05T13:00:00Z"
"""The fleet's one hour, unless a test gives it more."""
SETTLED_AT = datetime(2026, 10, 7, tzinfo=UTC)
ON_ONE_NODE = "".join(
    f'[[pools]]\nid = "{name}"\ngpu = "{gpu}"\ngpus = 1\neffective_from = {START}\neffective_to = {END}\n'
    f'[[deployments]]\nid = "on-{name}"\npool = "{name}"\ngpus = 1\nmodels = ["{name}-llm"]\n'
    f"effective_from = {START}\neffective_to = {END}\n"
    for name, gpu in (("big", "H100_SXM"), ("small", "L40S"))
)
"""Instead of the fleet's pool: two, of which each has one GPU, of another kind, in the same machine."""

Event = dict[str, Any]
Line = Mapping[str, str]


def config(
    *,
    policy: str = 'utilization = "allocation"',
    pools: str | None = None,
    rates: str | None = None,
    more: str = "",
    start: str = START,
    end: str = END,
) -> str:
    """The fleet as TOML text; whole tables can be replaced."""
    span = f"effective_from = {start}\neffective_to = {end}"
    pools = pools or (
        f'[[pools]]\nid = "pool"\ngpu = "H100_SXM"\ngpus = 2\n{span}\n'
        f'[[deployments]]\nid = "one"\npool = "pool"\ngpus = 2\nmodels = ["m"]\ncapacity_per_gpu_hour = 1_000_000\n{span}\n'
    )
    rates = rates or rate("3.00", start)
    return f"""
[ledger]
path = "apportion.duckdb"
billing_currency = "USD"
{pools}
{rates}
{more}
[policy]
sample_hold_seconds = 3600
{policy}
[directory]
rules = [{{ principal = "search", team = "search" }}, {{ principal = "ads", team = "ads" }}]
"""


def rate(amount: str, start: str, end: str = "", *, pool: str = "pool") -> str:
    """A row of the rate card as TOML text."""
    until = f"effective_to = {end}" if end else ""
    return f'[[rates]]\npool = "{pool}"\ncomponent = "accelerator"\nper_gpu_hour = "{amount}"\neffective_from = {start}\n{until}\n'


def entitlement(team: str, gpus: int, start: str = START) -> str:
    """A reservation as TOML text."""
    return f'[[entitlements]]\npool = "pool"\nteam = "{team}"\ngpus = {gpus}\neffective_from = {start}\n'


def event(event_id: str, principal: str, tokens: int = 1000, at: str = "2026-10-05T12:30:00Z", **fields: Any) -> Event:
    """A usage event of uncached input tokens, with other fields as they are given."""
    return {
        "event_id": event_id,
        "source": "gateway",
        "occurred_at": at,
        "model": "m",
        "principal": principal,
        "uncached_input_tokens": tokens,
        **fields,
    }


def sample(gpu_uuid: str, active_ratio: float, at: str = START, **fields: Any) -> Event:
    """A GPU sample; by default it holds for the whole hour."""
    return {
        "sampled_at": at,
        "gpu_uuid": gpu_uuid,
        "gpu": "H100_SXM",
        "node": "node-1",
        "deployment": "one",
        "active_ratio": active_ratio,
        **fields,
    }


def some_events() -> list[Event]:
    """Events of both teams, among them an amendment, a void and odd counts; free of conflicts."""
    events = [
        event(str(number), ("search", "ads", "nobody")[number % 3], 7 * number + 1, output_tokens=number)
        for number in range(30)
    ]
    return [
        *events,
        event("4", "ads", 5000, revision=2),
        event("5", "nobody", 0, revision=1),
        event("4", "ads", 4000, revision=1),
    ]


class Fleet:
    """An open ledger of such a fleet."""

    def __init__(self, folder: Path, text: str, now: datetime = SETTLED_AT) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._files = folder, 0
        blank(folder / "apportion.duckdb")
        self.pipeline = Pipeline.open(self._loaded(text), FrozenClock(now), threads=1)

    def _loaded(self, text: str) -> Config:
        file = self.folder / "apportion.toml"
        file.write_text(text, encoding="utf-8")
        return load(file)

    def configure(self, text: str) -> Fleet:
        """Go on with another config."""
        self.pipeline.config = self._loaded(text)
        return self

    def ingest(self, records: Iterable[Mapping[str, Any]], format_name: str = "usage") -> Outcome:
        """Land records as a file of their own."""
        self._files += 1
        file = self.folder / f"records-{self._files}.ndjson"
        file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
        return self.pipeline.ingest([file], format_name).outcome

    def meter(self) -> Fleet:
        """Meter what is due, settle and publish."""
        report = self.pipeline.meter()
        assert not report.refused
        return self

    def lines(
        self, billing_period: str = "2026-10", *, by: Sequence[str] | None = None, period: str = "month"
    ) -> list[Line]:
        """The published lines of a month."""
        with closing(read_only(self.pipeline.ledger.results)) as results:
            table = month_table(results, month(billing_period), by=by, period=period)
            return [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False, name=None)]

    def costs(
        self, *columns: str, billing_period: str = "2026-10", period: str = "month", **only: str
    ) -> dict[Any, int]:
        """Nano by the values of columns (of one column: by its value), of the lines that `only` describes; zeros are left out."""
        found: Counter[Any] = Counter()
        for line in self.lines(billing_period, period=period):
            if line["effective_cost"] and all(line[name] == value for name, value in only.items()):
                key = tuple(line[name] for name in columns)
                found[key[0] if len(key) == 1 else key] += nano(line["effective_cost"])
        return {key: cost for key, cost in found.items() if cost}


def nano(text: str) -> int:
    """An amount of the table. Units: nano."""
    whole, decimals = text.split(".")
    assert len(decimals) == 9
    return int(whole + decimals)
