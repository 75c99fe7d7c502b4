"""The tables of `book` that are replaced whole: ids as text outside, numbers of dictionaries inside.

Rows are tuples in the order of a table's columns; they go in by one statement, however many there are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from apportion.ledger.connection import Row, Session

RANGE: Final = {"effective_from": "TIMESTAMP", "effective_to": "TIMESTAMP"}

_KEYS: Final = {
    "pool_id": ("book.pool_key", "pool_no"),
    "deployment_id": ("book.deployment_key", "deployment_no"),
    "model_id": ("book.model", "model_no"),
}
"""Text column -> its dictionary, and the number that stands in the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookTable:
    """A table and what its columns mean to the stages behind it.

    Attributes:
        name: with its schema.
        columns: column -> DuckDB type, ids as text.
        metered: columns besides the range that decide what an hour costs; empty where metering never looks.
        attributed: columns that decide who pays; empty where attribution never looks.
        monthly: whether a change reaches every hour of the months it touches.
        spread: amounts that an hour has its part of by the range, which then decides too, unless all of them are 0.
    """

    name: str
    columns: Mapping[str, str]
    metered: tuple[str, ...] = ()
    attributed: tuple[str, ...] = field(default=())
    monthly: bool = False
    spread: tuple[str, ...] = ()

    def read(self, session: Session) -> list[Row]:
        """Every row, in an order of its own."""
        keys = [column for column in self.columns if column in _KEYS]
        chosen = ", ".join(
            f"{_KEYS[column][0]}.{column}" if column in _KEYS else f"kept.{column}" for column in self.columns
        )
        joins = " ".join(
            f"JOIN {_KEYS[key][0]} ON {_KEYS[key][0]}.{_KEYS[key][1]} = kept.{_KEYS[key][1]}" for key in keys
        )
        return ordered(session.rows(f"SELECT {chosen} FROM {self.name} AS kept {joins}"))

    def replace(self, session: Session, rows: Sequence[Row]) -> None:
        """Put these rows in place of all others. Every id has its number already."""
        shape = json.dumps([dict(self.columns)])
        keys = [column for column in self.columns if column in _KEYS]
        chosen = ", ".join(
            f"{_KEYS[column][0]}.{_KEYS[column][1]}" if column in _KEYS else f"given.item.{column}"
            for column in self.columns
        )
        joins = " ".join(f"JOIN {_KEYS[key][0]} ON {_KEYS[key][0]}.{key} = given.item.{key}" for key in keys)
        session.do(f"DELETE FROM {self.name}")
        session.do(
            f"INSERT INTO {self.name} BY NAME SELECT {chosen} "
            f"FROM (SELECT unnest(from_json($rows::JSON, '{shape}')) AS item) AS given {joins}",
            {"rows": text(rows_as_objects(self, rows))},
        )


