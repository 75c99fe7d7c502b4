"""A ledger as metering leaves it, written line by line, so that attribution is tested by itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from apportion.domain.period import FOREVER, HOUR, Period, month_of, next_month
from apportion.ledger.connection import Session
from apportion.ledger.dictionary import Dictionary, numbers
from attribution import attribute
from tests.frozen import FrozenClock

NOVEMBER = datetime(2026, 11, 2, tzinfo=UTC)
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
OCTOBER = Period(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
EMPTIED = (
    "raw.caller WHERE caller_no > 0",
    "attribution.mapped_directory",
    "book.directory_rule",
    "book.cost_center",
    "book.pool",
    "book.deployment",
    "book.policy",
    "book.entitlement",
    "book.shared_cost",
    "book.shared_cost_share",
    "metering.charge_hourly",
    "metering.origin_charge_hourly",
    "metering.deployment_hourly",
    "metering.metered_hour",
)


@dataclass
class Books:
    """Writes books and metered hours, and attributes them. Hours are given as whole numbers from the start of October."""

    session: Session
    clock: FrozenClock = field(default_factory=lambda: FrozenClock(NOVEMBER))
    numbered: dict[tuple[str, str], int] = field(default_factory=dict)

    def hour(self, hours: int) -> datetime:
        """The start of an hour."""
        return OCTOBER.start + timedelta(hours=hours)

    def no(self, dictionary: Dictionary, name: str) -> int:
        """A surrogate number."""
        if name and (dictionary, name) not in self.numbered:
            self.numbered[dictionary, name] = numbers(self.session, dictionary, [name])[name]
        return self.numbered[dictionary, name] if name else 0

    def caller(self, principal: str, namespace: str = "", source: str = "litellm", **tags: str) -> int:
        """A caller's number, new or known."""
        text = json.dumps(
            [source, principal, namespace, dict(sorted(tags.items()))], separators=(",", ":"), ensure_ascii=False
        )
        if ("raw.caller", text) in self.numbered:
            return self.numbered["raw.caller", text]
        found = self.session.rows("SELECT caller_no FROM raw.caller WHERE caller = $text", {"text": text})
        if found:
            return int(found[0][0])
        number = int(self.session.value("SELECT max(caller_no) + 1 FROM raw.caller"))
        self.session.do(
            "INSERT INTO raw.caller VALUES ($number, $text, $source, $principal, $namespace, $tags)",
            {
                "number": number,
                "text": text,
                "source": source,
                "principal": principal,
                "namespace": namespace,
                "tags": json.dumps(dict(sorted(tags.items())), separators=(",", ":"), ensure_ascii=False),
            },
        )
        self.numbered["raw.caller", text] = number
        return number

    def rule(
        self,
        rule_no: int,
        team: str = "",
        *,
        principal: str | None = None,
        namespace: str | None = None,
        source: str | None = None,
        tags: dict[str, str] | None = None,
        team_tag: str = "",
        team_name: str = "",
        project: str = "",
        cost_center: str = "",
        start: datetime = BEGINNING,
        end: datetime = FOREVER,
    ) -> None:
        """A directory rule; patterns are LIKE patterns."""
        self.session.do(
            "INSERT INTO book.directory_rule VALUES ($rule_no, $principal, $namespace, $source, $tags, $team, $team_tag, "
            "$team_name, $project, $cost_center, $start, $end)",
            {
                "rule_no": rule_no,
                "principal": principal,
                "namespace": namespace,
                "source": source,
                "tags": json.dumps(tags or {}),
                "team": team,
                "team_tag": team_tag,
                "team_name": team_name,
                "project": project,
                "cost_center": cost_center,
                "start": start,
                "end": end,
            },
        )

    def policy(self, idle: str = "separate", over: str = "month") -> None:
        """A new version of the policy."""
        version = self.session.value("SELECT coalesce(max(policy_version), 0) + 1 FROM book.policy")
        self.session.do(
            "INSERT INTO book.policy (policy_version, phase_split, idle, over, min_coverage_ppm, sample_hold_us, weight_scale, "
            "uncached_input_weight, cache_read_weight, cache_write_weight, output_weight, reasoning_weight, digest, known_from, "
            "unlogged_tolerance_ppm, observers) VALUES ($version, 'weights', $idle, $over, 900000, 120000000, 10, 10, 1, 10, 60, 60, '', $now, 10000, '[]')",
            {"version": version, "idle": idle, "over": over, "now": self.clock.now()},
        )

    def pool(self, name: str, gpus: int = 2, start: datetime = BEGINNING, end: datetime = FOREVER) -> None:
        """A range of a pool."""
        self.session.do(
            "INSERT INTO book.pool VALUES ($no, 'H100', $gpus, $start, $end)",
            {"no": self.no("book.pool_key", name), "gpus": gpus, "start": start, "end": end},
        )

    def deployment(
        self, name: str, pool: str, owner: str = "", start: datetime = BEGINNING, end: datetime = FOREVER
    ) -> None:
        """A range of a deployment; with an owner it is charged to it."""
        self.session.do(
            "INSERT INTO book.deployment (deployment_no, pool_no, gpus, utilization, owner, charge_to, role, effective_from, effective_to) "
            "VALUES ($no, $pool, 1, 'active', $owner, $charge_to, 'both', $start, $end)",
            {
                "no": self.no("book.deployment_key", name),
                "pool": self.no("book.pool_key", pool),
                "owner": owner,
                "charge_to": "owner" if owner else "caller",
                "start": start,
                "end": end,
            },
        )

    def entitle(self, pool: str, team: str, gpus: int, start: datetime = BEGINNING, end: datetime = FOREVER) -> None:
        """A reservation."""
        self.session.do(
            "INSERT INTO book.entitlement VALUES ($pool, $team, $gpus, $start, $end)",
            {"pool": self.no("book.pool_key", pool), "team": team, "gpus": gpus, "start": start, "end": end},
        )

    def shared(
        self,
        name: str,
        policy: str = "proportional",
        shares: dict[str, int] | None = None,
        nano: int = 0,
        start: datetime = BEGINNING,
        end: datetime = FOREVER,
    ) -> None:
        """A shared cost."""
        self.session.do(
            "INSERT INTO book.shared_cost VALUES ($name, $nano, $policy, $start, $end)",
            {"name": name, "nano": nano, "policy": policy, "start": start, "end": end},
        )
        for team, weight in (shares or {}).items():
            self.session.do(
                "INSERT INTO book.shared_cost_share VALUES ($name, $team, $weight)",
                {"name": name, "team": team, "weight": weight},
            )

    def charge(
        self,
        hours: int,
        nano: int | None,
        *,
        tokens: int | None = None,
        caller: int = 0,
        kind: str = "output",
        pool: str = "p",
        deployment: str = "d",
        model: str = "m",
        provider: str = "self",
        tier: str = "",
        cost_kind: str = "workload",
        cause: str = "",
    ) -> None:
        """A metered line; one of a caller has tokens of a kind, one of nobody has none."""
        self.session.do(
            "INSERT INTO metering.charge_hourly VALUES ($hour, $pool, $deployment, $provider, $model, $caller, $tier, $cost_kind, "
            "$cause, $kind, $tokens, $nano, 'active/1', 'measured')",
            {
                "hour": self.hour(hours),
                "pool": self.no("book.pool_key", pool),
                "deployment": self.no("book.deployment_key", deployment),
                "provider": provider,
                "model": self.no("book.model", model) if caller else 0,
                "caller": caller,
                "tier": tier,
                "cost_kind": cost_kind,
                "cause": cause,
                "kind": kind if caller else "",
                "tokens": tokens,
                "nano": nano,
            },
        )

    def idle(self, hours: int, nano: int, *, pool: str = "p", deployment: str = "d", cause: str = "inactive") -> None:
        """An idle line."""
        self.charge(hours, nano, pool=pool, deployment=deployment, cost_kind="idle", cause=cause)

    def overhead(self, hours: int, nano: int, name: str) -> None:
        """An hour's part of a shared cost."""
        self.charge(hours, nano, pool="", deployment="", cost_kind="overhead", cause=name)

    def metered(self, hours: int | None = None) -> None:
        """Say that hours are metered (those with lines, or as many from the first on), at the origin cost of their lines."""
        self.session.do("DELETE FROM metering.metered_hour")
        self.session.do("DELETE FROM metering.origin_charge_hourly")
        self.session.do("DELETE FROM metering.deployment_hourly")
        self.session.do(
            "INSERT INTO metering.metered_hour SELECT charge_period_start, $now, 1 FROM "
            "(SELECT charge_period_start FROM metering.charge_hourly UNION SELECT $start::TIMESTAMP + to_hours(h::INTEGER) FROM range($hours) AS t (h))",
            {"now": self.clock.now(), "start": OCTOBER.start, "hours": hours or 0},
        )
        self.session.do(
            "INSERT INTO metering.origin_charge_hourly SELECT charge_period_start, pool_no, "
            "CASE WHEN pool_no = 0 THEN cause ELSE 'accelerator' END, 0, sum(effective_cost_nano), '', '', "
            "CASE WHEN cause LIKE 'unused_%' THEN cause ELSE '' END, "
            "sum(effective_cost_nano), sum(effective_cost_nano), sum(effective_cost_nano), NULL "
            "FROM metering.charge_hourly WHERE effective_cost_nano IS NOT NULL AND cost_kind <> 'external' GROUP BY ALL"
        )
        self.session.do(
            "INSERT INTO metering.deployment_hourly SELECT charge_period_start, pool_no, deployment_no, 3600000000, "
            "sum(effective_cost_nano), 'active', 0, 0, FALSE, 0, 0, coalesce(sum(effective_cost_nano) FILTER (cost_kind = 'workload'), 0), "
            "coalesce(sum(effective_cost_nano) FILTER (cost_kind = 'idle'), 0), 'inactive', "
            "coalesce(sum(effective_cost_nano) FILTER (cost_kind = 'unmeasured'), 0), 0, 0, 0, 'active/1', 'measured', NULL, NULL "
            "FROM metering.charge_hourly WHERE pool_no > 0 GROUP BY ALL"
        )

    def attribute(self, period: Period = OCTOBER, **options: Any) -> None:
        """Attribute a span, by default October."""
        attribute.attribute(self.session, period, self.clock, **options)

    def run(self, **options: Any) -> None:
        """Say that what was written is metered, and attribute the months it touches."""
        self.metered()
        first, last = self.session.row(
            "SELECT min(charge_period_start), max(charge_period_start) FROM metering.metered_hour"
        )
        self.attribute(Period(month_of(first), next_month(last)), **options)

    def span(self, hours: int) -> Period:
        """One hour as a period."""
        return Period(self.hour(hours), self.hour(hours) + HOUR)

    def costs(self, table: str = "attribution.charge_monthly", by: str = "team") -> dict[Any, int]:
        """Nano by one or more columns, unpriced lines left out."""
        found = self.session.rows(
            f"SELECT {by}, sum(effective_cost_nano)::HUGEINT FROM {table} WHERE effective_cost_nano IS NOT NULL GROUP BY ALL"
        )
        return {row[0] if len(row) == 2 else row[:-1]: row[-1] for row in found}

    def emptied(self) -> Books:
        """The same, with nothing written; what attribution made is left for the next run to replace."""
        for table in EMPTIED:
            self.session.do(f"DELETE FROM {table}")
        self.numbered.clear()
        return self
