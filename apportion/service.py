"""`serve`: records arrive, hours are metered on a schedule, scrapers are answered, until told to stop.

Nothing here decides anything about money; it wires the collectors, the schedule, the pipeline and the listeners together.

Stopping, in this order:

1. readiness says no, and requests that begin now are refused with Retry-After; *whoever sent them still has them*;
2. requests under way are answered after their commit, for a bounded time; the port is let go of;
3. each collector lands what it holds, in its own transactions, and leaves its source;
4. the run under way is finished, and how everything fared is written down.

A second signal ends the process wherever it is: *what was committed stays, and everything else is with its sender, or before
the position that the ledger remembers*.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from datetime import datetime, time, timedelta

from apportion import __version__
from apportion.domain.errors import ApportionError, HoursFailed, LedgerBroken, LedgerError
from apportion.domain.period import Period, month_of, next_month
from apportion.health import HealthLog
from apportion.intake import arriving
from apportion.ledger.connection import read_only
from apportion.listener import Listening, by_path, listen
from apportion.pipeline import Pipeline
from apportion.schedule import Job, Schedule, stopping_on_signals
from exporters import chargeback
from exporters.prometheus import Exposition
from exporters.scrape import PATHS, Scrape
from ingest.supervise import Supervisor

log = logging.getLogger("apportion.service")

SETTLING_DAYS = 7
"""How long after its end a month's daily file is still written: late events may still reach it."""


WATCH_SECONDS = 10.0
"""How often it is written down how the sources fare."""

FORGET_AT = time(3, 30)


