"""Bring `book` in line with the config, and say what that changes: hours to meter again, months to attribute again.

Reference data is replaced whole, differences are recorded and what was known before is kept; policies are only ever added.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from apportion.config.model import Config
from apportion.domain.errors import ConfigError
from apportion.domain.period import Period
from apportion.ledger import book_costs, book_currency, book_hours, book_rows, history
from apportion.ledger.book_tables import DEPLOYMENT, DIRECTORY_RULE, BookTable, rows_as_objects, text
from apportion.ledger.book_tables import TABLES as PLAIN
from apportion.ledger.connection import Row, Session
from apportion.ledger.dictionary import numbers

FORMAT: Final = "1"
"""Part of the digest: a program that writes `book` differently syncs once more."""

TABLES: Final = (*PLAIN, *book_costs.TABLES)

_Object = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What a sync did.

    Attributes:
        changed: whether anything in `book` differs from before.
        dirty_hours: metered hours that the changes reach, all marked in `book.dirty_hour`.
        reattribute: whether who pays may differ although no hour's cost does.
        policy_version: the policy in force now.
    """

    changed: bool
    dirty_hours: int
    reattribute: bool
    policy_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Difference:
    before: str
    after: str
    reached: Sequence[Period]
    reattribute: bool


def sync(session: Session, config: Config, now: datetime) -> SyncReport:
    """Write the config's reference data, inside the caller's transaction.

    Invariant: syncing one config twice changes nothing the second time.
    Raises: ConfigError for another billing currency than that of the hours already metered.
    """
    rows, settings = book_rows.rows(config), book_rows.settings(config)
    policy = {"utilization": config.policy.utilization, **book_rows.policy(config)}
    digest = _digest([FORMAT, rows, settings, policy])
    if _setting(session, "config_digest") == digest:
        return SyncReport(changed=False, dirty_hours=0, reattribute=False, policy_version=_version(session))
    _refuse_another_currency(session, config)
    _number(session, config)
    found = {table.name: _replace(session, table, rows, now) for table in TABLES}
    found["book.policy"] = _policy(session, policy, now)
    found["book.setting"] = _settings(session, settings)
    _write_setting(session, "config_digest", digest)
    differences = {subject: difference for subject, difference in found.items() if difference}
    for subject, difference in differences.items():
        _record(session, subject, difference, now)
    reached = [period for difference in differences.values() for period in difference.reached]
    book_hours.mark(session, reached, now)
    return SyncReport(
        changed=bool(differences),
        dirty_hours=book_hours.covered(session, reached)[0],
        reattribute=any(difference.reattribute for difference in differences.values()),
        policy_version=_version(session),
    )


def _digest(content: object) -> str:
    return hashlib.sha256(text(content).encode()).hexdigest()


def _setting(session: Session, name: str) -> str | None:
    found = session.rows("SELECT setting FROM book.setting WHERE name = $name", {"name": name})
    return str(found[0][0]) if found else None


def _write_setting(session: Session, name: str, setting: str) -> None:
    session.do("INSERT OR REPLACE INTO book.setting VALUES ($name, $setting)", {"name": name, "setting": setting})


def _version(session: Session) -> int:
    return int(session.value("SELECT coalesce(max(policy_version), 0) FROM book.policy"))


def _refuse_another_currency(session: Session, config: Config) -> None:
    kept, wanted = _setting(session, "billing_currency"), config.ledger.billing_currency
    if kept in {None, wanted} or not session.value("SELECT count(*) FROM metering.metered_hour"):
        return
    problem = (
        f"{config.path.name}:ledger.billing_currency: is {wanted}, and this ledger's amounts are in {kept}; "
        f"write {kept} again, or begin a new ledger at another ledger.path"
    )
    raise ConfigError([problem])


def _number(session: Session, config: Config) -> None:
    served = {model for deployment in config.deployments for model in deployment.models}
    numbers(session, "book.pool_key", {pool.id for pool in config.pools})
    numbers(session, "book.deployment_key", {deployment.id for deployment in config.deployments})
    numbers(
        session,
        "book.model",
        served | {alias.model for alias in config.model_aliases} | {model.id for model in config.models},
    )


