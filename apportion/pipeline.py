"""How the stages are wired: one object per open ledger, one method per thing that happens to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from apportion.config.model import Config
from apportion.domain.clock import Clock
from apportion.domain.errors import InputError, UsageError
from apportion.domain.period import Period
from apportion.ledger import book
from apportion.ledger.connection import Ledger, Session
from apportion.ledger.migrations import migrate
from attribution.attribute import attribute, reattribute
from exporters import results
from ingest.files import Progress, ingest_file
from ingest.format import Format
from ingest.formats.mapped import Mapped
from ingest.formats.ndjson import Ndjson
from ingest.kinds import KINDS
from ingest.outcome import Outcome
from ingest.replay import replay
from ingest.rules import Rules
from metering.meter import MeterReport, meter


@dataclass(slots=True)
class IngestReport:
    """What a command's files came to.

    Attributes:
        outcome: of all of them.
        notes: sentences about single files.
    """

    outcome: Outcome = field(default_factory=Outcome)
    notes: list[str] = field(default_factory=list)


class Pipeline:
    """Every stage over one open ledger."""

    def __init__(self, config: Config, ledger: Ledger, clock: Clock) -> None:
        self.config, self.ledger, self.clock = config, ledger, clock

    @classmethod
    def open(cls, config: Config, clock: Clock, *, path: Path | None = None, threads: int | None = None) -> Pipeline:
        """Open the ledger that the config (or `path`) names, at this version's schema.

        Raises: LedgerError when it is locked, damaged, newer or not a ledger.
        """
        ledger = Ledger(path or config.ledger.path, threads=threads)
        try:
            migrate(ledger, clock)
        except BaseException:
            ledger.close()
            raise
        return cls(config, ledger, clock)

    def close(self) -> None:
        """Let go of the ledger."""
        self.ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def format(self, name: str) -> Format:
        """A format by the name that `--format` takes. Raises: UsageError naming those there are."""
        found = self.find_format(name)
        if found is None:
            known = ", ".join([*KINDS, *(source.name for source in self.config.sources)])
            raise UsageError(
                f"no format named {name!r}; there are {known}. Describe others as [[sources]] in the config."
            )
        return found

    def find_format(self, name: str) -> Format | None:
        """A format by name, or None."""
        if name in KINDS:
            return Ndjson(name, KINDS[name])
        source = self.config.source(name)
        return Mapped(source) if source else None

    @property
    def rules(self) -> Rules:
        """What file ingest believes: an explicit backfill reaches back to the ledger's epoch."""
        return Rules(
            oldest=self.config.ledger.epoch,
            tags=self.config.tag_allow_list,
            sample_hold=timedelta(microseconds=self.config.policy.sample_hold_us),
        )

    def ingest(
        self, paths: Sequence[Path], format_name: str, *, progress: Callable[[Path], Progress] | None = None
    ) -> IngestReport:
        """Land files. One that cannot be read is noted and never stops the others.

        Raises: InputError, after all of them were tried, when some could not be read.
        """
        format_ = self.format(format_name)
        report, unreadable = IngestReport(), []
        for path in paths:
            try:
                outcome, notes = ingest_file(
                    self.ledger, path, format_, self.rules, self.clock, progress=progress(path) if progress else None
                )
            except InputError as error:
                unreadable.append(str(error))
                continue
            report.outcome.add(outcome)
            report.notes += notes
        if unreadable:
            landed = f" {report.outcome.landed} events of the other files have landed." if report.outcome.landed else ""
            raise InputError("\n".join(unreadable) + landed)
        return report

    def replay(self) -> IngestReport:
        """Try the quarantine again with the formats as they are now."""
        outcome, notes = replay(self.ledger, self.find_format, self.rules, self.clock)
        return IngestReport(outcome, notes)

    def sync(self) -> book.SyncReport:
        """Bring the config into the book; changed hours become dirty."""
        with self.ledger.transaction() as session:
            return book.sync(session, self.config, self.clock.now())

    def meter(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> MeterReport:
        """Sync the config, meter what is due, settle its months, and publish the results."""
        self.sync()
        limit = self.config.prometheus.max_label_sets

        def settle(session: Session, period: Period) -> None:
            attribute(session, period, self.clock, max_label_sets=limit)

        report = meter(self.ledger, self.clock, settle=settle, since=since, until=until, progress=progress)
        with self.ledger.transaction() as session:  # months that still follow another directory or policy
            reattribute(session, self.clock, max_label_sets=limit)
        self.publish()
        return report

    def publish(self) -> Path:
        """Publish the results, for everyone who reads while the ledger is in use."""
        return results.publish(self.ledger, self.clock)

    def record(self, job: str, outcome: str, detail: str, started_at: datetime, seconds: float) -> None:
        """Write down a run: when, what, and how it ended."""
        with self.ledger.transaction() as session:
            session.do(
                "INSERT INTO ledger.job_run VALUES ($job, $outcome, $detail, $started_at, $duration_us)",
                {
                    "job": job,
                    "outcome": outcome,
                    "detail": detail[:2000],
                    "started_at": started_at,
                    "duration_us": round(seconds * 1_000_000),
                },
            )


def timed(clock: Clock) -> tuple[datetime, Callable[[], float]]:
    """When something began, and a stopwatch for it."""
    began = time.perf_counter()
    return clock.now(), lambda: time.perf_counter() - began