POOL: Final = BookTable(
    name="book.pool",
    columns={"pool_id": "VARCHAR", "gpu": "VARCHAR", "gpus": "INTEGER", **RANGE},
    metered=("pool_id", "gpu", "gpus"),
)
DEPLOYMENT: Final = BookTable(
    name="book.deployment",
    columns={
        "deployment_id": "VARCHAR", "pool_id": "VARCHAR", "gpus": "INTEGER", "utilization": "VARCHAR",
        "capacity_per_gpu_hour": "BIGINT", "owner": "VARCHAR", "charge_to": "VARCHAR", "role": "VARCHAR",
        "match_cluster": "VARCHAR", "match_replica": "VARCHAR", "match_namespace": "VARCHAR", "match_node": "VARCHAR",
        "match_gpu_uuid": "VARCHAR", "match_pod": "VARCHAR", "phase_split": "VARCHAR",
        "prefill_tokens_per_1000_s": "BIGINT", "decode_tokens_per_1000_s": "BIGINT",
        "cache_read_tokens_per_1000_s": "BIGINT", "capacity_source": "VARCHAR", **RANGE,
    },
    metered=(
        "deployment_id", "pool_id", "gpus", "utilization", "capacity_per_gpu_hour", "role", "match_cluster",
        "match_replica", "match_namespace", "match_node", "match_gpu_uuid", "match_pod", "phase_split",
        "prefill_tokens_per_1000_s", "decode_tokens_per_1000_s", "cache_read_tokens_per_1000_s", "capacity_source",
    ),
    attributed=("deployment_id", "owner", "charge_to"),
)  # fmt: skip
DEPLOYMENT_MODEL: Final = BookTable(
    name="book.deployment_model",
    columns={"deployment_id": "VARCHAR", "model_id": "VARCHAR", **RANGE},
    metered=("deployment_id", "model_id"),
)
MODEL_ALIAS: Final = BookTable(
    name="book.model_alias", columns={"alias": "VARCHAR", "model_id": "VARCHAR", **RANGE}, metered=("alias", "model_id")
)
ENERGY_RATE: Final = BookTable(
    name="book.energy_rate",
    columns={"pool_id": "VARCHAR", "per_kwh_nano": "BIGINT", "pue_ppm": "INTEGER", "watts_per_gpu": "INTEGER", **RANGE},
    metered=("pool_id", "per_kwh_nano", "pue_ppm", "watts_per_gpu"),
)
SHARED_COST: Final = BookTable(
    name="book.shared_cost",
    columns={"shared_cost_id": "VARCHAR", "per_month_nano": "BIGINT", "policy": "VARCHAR", **RANGE},
    metered=("shared_cost_id", "per_month_nano"),
    attributed=("shared_cost_id", "policy"),
    monthly=True,
)
SHARED_COST_SHARE: Final = BookTable(
    name="book.shared_cost_share",
    columns={"shared_cost_id": "VARCHAR", "team": "VARCHAR", "weight": "BIGINT"},
    attributed=("shared_cost_id", "team", "weight"),
)
ENTITLEMENT: Final = BookTable(
    name="book.entitlement",
    columns={"pool_id": "VARCHAR", "team": "VARCHAR", "gpus": "INTEGER", **RANGE},
    attributed=("pool_id", "team", "gpus", *RANGE),
)
DIRECTORY_RULE: Final = BookTable(
    name="book.directory_rule",
    columns={
        "rule_no": "INTEGER", "principal_pattern": "VARCHAR", "namespace_pattern": "VARCHAR",
        "source_pattern": "VARCHAR", "tag_patterns": "VARCHAR", "team": "VARCHAR", "team_tag": "VARCHAR",
        "team_name": "VARCHAR", "project": "VARCHAR", "cost_center": "VARCHAR", **RANGE,
    },
    attributed=(
        "rule_no", "principal_pattern", "namespace_pattern", "source_pattern", "tag_patterns", "team", "team_tag",
        "team_name", "project", "cost_center", *RANGE,
    ),
)  # fmt: skip
COST_CENTER: Final = BookTable(
    name="book.cost_center", columns={"team": "VARCHAR", "cost_center": "VARCHAR"}, attributed=("team", "cost_center")
)
MODEL_ARCHITECTURE: Final = BookTable(
    name="book.model_architecture",
    columns={
        "model_id": "VARCHAR", "architecture": "VARCHAR", "weights": "VARCHAR", "kv": "VARCHAR", "batch": "INTEGER",
        "mean_context": "INTEGER", "tensor_parallel": "INTEGER", **RANGE,
    },
)  # fmt: skip

MODEL_WEIGHT: Final = BookTable(
    name="book.model_weight",
    columns={"model_id": "VARCHAR", "weight": "BIGINT", **RANGE},
    metered=("model_id", "weight"),
)
MODEL_ADAPTER: Final = BookTable(
    name="book.model_adapter",
    columns={"model_id": "VARCHAR", "pattern": "VARCHAR", **RANGE},
    metered=("model_id", "pattern"),
)
DOWNTIME: Final = BookTable(
    name="book.downtime",
    columns={"deployment_id": "VARCHAR", "gpus": "INTEGER", "cause": "VARCHAR", **RANGE},
    metered=("deployment_id", "gpus", "cause"),
)

TABLES: Final = (
    POOL, DEPLOYMENT, DEPLOYMENT_MODEL, MODEL_ALIAS, ENERGY_RATE, SHARED_COST, SHARED_COST_SHARE, ENTITLEMENT, DIRECTORY_RULE,
    COST_CENTER, MODEL_ARCHITECTURE, MODEL_WEIGHT, MODEL_ADAPTER, DOWNTIME,
)  # fmt: skip


def ordered(rows: Sequence[Row]) -> list[Row]:
    """Rows in one order, whatever order they came in."""
    return sorted(rows, key=repr)


def rows_as_objects(table: BookTable, rows: Sequence[Row]) -> list[dict[str, object]]:
    """Rows by column name."""
    return [dict(zip(table.columns, row, strict=True)) for row in rows]


def text(value: object) -> str:
    """Canonical JSON: compact, keys sorted, times as naive UTC as the ledger keeps them."""
    return json.dumps(value, default=_moment, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _moment(value: object) -> str:
    return _naive(value) if isinstance(value, datetime) else str(value)


@lru_cache(maxsize=1024)
def _naive(moment: datetime) -> str:
    # Cached, because most of ten thousand rules are in force between the same two times.
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat()
