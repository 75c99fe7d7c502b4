"""The receiver: one request at a time over one kept connection, and what its answer means.

Accepted is 2xx. To be tried again: no answer, 408, 425, 429, 5xx, and whatever says that the relay itself is not let in or sent
elsewhere (401, 403, 407, 3xx), because no request is at fault for that. Everything else is refused: this request will never be taken.
"""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import ssl
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from urllib.parse import urlsplit

from apportion.domain.clock import Clock
from apportion.domain.errors import UsageError
from ingest.relay.entries import Entry

TIMEOUT_SECONDS: Final = 60
"""Longer than a receiver under pressure takes to commit."""
ANSWER_BYTES_MAX: Final = 16 * 1024
RETRY_AFTER_SECONDS_MAX: Final = 300
_NOT_LET_IN: Final = {401, 403, 407}
_LATER: Final = {408, 425, 429}
_OK, _REDIRECTED, _WRONG, _BROKEN = 200, 300, 400, 500


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a delivery.

    Attributes:
        what: accepted, refused for good, or to be tried again.
        status: of the answer; 0 without one.
        said: the beginning of the answer, or why there is none.
        after_seconds: how long the receiver wants to be left alone; None where it did not say.
    """

    what: Literal["accepted", "refused", "again"]
    status: int
    said: str
    after_seconds: float | None = None


class Upstream:
    """Where deliveries go. One thread at a time."""

    def __init__(self, url: str, token: str | None, clock: Clock, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        """Nothing is connected yet.

        Args:
            url: `http://host:port` or `https://…`, perhaps with a path that goes before every other.
            token: bearer token, kept in memory only.
            clock: for a Retry-After that is a date.
            timeout_seconds: of one step of the conversation.

        Raises: UsageError when the URL is none of these.
        """
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        wrong = parts.scheme not in {"http", "https"} or not parts.hostname or port == -1 or parts.query
        if wrong or parts.username is not None:
            raise UsageError(
                "--to must be a URL such as http://apportion:8321, without user, query or token; see --token-env."
            )
        self._secure, self._host, self._port = parts.scheme == "https", str(parts.hostname), port
        self._prefix, self._token, self._clock, self._timeout = parts.path.rstrip("/"), token, clock, timeout_seconds
        self._connection: http.client.HTTPConnection | None = None

    def deliver(self, entry: Entry, key: str) -> Verdict:
        """Send a request once. Never raises but for a mistake of the program."""
        kept = self._connection is not None
        try:
            try:
                return self._send(entry, key)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                if not kept:
                    raise
                self.close()  # a kept connection that the receiver let go of meanwhile says nothing about it
                return self._send(entry, key)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Verdict("again", 0, f"no answer ({error or type(error).__name__})")

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _send(self, entry: Entry, key: str) -> Verdict:
        if self._connection is None:
            self._connection = self._connect()
        headers = {
            "Idempotency-Key": key,
            "Content-Type": entry.content_type,
            "Content-Encoding": entry.content_encoding,
        }
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        given = {name: value for name, value in headers.items() if value}
        self._connection.request("POST", self._prefix + entry.path, body=entry.body, headers=given)
        answer = self._connection.getresponse()
        said = answer.read(ANSWER_BYTES_MAX)
        if not answer.isclosed():
            self.close()  # the rest of a long answer is not waited for
        return self._judged(answer.status, said.decode("utf-8", "replace"), answer.getheader("Retry-After"))

    def _judged(self, status: int, said: str, after: str | None) -> Verdict:
        if _OK <= status < _REDIRECTED:
            return Verdict("accepted", status, said)
        if _WRONG <= status < _BROKEN and status not in _LATER | _NOT_LET_IN:
            return Verdict("refused", status, said)
        return Verdict("again", status, said, retry_after(after, self._clock.now()))

    def _connect(self) -> http.client.HTTPConnection:
        if self._secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After asks for, bounded; None where there is none or it says nothing."""
    seconds: float | None = None
    if value and value.strip().isdecimal():
        seconds = float(value.strip()[:9])
    elif value:
        with contextlib.suppress(ValueError, TypeError):
            seconds = (email.utils.parsedate_to_datetime(value) - now).total_seconds()
    return None if seconds is None else min(max(seconds, 0.0), RETRY_AFTER_SECONDS_MAX)
