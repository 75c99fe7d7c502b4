"""One round: everything is sent while everything goes wrong; then it is drained, stopped, and looked at."""

from __future__ import annotations

import contextlib
import threading
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from kafka import TopicPartition
from kafka.admin import MemberToRemove
from kafka.errors import KafkaError

from tests.component.broker import Broker
from tests.e2e.fleets import toml
from tests.faults.storm.checks import check
from tests.faults.storm.fleet import BrokenPromise, Scraper, Serve, running, until
from tests.faults.storm.plan import PARTITIONS, Fault, Plan, plan
from tests.faults.storm.senders import Sending, intrude, pause, produce, request_all, write_log
from tests.faults.storm.world import HOURS, TRUSTED, Document
from tests.ports import free_port

DRAIN_SECONDS: Final = 60
TOKEN_OF: Final = ("STORM_TOKEN", "STORM_GUEST", "STORM_GUEST")
"""Which token each sender has: two of them are one source."""


class Round:
    """A round in a folder.

    Attributes:
        plan: what the seed says.
        took: seconds by what they were spent on.
    """

    def __init__(self, seed: int, folder: Path, broker: Broker, clockwork: Path | None) -> None:
        now = datetime.now(UTC)
        self.plan: Plan = plan(seed, now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS + 2))
        self.took: dict[str, float] = {}
        self._broker, self._folder, self._port, self._clockwork = broker, folder, free_port(), clockwork
        name = f"{seed}-{uuid4().hex[:6]}"
        self._usage, self._gpu, self._group = f"usage-{name}", f"gpu-{name}", f"group-{name}"
        self._began = 0.0

    def run(self) -> None:
        """Raises: BrokenPromise, AssertionError: something that must hold does not."""
        document = self._prepared()
        serve = Serve(self._folder, self._port, self._clockwork)
        with running(serve) as scraper:
            self._began = time.monotonic()
            try:
                self._storm(serve)
                self._lap("storm")
                until(serve.is_ready, "serve is ready")
                until(
                    lambda: serve.check_alive() or self._drained(scraper), lambda: self._waiting(scraper), DRAIN_SECONDS
                )
                self._lap("drain")
            finally:
                serve.set_clock(0)
            serve.term()
            scraper.stop()
            self._lap("stop")
        if scraper.faults:
            raise BrokenPromise("\n  ".join(["/metrics", *scraper.faults]))
        if scraper.pages < 3:
            raise BrokenPromise("/metrics was hardly ever answered")
        check(self._folder, self.plan, document, self._ends())
        self._lap("check")

    def _note(self, sentence: str) -> None:
        """Write down when something happened, for whoever looks at a round that failed."""
        with (self._folder / "diary").open("a", encoding="utf-8") as diary:
            diary.write(f"{time.monotonic() - self._began:6.2f} {sentence}\n")

    def _lap(self, what: str) -> None:
        self.took[what] = time.monotonic() - self._began - sum(self.took.values())

    def _prepared(self) -> Document:
        """Topics and config."""
        self._broker.create(self._usage, partitions=PARTITIONS)
        self._broker.create(self._gpu)
        (self._folder / "logs").mkdir()
        document = {**self.plan.document, **self._arrival()}
        (self._folder / "apportion.toml").write_text(toml(document), encoding="utf-8")
        return document

    def _arrival(self) -> Document:
        accepts = list(TRUSTED)
        kafka: dict[str, Any] = {
            "name": "bus",
            "collector": "kafka",
            "format": "usage",
            "brokers": [self._broker.address()],
            "topics": [self._usage, self._gpu],
            "formats": {self._gpu: "gpu"},
            "group": self._group,
            "batch_seconds": Decimal("0.1"),
            "consumers": 1 + self.plan.seed % 2,
            "accepts": accepts,
        }
        guest = {"collector": "http", "format": "usage", "accepts": accepts}
        senders = [{**guest, "name": token.lower(), "token": {"env": token}} for token in sorted(set(TOKEN_OF))]
        logs = {"name": "logs", "collector": "files", "format": "usage", "paths": ["logs/*.log*"], "poll_seconds": 1}
        return {
            "http": {"listen": f"127.0.0.1:{self._port}"},
            "schedule": {"meter_every_seconds": 1 + self.plan.seed // 2 % 2},
            "sources": [kafka, *senders, {**logs, "accepts": accepts}],
        }

    def _storm(self, serve: Serve) -> None:
        """Everybody sends, and everything goes wrong."""
        sending = Sending(self._note)
        if self.plan.seed % 5:  # in the others it starts in the middle of it
            until(serve.is_ready, "serve is ready")
        begun = time.monotonic()
        for number, batches in enumerate(self.plan.topic):
            sending.begin(
                f"topic {number}", lambda n=number, b=batches: produce(self._broker.address(), self._usage, n, b)
            )
        sending.begin("samples", lambda: produce(self._broker.address(), self._gpu, 0, self.plan.samples))
        for token, requests in zip(TOKEN_OF, self.plan.senders, strict=True):
            sending.begin(f"sender {token}", lambda t=token, r=requests: request_all(serve.url, t, r))
        for number, writings in enumerate(self.plan.logs):
            path = self._folder / "logs" / f"app{number}.log"
            sending.begin(path.name, lambda p=path, w=writings: write_log(p, w))
        for fault in self.plan.faults:
            pause(max(0, fault.at - (time.monotonic() - begun)))
            if fault.warm is not None:
                until(serve.is_ready, "serve is ready")
                pause(fault.warm)
            self._befall(fault, serve, sending)
        sending.finish(serve.check_alive)

    def _befall(self, fault: Fault, serve: Serve, sending: Sending) -> None:
        serve.check_alive()
        self._note(f"{fault.fate} begins")
        self._suffer(fault, serve, sending)
        self._note(f"{fault.fate} is over")

    def _suffer(self, fault: Fault, serve: Serve, sending: Sending) -> None:
        if fault.fate in {"kill", "kill in commit"}:
            serve.kill() if fault.fate == "kill" else serve.kill_in_commit(fault.extent)
            self._bury()
            pause(fault.extent)
            serve.start()
        elif fault.fate == "term":
            serve.term()
            pause(fault.extent)
            serve.start()
        elif fault.fate == "term twice":
            serve.term(again_after=fault.extent)
            self._bury()
            serve.start()
        elif fault.fate == "broker":
            self._broker.kill()
            pause(fault.extent)
            self._broker.start()
        elif fault.fate == "rebalance":
            topics = [self._usage, self._gpu]
            sending.begin("intruder", lambda: intrude(self._broker.address(), topics, self._group, fault.extent))
        elif fault.fate == "full disk":
            serve.full_disk()
            pause(fault.extent)
            serve.free_disk()
        elif self._clockwork:
            serve.set_clock(fault.extent)

    def _bury(self) -> None:
        """Tell the group that a killed member is gone, but in every fourth round, where it has to find out."""
        if self.plan.seed % 4 == 0:
            return
        with contextlib.suppress(KafkaError, KeyError, IndexError):
            found = self._broker.admin.describe_groups([self._group])
            members = [
                one["member_id"] for one in found[self._group]["members"] if one["client_id"].startswith("apportion")
            ]
            if members:
                self._broker.admin.remove_group_members(self._group, [MemberToRemove(member_id=one) for one in members])

    def _wanted(self) -> dict[str, int]:
        """Records by outcome, of all sources together: a topic carries both kinds."""
        ids, samples = len(self.plan.truth.versions), len(self.plan.truth.samples)
        return {
            "landed": ids + samples,
            "superseded": sum(map(len, self.plan.truth.versions.values())) - ids,
            "conflicts": len(self.plan.truth.twins),
            "rejected": sum(bool(one.bad) for records in self.plan.lanes.values() for one in records),
        }

    def _drained(self, scraper: Scraper) -> bool:
        """Everything is in, and what was published with that left no hour unmetered."""
        found = self._counted(scraper)
        arrived = all(found[name] >= value for name, value in self._wanted().items())
        return arrived and scraper.value("apportion_dirty_charge_periods") == 0

    def _counted(self, scraper: Scraper) -> dict[str, float]:
        return {name: scraper.value("apportion_ingest_events_total", outcome=name) for name in self._wanted()}

    def _waiting(self, scraper: Scraper) -> str:
        shown = ("apportion_job_runs_total", "apportion_source_up", "apportion_dirty_charge_periods")
        others = {series: value for series, value in scraper.seen.items() if series[0] in shown}
        return f"drained: {self._counted(scraper)} of {self._wanted()}, {others}"

    def _ends(self) -> dict[str, int]:
        places = [TopicPartition(self._usage, n) for n in range(PARTITIONS)] + [TopicPartition(self._gpu, 0)]
        return {f"{place.topic}/{place.partition}": end for place, end in _end_offsets(self._broker, places).items()}


def _end_offsets(broker: Broker, places: list[TopicPartition]) -> dict[TopicPartition, int]:
    from confluent_kafka import Consumer
    from confluent_kafka import TopicPartition as Place

    client = Consumer({"bootstrap.servers": broker.address(), "group.id": "looks-at-ends", "log_level": 0})
    try:
        return {one: client.get_watermark_offsets(Place(one.topic, one.partition), timeout=20)[1] for one in places}
    finally:
        client.close()


def threads_left() -> list[str]:
    """Names of threads that still run beside the main one."""
    return [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
