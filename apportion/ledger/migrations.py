"""Bring a ledger to this version: ordered SQL files, each applied in one transaction together with its own record."""

from __future__ import annotations

from importlib import resources

from apportion.domain.clock import Clock
from apportion.domain.errors import LedgerError
from apportion.ledger.connection import Ledger, Session


def available() -> list[tuple[int, str, str]]:
    """Every migration this version knows, as (version, name, SQL), ascending."""
    folder = resources.files("apportion.ledger") / "schema"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return [(int(f.name[:4]), f.name.removesuffix(".sql"), f.read_text(encoding="utf-8")) for f in files]


def migrate(ledger: Ledger, clock: Clock) -> int:
    """Apply what is missing. Returns: how many migrations ran.

    Raises: LedgerError when the ledger is newer than this program, or the file is some other database.
    """
    known = available()
    applied = _applied(ledger)
    newest = known[-1][0]
    if applied and max(applied) > newest:
        msg = (
            f"{ledger.path}: this ledger is at schema {max(applied)}, and this program knows up to {newest}; "
            "upgrade apportion, or restore a backup made before the newer version ran."
        )
        raise LedgerError(msg)
    missing = [migration for migration in known if migration[0] not in applied]
    for version, name, sql in missing:
        with ledger.transaction() as session:
            session.do(sql)
            session.do(
                "INSERT INTO ledger.migration VALUES ($version, $name, $now)",
                {"version": version, "name": name, "now": clock.now()},
            )
    return len(missing)


def _applied(ledger: Ledger) -> set[int]:
    session = ledger.session()
    if _has_migrations(session):
        return {row[0] for row in session.rows("SELECT version FROM ledger.migration")}
    if session.value("SELECT count(*) FROM information_schema.tables"):
        msg = f"{ledger.path}: this database was not made by apportion; point --ledger at a new or an apportion file."
        raise LedgerError(msg)
    return set()


def _has_migrations(session: Session) -> bool:
    return bool(
        session.value(
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'ledger' AND table_name = 'migration'"
        )
    )
