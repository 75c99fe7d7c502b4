"""How the stages are wired: one object per open ledger, one method per thing that happens to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from apportion.config.mapping import FORMATS
from apportion.config.model import Config
from apportion.config.sources import HTTP_SOURCE, Source
from apportion.domain.clock import Clock
from apportion.domain.errors import InputError, UsageError
from apportion.domain.period import Period
from apportion.ledger import book
from apportion.ledger.connection import Ledger, Session
from apportion.ledger.migrations import migrate
from apportion.prices import book as prices
from attribution.attribute import attribute, reattribute
from exporters import results
from ingest import registry
from ingest.bench import Bench
from ingest.files import Progress, ingest_file
from ingest.format import Format
from ingest.journal import forget_requests
from ingest.outcome import Outcome
from ingest.recognise import AUTO, recognise
from ingest.rejections import expire
from ingest.replay import replay as replay_rejections
from ingest.rules import Rules
from ingest.streams import source_of
from metering import phase_coefficients
from metering.meter import MeterReport, meter


@dataclass(slots=True)
class IngestReport:
    """What a command's files came to.

    Attributes:
        outcome: of all of them.
        notes: sentences about single files.
        unreadable: a sentence for each file that could not be read, or not to its end.
    """

    outcome: Outcome = field(default_factory=Outcome)
    notes: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


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
        if name in FORMATS:
            raise UsageError(f'write a [[sources]] table with format = "{name}", and name that table with --format.')
        if found is None:
            known = ", ".join(registry.names(self.config.mappings))
            raise UsageError(
                f"no format named {name!r}; there are {known}. Describe others as [[sources]] in the config."
            )
        return found

    def find_format(self, name: str) -> Format | None:
        """A format by name, or None."""
        return registry.find(name, self.config.mappings)

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

        Raises: UsageError when there is no such format; for `auto`, when a file's is not certain: then none is read.
        """
        report = IngestReport()
        chosen = (
            self._recognised(paths, report) if format_name == AUTO else dict.fromkeys(paths, self.format(format_name))
        )
        benches = {
            kind.name: Bench(self.ledger, kind)
            for kind in {one.kind.name: one.kind for one in chosen.values()}.values()
        }
        try:
            for path, format_ in chosen.items():
                told = progress(path) if progress else None
                try:
                    outcome, notes = ingest_file(
                        self.ledger,
                        path,
                        format_,
                        self.rules,
                        self.clock,
                        progress=told,
                        bench=benches[format_.kind.name],
                    )
                except InputError as error:
                    report.unreadable.append(str(error))
                    continue
                report.outcome.add(outcome)
                report.notes += notes
        finally:
            for bench in benches.values():
                bench.close()
        return report

    def _recognised(self, paths: Sequence[Path], report: IngestReport) -> dict[Path, Format]:
        """Files that hold something, each with the format that it is in; the report says which that is."""
        formats = [found for name in registry.names(self.config.mappings) if (found := self.find_format(name))]
        chosen, uncertain = {}, []
        for path in paths:
            try:
                format_ = recognise(path, formats)
            except InputError as error:
                report.unreadable.append(str(error))
            except UsageError as error:
                uncertain.append(str(error))
            else:
                report.notes.append(f"{path}: {'is empty' if format_ is None else f'read as {format_.name}'}.")
                if format_ is not None:
                    chosen[path] = format_
        if uncertain:
            raise UsageError("\n".join(uncertain))
        return chosen

    def live_rules(self, source: Source) -> Rules:
        """What is believed of a source that reports as things happen: nothing too late, and only who it may speak for."""
        late = timedelta(days=self.config.policy.late_limit_days)
        return replace(self.rules, late=late, sources=source.accepts)

    def replay(self) -> IngestReport:
        """Try the quarantine again with the formats as they are now."""
        outcome, notes = replay_rejections(self.ledger, self.find_format, self._rules_of, self.clock)
        return IngestReport(outcome, notes)

    def _rules_of(self, stream: str) -> Rules | None:
        """What is believed of a stream when it is replayed: whom its source may speak for, and any age."""
        name = source_of(stream)
        sources = [source for source in self.config.sources if source.name == name]
        if name is None:  # followed files do not name their source: whoever reads their format may have read them
            followed = stream.startswith("tail:")
            sources = [source for source in self.config.sources if followed and source.files]
        if name not in {None, HTTP_SOURCE} and not sources:
            return None
        believed = {glob for source in sources for glob in source.accepts}
        return replace(self.rules, sources=tuple(sorted(believed)) if all(one.accepts for one in sources) else ())

    def sync(self) -> book.SyncReport:
        """Bring the config into the book, and what follows from both: rooflines, and prices of the external models seen.

        Hours that any of it changes become dirty.
        """
        now = self.clock.now()
        with self.ledger.transaction() as session:
            report = book.sync(session, self.config, now)
            phase_coefficients.sync(session, now)
            repriced = prices.refresh(session, self.config, now)
        return replace(report, changed=report.changed or repriced > 0, dirty_hours=report.dirty_hours + repriced)

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

    def forget(self) -> str:
        """Let go of what is only kept for a time: bytes of rejections, answers to requests. Returns: what it came to."""
        expired, forgotten = expire(self.ledger, self.clock), forget_requests(self.ledger, self.clock)
        return f"{expired} rejections let go of their bytes, {forgotten} requests of their answers"

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