class Service:
    """A pipeline at work.

    Attributes:
        exposition: what scrapers read.
        supervisor: of the sources.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._arriving = arriving(pipeline)
        self._log = HealthLog(pipeline.ledger)
        self.supervisor = Supervisor(self._arriving.collectors, pipeline.clock)
        self.exposition = Exposition(pipeline.config.ledger.billing_currency, __version__)
        self.exposition.resume(self._log.job_runs())
        self.exposition.show(self._log.arrivals())
        self._scrape = Scrape(self.exposition, self.readiness, self.troubles)
        self._published = False
        self._failure = ""
        self._broken = self._unwritable = ""

    def run_until(self, stop: threading.Event) -> None:
        """Serve until the event is set. Raises: LedgerBroken when the ledger gave up; a new process can go on."""
        schedule = self._schedule()
        self._show_what_stands()
        watched = threading.Event()
        watch = threading.Thread(target=self._watch, args=(watched, stop), name="watch", daemon=True)
        with contextlib.ExitStack() as stack:  # unwound from the last to the first
            stack.callback(self._arriving.app.close)
            stack.callback(self.write_down)
            stack.callback(_ended, watch)
            stack.callback(watched.set)
            stack.callback(self.supervisor.stop)
            for listener in self.listen():
                stack.callback(listener.close)
                log.warning("listening on http://%s:%s", listener.host, listener.port)
            stack.callback(self._drain)
            self.supervisor.start()
            self.write_down()
            watch.start()
            log.warning("serving ledger %s", self._pipeline.ledger.path)
            schedule.run_until(stop, leaving=stack.close)
        if self._broken:
            raise LedgerBroken(self._broken)

    def listen(self) -> list[Listening]:
        """Answer scrapes and take records from now on."""
        http = self._pipeline.config.http
        pages = dict.fromkeys(PATHS, self._scrape)
        first = listen(http.listen.host, http.listen.port, by_path(pages, self._arriving.app))
        if http.metrics_listen is None:
            return [first]
        try:
            return [first, listen(http.metrics_listen.host, http.metrics_listen.port, self._scrape)]
        except BaseException:
            first.close()
            raise

    def readiness(self) -> str:
        """Why this is not ready; empty when it is. A source that fails is no reason: the others are served."""
        if self._arriving.app.draining:
            return "stopping"
        if self._unwritable:
            return self._unwritable
        if not self._published:
            return self._failure or "nothing has been published yet; the first metering run is under way"
        return self._failure

    def troubles(self) -> str:
        """Sources that fail, and why: for people who look at readiness; a line each."""
        failing = [one for one in self.supervisor.conditions() if one.state == "failing"]
        return "".join(
            f"source {one.name} fails since {one.since:%Y-%m-%dT%H:%M:%SZ}: {one.last_error}\n" for one in failing
        )

    def write_down(self) -> None:
        """Remember in the ledger how the sources fare and how requests were answered, and show it."""
        answered = self._arriving.app.responses.drain()
        try:
            self.exposition.show(self._log.write(self.supervisor.conditions(), answered))
            self._unwritable = ""
        except LedgerError as error:
            self._arriving.app.responses.restore(answered)
            self._unwritable = f"the ledger cannot be written: {error}"
            if isinstance(error, LedgerBroken):
                self._broken = str(error)
            log.warning("how the sources fare could not be written down: %s", error)

    def _watch(self, done: threading.Event, stop: threading.Event) -> None:
        while not done.wait(WATCH_SECONDS):
            try:
                self.write_down()
            except Exception:
                log.exception("how the sources fare could not be written down")
            if self._broken:
                stop.set()

    def _drain(self) -> None:
        self._arriving.app.draining = True

    def _schedule(self) -> Schedule:
        config = self._pipeline.config.schedule
        jobs = [
            Job(name="meter", run=self.meter, every_seconds=config.meter_every_seconds),
            Job(name="chargeback", run=self.chargeback, daily_at=config.chargeback_at),
            Job(name="forget", run=self._pipeline.forget, daily_at=FORGET_AT),
        ]
        return Schedule(jobs, self._pipeline.clock, self.record)

    def meter(self) -> str:
        """Meter what is due and publish it. Raises: HoursFailed where hours could not be computed, once all others are published."""
        report = self._pipeline.meter()
        self.exposition.update(self._pipeline.ledger.results)
        self._published = True
        refused = f", {len(report.refused)} refused: {next(iter(report.refused.values()))}" if report.refused else ""
        if report.failed:
            first = min(report.failed)
            raise HoursFailed(
                f"{report.hours} hours metered, {len(report.failed)} could not be computed, from {first:%Y-%m-%dT%H:%MZ} on: "
                f"{report.refused[first]}"
            )
        return f"{report.hours} hours metered{refused}"

    def chargeback(self) -> str:
        """Write the chargeback file of the month, and of the one before while late events may still reach it."""
        config, now = self._pipeline.config, self._pipeline.clock.now()
        written = []
        with contextlib.closing(read_only(self._pipeline.ledger.results)) as results:
            for start in sorted({month_of(now - timedelta(days=SETTLING_DAYS)), month_of(now)}):
                target = config.schedule.chargeback_dir / f"chargeback-{start:%Y-%m}.csv"
                try:
                    frame = chargeback.month_table(results, Period(start, next_month(start)), by=None, period="month")
                except ApportionError as error:
                    log.info("no chargeback file for %s: %s", start, error)
                    continue
                chargeback.write(frame, target, "csv")
                written.append(str(target))
        return f"wrote {', '.join(written)}" if written else "no month has charges yet"

    def record(self, job: str, outcome: str, detail: str, started_at: datetime, seconds: float) -> None:
        """Remember how a run ended: in the ledger, in the metrics, in readiness."""
        if job == "meter":
            self._failure = "" if outcome == "ok" else f"the last metering run {outcome}: {detail}"
        self._pipeline.record(job, outcome, detail, started_at, seconds)
        self.exposition.record(job, outcome, detail, started_at, seconds)

    def _show_what_stands(self) -> None:
        """Until the first run ends, scrapers see what the last process published."""
        try:
            self.exposition.update(self._pipeline.ledger.results)
        except LedgerError as error:
            log.info("nothing to show yet: %s", error)


def _ended(thread: threading.Thread) -> None:
    """Wait for the end of a thread, where it ever began: a port may have been taken before."""
    if thread.ident is not None:
        thread.join()


def serve(pipeline: Pipeline) -> None:
    """Serve until SIGTERM or SIGINT; a second one leaves at once."""
    stop = threading.Event()
    with stopping_on_signals(stop):
        Service(pipeline).run_until(stop)
