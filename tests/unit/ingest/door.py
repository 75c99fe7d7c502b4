"""Where tests send requests: the app on a real port, with sources that run, over a ledger in the test's own folder."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apportion.domain.clock import Clock
from apportion.ledger.connection import Ledger
from apportion.listener import Listening, listen
from ingest.http.app import Intake
from ingest.http.auth import Tokens
from ingest.http.collector import HttpCollector
from ingest.registry import find
from ingest.rules import Rules
from ingest.supervise import Health
from tests.unit.ingest.desk import RULES

TOKEN = "token-that-nobody-else-knows"
BODY_BYTES_MAX = 4 * 1024 * 1024


class Waking(Health):
    """Says when its source is open."""

    def __init__(self, name: str, clock: Clock) -> None:
        super().__init__(name, "http", clock)
        self.open = threading.Event()

    def alive(self) -> None:
        super().alive()
        self.open.set()


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Door:
    """A running app, and a client of it."""

    ledger: Ledger
    intake: Intake
    collectors: Sequence[HttpCollector]
    listening: Listening
    token: str = TOKEN
    sent: list[Reply] = field(default_factory=list)

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
        """One request over a connection of its own."""
        with contextlib.closing(
            http.client.HTTPConnection(self.listening.host, self.listening.port, timeout=60)
        ) as client:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            client.request(method, path, body, {name: value for name, value in named.items() if value})
            answer = client.getresponse()
            reply = Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        self.sent.append(reply)
        return reply

    def post(self, path: str, body: bytes | Mapping[str, Any] | Sequence[Any], **headers: str) -> Reply:
        """Send records; what is not bytes is sent as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        said = {"Content_Type": "application/json", "Authorization": f"Bearer {self.token}", **headers}
        return self.ask("POST", path, data, **said)

    def ids(self) -> list[str]:
        """Event ids that landed."""
        return [row[0] for row in self.ledger.session().rows("SELECT event_id FROM raw.usage_event ORDER BY ALL")]


@contextlib.contextmanager
def opened(
    ledger: Ledger,
    clock: Clock,
    *,
    collectors: Sequence[HttpCollector] | None = None,
    tokens: Tokens | None = None,
    rules: Rules = RULES,
    body_bytes_max: int = BODY_BYTES_MAX,
    pending_bytes_max: int = 16 * BODY_BYTES_MAX,
) -> Iterator[Door]:
    """A door whose sources run until the end."""
    running = collectors or [HttpCollector("gateway", ledger, rules, clock)]
    believed = tokens or Tokens({running[0].name: TOKEN}, open_to=None)
    intake = Intake(
        running,
        believed,
        lambda name: find(name, {}),
        body_bytes_max=body_bytes_max,
        pending_bytes_max=pending_bytes_max,
    )
    stop = threading.Event()
    healths = [Waking(one.name, clock) for one in running]
    threads = [
        threading.Thread(target=_run, args=(one, health, stop)) for one, health in zip(running, healths, strict=True)
    ]
    for thread in threads:
        thread.start()
    for health in healths:
        assert health.open.wait(30)
    try:
        with listen("127.0.0.1", 0, intake) as listening:
            yield Door(ledger, intake, running, listening)
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
        intake.close()


def _run(collector: HttpCollector, health: Health, stop: threading.Event) -> None:
    """As the supervisor does, without its backoff."""
    while not stop.is_set():
        try:
            collector.run(health, stop)
        except Exception as error:  # noqa: BLE001 - whatever it dies of
            health.failed(error)
