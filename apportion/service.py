"""`serve`: the pipeline on a schedule, with a page for scrapers, until told to stop.

Nothing here decides anything about money; it wires the schedule, the pipeline and the listener together.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from datetime import datetime, timedelta

from apportion import __version__
from apportion.domain.errors import ApportionError, LedgerError
from apportion.domain.period import Period, month_of, next_month
from apportion.ledger.connection import read_only
from apportion.pipeline import Pipeline
from apportion.schedule import Job, Schedule, stopping_on_signals
from exporters import chargeback
from exporters.prometheus import Exposition
from exporters.scrape import Serving, serve_in_thread

log = logging.getLogger("apportion.service")

SETTLING_DAYS = 7
"""How long after its end a month's daily file is still written: late events may still reach it."""


class Service:
    """A pipeline at work.

    Attributes:
        exposition: what scrapers read.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.exposition = Exposition(pipeline.config.ledger.billing_currency, __version__)
        self._published = False
        self._failure = ""

    def run_until(self, stop: threading.Event) -> None:
        """Serve until the event is set; a run under way is finished first."""
        config = self._pipeline.config
        schedule = Schedule(
            [
                Job(name="meter", run=self.meter, every_seconds=config.schedule.meter_every_seconds),
                Job(name="chargeback", run=self.chargeback, daily_at=config.schedule.chargeback_at),
            ],
            self._pipeline.clock,
            self.record,
        )
        self._show_what_stands()
        listener = self.listen()
        log.warning(
            "serving /metrics on http://%s:%s, ledger %s", listener.host, listener.port, self._pipeline.ledger.path
        )
        try:
            schedule.run_until(stop)
        finally:
            listener.close()

    def listen(self) -> Serving:
        """Answer scrapes from now on."""
        http = self._pipeline.config.http
        where = http.metrics_listen or http.listen
        return serve_in_thread(where.host, where.port, self.exposition, self.readiness)

    def readiness(self) -> str:
        """Why this is not ready; empty when it is."""
        if not self._published:
            return self._failure or "nothing has been published yet; the first metering run is under way"
        return self._failure

    def meter(self) -> str:
        """Meter what is due and publish it."""
        report = self._pipeline.meter()
        self.exposition.update(self._pipeline.ledger.results)
        self._published = True
        refused = f", {len(report.refused)} refused: {next(iter(report.refused.values()))}" if report.refused else ""
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
        self.exposition.record(job, outcome, detail, started_at, seconds)
        self._pipeline.record(job, outcome, detail, started_at, seconds)

    def _show_what_stands(self) -> None:
        """Until the first run ends, scrapers see what the last process published."""
        try:
            self.exposition.update(self._pipeline.ledger.results)
        except LedgerError as error:
            log.info("nothing to show yet: %s", error)


def serve(pipeline: Pipeline) -> None:
    """Serve until SIGTERM or SIGINT; a second one leaves at once."""
    stop = threading.Event()
    with stopping_on_signals(stop):
        Service(pipeline).run_until(stop)
