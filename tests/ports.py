"""Ports for programs that are told where to listen, and for addresses where nobody does.

A port that the system picks may be picked again before the program listens on it, or while the program is down: by a test that runs
beside, or as the near end of any connection. These lie below what Linux picks from (32768 and up), and each worker has its own.
"""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator

LOWEST, ABOVE = 20_000, 32_000


def _turns() -> Iterator[int]:
    """This worker's ports, over and over; runs beside one another begin in different places."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = range(LOWEST + worker, ABOVE, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
    first = os.getpid() * 97 % len(ports)
    return itertools.cycle([*ports[first:], *ports[:first]])


_ports = _turns()


def free_port() -> int:
    """A loopback port that nothing listens on now, and that nobody else is given while these tests run."""
    for port in itertools.islice(_ports, ABOVE - LOWEST):
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:  # somebody's own
            continue
    raise OSError(f"no port of {LOWEST}..{ABOVE - 1} is free")
