"""Steps and audits: `.sql` files with a checked header, run inside one audited transaction.

A step is one pure SELECT, named after the table it fills. The runner deletes the window, inserts by name and records
the interval; when every step of a run is done it asks the audits, each a query that must answer no row. The caller's
transaction commits only if all of them stay silent, so half an hour is never visible.

A header is comment lines before the SELECT:

    -- step:   metering.placed_usage_hourly     (or `-- audit: name_of_the_truth`)
    -- grain:  charge_period_start, place_no    (steps; the first column is the window where it is a period)
    -- reads:  raw.usage_event
    -- params: period_start, period_end
    -- why:    one sentence
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from apportion.domain.clock import Clock
from apportion.domain.errors import AuditFailed, LedgerBroken, LedgerError, StepFailed
from apportion.domain.period import Period
from apportion.ledger.connection import Session

PERIOD_COLUMNS = ("charge_period_start", "billing_period")
HEADER_FIELDS = {"step": ("step", "grain", "reads", "params", "why"), "audit": ("audit", "reads", "params", "why")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A `.sql` file and what its header says.

    Attributes:
        kind: step or audit.
        name: the table a step fills, or the truth an audit protects.
        grain: key columns of the rows, for steps.
        reads: tables the SELECT reads.
        params: names of its parameters.
        why: the reason it exists.
        sql: the SELECT.
    """

    kind: str
    name: str
    grain: tuple[str, ...]
    reads: tuple[str, ...]
    params: tuple[str, ...]
    why: str
    sql: str

    @property
    def window(self) -> str | None:
        """The column that places a row in time, or None for a table that is rebuilt whole."""
        return self.grain[0] if self.grain and self.grain[0] in PERIOD_COLUMNS else None


_RECORD: Final = """
INSERT INTO ledger.step_run
SELECT unnest($steps), unnest($starts::TIMESTAMP[]), unnest($ends::TIMESTAMP[]), unnest($rows), unnest($microseconds), $now
"""


def load(package: str, folder: str) -> dict[str, Query]:
    """Every `.sql` file in a folder of a package, by name."""
    files = [f for f in (resources.files(package) / folder).iterdir() if f.name.endswith(".sql")]
    queries = [parse(f.read_text(encoding="utf-8"), f.name) for f in sorted(files, key=lambda f: f.name)]
    return {query.name: query for query in queries}


def parse(text: str, file: str) -> Query:
    """Read a file's header. Raises: ValueError when a field is missing, doubled or unknown."""
    fields: dict[str, str] = {}
    last = ""
    for line in text.splitlines():
        found = re.match(r"--\s+(\w+):\s*(.*)$", line)
        more = re.match(r"--\s+(.+)$", line)
        if found and found[1] in fields:
            msg = f"{file}: header has {found[1]} twice; expected once"
            raise ValueError(msg)
        if found:
            last = found[1]
            fields[last] = found[2].strip()
        elif more and last:
            fields[last] += " " + more[1].strip()
        else:
            break
    kind = next(iter(fields), "")
    if tuple(fields) != HEADER_FIELDS.get(kind):
        msg = (
            f"{file}: header has {', '.join(fields) or 'no fields'}; expected {HEADER_FIELDS.get(kind, HEADER_FIELDS)}"
        )
        raise ValueError(msg)
    return Query(
        kind=kind,
        name=fields[kind],
        grain=_listed(fields.get("grain", "")),
        reads=_listed(fields["reads"]),
        params=_listed(fields["params"]),
        why=fields["why"],
        sql=text,
    )


def _listed(field: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in field.split(",") if part.strip() not in ("", "none"))


def run(session: Session, steps: Sequence[Query], period: Period, parameters: Mapping[str, Any], clock: Clock) -> None:
    """Fill one window of each step in order, as `fill` does."""
    fill(session, ((step, period) for step in steps), parameters, clock)


def fill(
    session: Session, windows: Iterable[tuple[Query, Period]], parameters: Mapping[str, Any], clock: Clock
) -> None:
    """Fill windows of steps, each asked for when those before it are filled, in the caller's transaction; audit the grain of each.

    Raises: AuditFailed when two rows share a step's grain; StepFailed when it cannot be computed, or a key column would be NULL.
    """
    done = []
    for step, period in windows:
        values = {**parameters, "period_start": period.start, "period_end": period.end}
        began = time.perf_counter_ns()
        with _named(step.name, period):
            _clear(session, step, period)
            rows = session.do(f"INSERT INTO {step.name} BY NAME {step.sql}", _only(values, step.params))
            _audit_grain(session, step, period)
        done.append((step.name, period.start, period.end, rows, (time.perf_counter_ns() - began) // 1000))
    if done:
        columns = dict(
            zip(("steps", "starts", "ends", "rows", "microseconds"), map(list, zip(*done, strict=True)), strict=True)
        )
        session.do(_RECORD, {**columns, "now": clock.now()})


def audit(session: Session, audits: Sequence[Query], period: Period, parameters: Mapping[str, Any]) -> None:
    """Ask every audit about a period. Raises: AuditFailed with the first rows that break a truth; StepFailed as `run` does."""
    values = {**parameters, "period_start": period.start, "period_end": period.end}
    for query in audits:
        with _named(f"audit {query.name}", period):
            broken = session.rows(f"{query.sql.rstrip().rstrip(';')}\nLIMIT 5", _only(values, query.params))
        if broken:
            raise AuditFailed(", ".join(query.reads), query.name, broken)


@contextlib.contextmanager
def _named(name: str, period: Period) -> Iterator[None]:
    """Say of what the engine refuses which step it was, and of which span; what ends the process says that itself."""
    try:
        yield
    except LedgerBroken:
        raise
    except LedgerError as error:
        raise StepFailed(name, period, str(error)) from error


def _clear(session: Session, step: Query, period: Period) -> None:
    if step.window is None:
        session.do(f"DELETE FROM {step.name}")
        return
    session.do(
        f"DELETE FROM {step.name} WHERE {step.window} >= $period_start AND {step.window} < $period_end",
        {"period_start": period.start, "period_end": period.end},
    )


def _audit_grain(session: Session, step: Query, period: Period) -> None:
    window = f"WHERE {step.window} >= $period_start AND {step.window} < $period_end" if step.window else ""
    values = {"period_start": period.start, "period_end": period.end} if step.window else None
    keys = ", ".join(step.grain)
    # Grouping by one number is faster than by many columns; only where two rows share it are the columns compared.
    suspect = session.rows(
        f"SELECT hash({keys}) AS digest FROM {step.name} {window} GROUP BY digest HAVING count(*) > 1 LIMIT 1", values
    )
    doubled = suspect and session.rows(
        f"SELECT {keys} FROM {step.name} {window} GROUP BY {keys} HAVING count(*) > 1 LIMIT 5", values
    )
    if doubled:
        raise AuditFailed(step.name, "each_grain_is_one_row", doubled)


def _only(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any] | None:
    return {name: values[name] for name in names} or None
