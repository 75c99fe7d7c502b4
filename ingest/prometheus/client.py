"""The one place that speaks HTTP to exporters and servers: one request at a time over one kept connection, bounded in time and size.

The standard library's client is enough for that: it needs no dependency, and a conversation that is read piece by piece can be held to
one deadline, where a timeout of single steps lets a peer drip for ever. Redirects are followed on the same host only: whoever answers
elsewhere was not named in the config, and must not get its credentials.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import socket
import ssl
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urljoin, urlsplit

from apportion.domain.errors import ApportionError

PAGE_BYTES_MAX: Final = 16 * 1024 * 1024
_CHUNK: Final = 64 * 1024
_REDIRECTS_MAX: Final = 3
_SAID_MAX: Final = 200
_REDIRECTED: Final = frozenset({301, 302, 303, 307, 308})
_OK: Final = 200
_PORTS: Final = {"http": 80, "https": 443}
_GZIP: Final = 31
"""zlib's word for data with gzip's header."""


class FetchError(ApportionError):
    """There is no answer to believe, and why.

    Attributes:
        status: of the answer; 0 without one.
        too_large: whether it was only too long.
    """

    def __init__(self, said: str, *, status: int = 0, too_large: bool = False) -> None:
        super().__init__(said)
        self.status, self.too_large = status, too_large


class Client:
    """A conversation with one host. One thread at a time, but for `abort`."""

    def __init__(
        self,
        url: str,
        *,
        seconds: float,
        authorization: str = "",
        ca_file: Path | None = None,
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is connected yet.

        Args:
            url: `http://host:port/path` or `https://…`; checked where the config is read.
            seconds: for one whole answer.
            authorization: value of that header; empty sends none.
            ca_file: PEM of who signs the host's certificate; None trusts the system's.
            stopwatch: tells the time since some moment, in seconds.
        """
        parts = urlsplit(url)
        self._scheme, self._host = parts.scheme, str(parts.hostname)
        self._port = parts.port or _PORTS[parts.scheme]
        self.path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._seconds, self._stopwatch = seconds, stopwatch
        self._headers = {
            "User-Agent": "apportion",
            "Accept-Encoding": "gzip",
            "Accept": "text/plain;version=0.0.4,*/*;q=0.1",
        }
        if authorization:
            self._headers["Authorization"] = authorization
        self._ca_file = ca_file
        self._connection: http.client.HTTPConnection | None = None

    def get(self, path: str, *, limit: int = PAGE_BYTES_MAX) -> bytes:
        """What a path answers with 200, unpacked. Raises: FetchError."""
        return self._asked("GET", path, None, limit)

    def post(self, path: str, form: str, *, limit: int) -> bytes:
        """What a form that only asks is answered with 200, unpacked. Raises: FetchError."""
        return self._asked("POST", path, form, limit)

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def abort(self) -> None:
        """End a conversation that another thread is in; that one raises."""
        connection = self._connection
        if connection and connection.sock:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def _asked(self, method: str, path: str, form: str | None, limit: int) -> bytes:
        deadline = self._stopwatch() + self._seconds
        kept = self._connection is not None
        try:
            try:
                return self._followed(method, path, form, limit, deadline)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                if not kept:
                    raise
                self.close()  # a kept connection that was let go of meanwhile says nothing; asking twice changes nothing
                return self._followed(method, path, form, limit, deadline)
        except FetchError:
            self.close()
            raise
        except TimeoutError as error:
            self.close()
            raise FetchError(f"gave no answer in {self._seconds:g} seconds") from error
        except ssl.SSLCertVerificationError as error:
            self.close()
            msg = f"shows a certificate that is not trusted ({error.verify_message}); write ca_file, the PEM of who signed it"
            raise FetchError(msg) from error
        except (OSError, http.client.HTTPException, zlib.error, ValueError) as error:
            self.close()
            raise FetchError(f"gave no answer ({_why(error)})") from error

    def _followed(self, method: str, path: str, form: str | None, limit: int, deadline: float) -> bytes:
        for _ in range(_REDIRECTS_MAX + 1):
            response = self._answer(method, path, form, deadline)
            if response.status not in _REDIRECTED:
                return self._body(response, limit, deadline)
            location = response.getheader("Location", "")
            self._drop(response)
            path = self._own_path(path, location)
        raise FetchError(f"redirects more than {_REDIRECTS_MAX} times; name the last address itself")

    def _answer(self, method: str, path: str, form: str | None, deadline: float) -> http.client.HTTPResponse:
        if self._connection is None:
            self._connection = self._connect()
        self._connection.timeout = self._left(deadline)
        if self._connection.sock is None:
            self._connection.connect()
        self._connection.sock.settimeout(self._left(deadline))
        headers = self._headers | ({"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {})
        self._connection.request(method, path, body=form, headers=headers)
        return self._connection.getresponse()

    def _own_path(self, path: str, location: str) -> str:
        """Where a redirect leads on this host. Raises: FetchError where it leads elsewhere."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        to = urlsplit(urljoin(f"{self._scheme}://{host}:{self._port}{path}", location))
        if not location or (to.scheme, to.hostname, to.port or _PORTS.get(to.scheme)) != (
            self._scheme,
            self._host,
            self._port,
        ):
            raise FetchError(
                f"redirects to {location[:_SAID_MAX]!r}, which is another place; name that one, if it is meant"
            )
        return (to.path or "/") + (f"?{to.query}" if to.query else "")

    def _body(self, response: http.client.HTTPResponse, limit: int, deadline: float) -> bytes:
        """The answer's body. Raises: FetchError unless it is 200 and within the limit."""
        if response.status != _OK:
            said = " ".join(self._read(response, _CHUNK, deadline, cut=True).decode("utf-8", "replace").split())[
                :_SAID_MAX
            ]
            refused = "; correct token, or username and password" if response.status in {401, 403} else ""
            raise FetchError(f"answers {response.status} {said}".rstrip() + refused, status=response.status)
        return self._read(response, limit, deadline)

    def _read(self, response: http.client.HTTPResponse, limit: int, deadline: float, *, cut: bool = False) -> bytes:
        packed = response.getheader("Content-Encoding", "").strip().lower() in {"gzip", "x-gzip"}
        unpacker = zlib.decompressobj(_GZIP) if packed else None
        chunks: list[bytes] = []
        size = 0
        while chunk := response.read1(_CHUNK):
            piece = unpacker.decompress(chunk, limit + 1 - size) if unpacker else chunk
            chunks.append(piece)
            size += len(piece)
            if size > limit or (unpacker and unpacker.unconsumed_tail):
                if cut:
                    break
                raise FetchError(f"has more than {limit} bytes, and no more are read", status=_OK, too_large=True)
            if self._connection and self._connection.sock:
                self._connection.sock.settimeout(self._left(deadline))
        if (response.length or (unpacker and not unpacker.eof)) and not cut:
            raise FetchError("ended before all of the answer had arrived")
        if response.length == 0:
            response.read()  # so that the connection knows that the next answer may come
        if not response.isclosed():
            self.close()
        return b"".join(chunks)

    def _drop(self, response: http.client.HTTPResponse) -> None:
        if response.read(_CHUNK) and not response.isclosed():
            self.close()

    def _left(self, deadline: float) -> float:
        left = deadline - self._stopwatch()
        if left <= 0:
            raise TimeoutError
        return left

    def _connect(self) -> http.client.HTTPConnection:
        if self._scheme == "https":
            context = ssl.create_default_context(cafile=self._ca_file)
            return http.client.HTTPSConnection(self._host, self._port, timeout=self._seconds, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=self._seconds)


def bearer(token: str) -> str:
    """The header's value for a token."""
    return f"Bearer {token}"


def basic(username: str, password: str) -> str:
    """The header's value for a user."""
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