def _replace(session: Session, table: BookTable, rows: Mapping[str, list[Row]], now: datetime) -> _Difference | None:
    before, after = table.read(session), rows[table.name]
    history.record(session, table, before, after, now)
    if before == after:
        return None
    table.replace(session, after)
    removed, added = _apart(table, before, after)
    reached = (
        book_currency.reached(session, before, after, rows)
        if table is book_costs.FX
        else book_hours.reached(table, before, after)
    )
    return _Difference(
        before=text(removed), after=text(added), reached=reached,
        reattribute=_payers(table, before) != _payers(table, after),
    )  # fmt: skip


def _apart(table: BookTable, before: Sequence[Row], after: Sequence[Row]) -> tuple[list[_Object], list[_Object]]:
    """Rows that were removed and added. A rule that only moved counts where nothing else changed."""
    first = 1 if table is DIRECTORY_RULE else 0
    old, new = Counter(row[first:] for row in before), Counter(row[first:] for row in after)
    if old == new:
        first, old, new = 0, Counter(before), Counter(after)
    gone, come = old - new, new - old
    columns = list(table.columns)[first:]
    removed = [dict(zip(columns, row, strict=True)) for row in gone.elements()]
    added = [dict(zip(columns, row, strict=True)) for row in come.elements()]
    return removed, added


def _payers(table: BookTable, rows: Sequence[Row]) -> set[tuple[object, ...]]:
    """What attribution reads of rows; of deployments, only those that charge an owner."""
    objects = rows_as_objects(table, rows)
    if table is DEPLOYMENT:
        objects = [row for row in objects if row["charge_to"] == "owner"]
    return {tuple(row[column] for column in table.attributed) for row in objects}


def _policy(session: Session, wanted: Mapping[str, object], now: datetime) -> _Difference | None:
    columns = ", ".join(book_rows.POLICY_COLUMNS)
    kept = session.rows(f"SELECT digest, {columns} FROM book.policy ORDER BY policy_version DESC LIMIT 1")
    digest = _digest(wanted)
    if kept and kept[0][0] == digest:
        return None
    version = _version(session) + 1
    content = {column: wanted[column] for column in book_rows.POLICY_COLUMNS}
    session.do(
        f"INSERT INTO book.policy (policy_version, {columns}, digest, known_from) "
        f"VALUES ($version, {', '.join(f'${column}' for column in book_rows.POLICY_COLUMNS)}, $digest, $now)",
        {"version": version, **content, "digest": digest, "now": now},
    )
    before = dict(zip(book_rows.POLICY_COLUMNS, kept[0][1:], strict=True)) if kept else {}
    # NULL in a policy that was kept: it is older than the column, and no hour was metered in another way for it.
    unasked = {column for column, kept_value in before.items() if kept_value is None}
    differing = {column for column in content if content[column] != before.get(column)} - unasked
    metered = differing - set(book_rows.SETTLEMENT_COLUMNS)
    return _Difference(
        before=text(before), after=text(dict(wanted)), reached=[book_hours.ALWAYS] if metered else [],
        reattribute=bool(differing & set(book_rows.SETTLEMENT_COLUMNS)),
    )  # fmt: skip


def _settings(session: Session, wanted: Mapping[str, str]) -> _Difference | None:
    before = {name: _setting(session, name) for name in wanted}
    differing = {name: setting for name, setting in wanted.items() if before[name] != setting}
    for name, setting in differing.items():
        _write_setting(session, name, setting)
    if not differing:
        return None
    return _Difference(
        before=text({name: before[name] for name in differing}), after=text(differing), reached=[], reattribute=False
    )


def _record(session: Session, subject: str, difference: _Difference, now: datetime) -> None:
    _, dirty_from, dirty_to = book_hours.covered(session, difference.reached)
    session.do(
        "INSERT INTO book.change VALUES ($now, $subject, $before, $after, $dirty_from, $dirty_to)",
        {"now": now, "subject": subject, "before": difference.before, "after": difference.after,
         "dirty_from": dirty_from, "dirty_to": dirty_to},
    )  # fmt: skip
