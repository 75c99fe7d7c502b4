"""`apportion relay`."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import logging
import threading
from collections.abc import Iterator

from apportion.cli.output import console, print_json
from apportion.config.environment import Secret, resolve
from apportion.domain.clock import SystemClock
from apportion.domain.errors import UsageError
from ingest.relay.delivery import Delivery
from ingest.relay.door import Door
from ingest.relay.entries import Refused
from ingest.relay.intake import PENDING_BYTES_MAX, Intake
from ingest.relay.spool import Spool
from ingest.relay.upstream import Upstream

PORT_MAX = 65_535

log = logging.getLogger("apportion.relay")


def run(options: argparse.Namespace) -> int:
    """Take in, keep and deliver until SIGTERM; or look after what was refused."""
    if options.list_refused or options.retry_refused or options.drop_refused:
        return _look_after(options)
    if not options.to:
        raise UsageError("name the receiver: `apportion relay --to http://apportion:8321`.")
    if not 0 < options.body_bytes_max <= min(PENDING_BYTES_MAX, options.spool_bytes_max):
        raise UsageError(
            f"--body-bytes-max must be from 1 to {min(PENDING_BYTES_MAX, options.spool_bytes_max)}, what the spool and memory hold."
        )
    host, port = _address(options.listen)
    token = resolve(Secret(options.listen_token_env)) if options.listen_token_env else None
    if token is None and not _is_loopback(host):
        raise UsageError(
            f"--listen {options.listen} is open to others; name the variable of a token with --listen-token-env."
        )
    clock = SystemClock()
    upstream = Upstream(options.to, resolve(Secret(options.token_env)) if options.token_env else None, clock)
    _serve(options, host, port, token, upstream)
    return 0


def _serve(options: argparse.Namespace, host: str, port: int, token: str | None, upstream: Upstream) -> None:
    """In the order of the guarantees: nothing is accepted before it can be kept, nothing is dropped while closing.

    1. The spool is opened, and kept to ourselves. 2. Delivery of what it holds begins. 3. Only then is anybody listened to.
    At the end: 4. Nobody is accepted any more, and answers under way are given. 5. What was submitted is committed.
    6. Delivery goes on for --drain-seconds; what is left stays in the spool for the next start.
    """
    from apportion.listener import listen
    from apportion.schedule import stopping_on_signals

    stop, clock = threading.Event(), SystemClock()
    spool = Spool(options.spool)
    with contextlib.ExitStack() as closing:
        closing.callback(spool.close)
        closing.enter_context(contextlib.closing(spool.alone()))
        delivery = Delivery(spool, upstream)
        intake = Intake(spool, bytes_max=options.spool_bytes_max, delivering=delivery.wake)
        door = Door(spool, intake, delivery, clock, token=token, body_bytes_max=options.body_bytes_max)
        with stopping_on_signals(stop):
            delivery.start()
            try:
                with listen(host, port, door) as listening:
                    log.warning(
                        "relaying http://%s:%s to %s, spool %s",
                        listening.host,
                        listening.port,
                        options.to,
                        options.spool,
                    )
                    stop.wait()
            finally:
                intake.close()
                delivery.drain(options.drain_seconds)
        left = spool.holding()
        if left.waiting:
            log.warning("%d requests stay in %s; the next start delivers them", left.waiting, options.spool)


def _look_after(options: argparse.Namespace) -> int:
    if not options.spool.exists():
        raise UsageError(f"--spool {options.spool}: there is no spool; name the one that the relay was started with.")
    with contextlib.closing(Spool(options.spool)) as spool:
        if options.retry_refused or options.drop_refused:
            count = spool.retry_refused() if options.retry_refused else spool.drop_refused()
            if options.json:
                print_json({"retried" if options.retry_refused else "dropped": count})
            else:
                print(f"{count} requests {'wait to be delivered again' if options.retry_refused else 'dropped'}")
            return 0
        found = spool.refused()
    if options.json:
        print_json({"refused": list(_rows(found))})
        return 0
    screen = console()
    for row in _rows(found):
        screen.print(" ".join(f"{name}={value}" for name, value in row.items()), markup=False)
    screen.print(f"{len(found)} requests were refused" if found else "nothing was refused")
    return 0


def _rows(found: list[Refused]) -> Iterator[dict[str, object]]:
    for one in found:
        yield {
            "entry": one.sequence,
            "received_at": one.received_at.isoformat(),
            "path": one.path,
            "body_bytes": one.body_bytes,
            "status": one.status,
            "answer": " ".join(one.answer.split()),
        }


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port[:6]) > PORT_MAX:
        raise UsageError(f"--listen {listen!r} must be HOST:PORT, such as 127.0.0.1:8322.")
    return host.strip("[]"), int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
