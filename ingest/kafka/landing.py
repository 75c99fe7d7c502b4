"""Land what readers fetched: one slice per format, the positions of all its partitions in the slice's transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from apportion.config.sources import KafkaSource
from apportion.domain.clock import Clock
from apportion.domain.errors import InputError
from apportion.ledger.connection import Ledger
from ingest.bench import Bench
from ingest.format import Format
from ingest.journal import StalePositionError
from ingest.kafka.pending import Claim, Delivery
from ingest.kafka.shares import Share, halves, shares, slice_of
from ingest.land import Lander
from ingest.outcome import Outcome
from ingest.rules import Rules

FindFormat = Callable[[str], Format | None]


class Landing:
    """Where the deliveries of one source are landed. One thread at a time."""

    def __init__(
        self,
        source: str,
        default: str,
        settings: KafkaSource,
        *,
        ledger: Ledger,
        find_format: FindFormat,
        rules: Rules,
        clock: Clock,
    ) -> None:
        """Nothing is held yet. Raises: InputError where a format of the source is none that messages can be in."""
        self._source, self._default, self._settings = source, default, settings
        self._ledger, self._find_format, self._rules, self._clock = ledger, find_format, rules, clock
        self._benches: list[Bench] = []
        self._landers: dict[str, tuple[Format, Lander]] = {}
        for name in (default, *settings.formats.values()):
            if self._format(name) is None:
                msg = f"source {source}: format {name!r} is not one that messages can be in, each by itself; choose another."
                raise InputError(msg)

    def close(self) -> None:
        """Remove the spools and let go of the sessions."""
        for bench in self._benches:
            bench.close()
            bench.session.close()

    def land(self, deliveries: Sequence[Delivery]) -> Outcome:
        """Commit what is still ours to commit.

        Each format is a transaction. A partition whose messages are of several formats moves with the last of them; a process
        that dies before reads the earlier ones again: it finds their events known, and rejects again what it rejected of them.
        A message that names a format which nobody knows is rejected in the transaction that moves its partition, as
        `unknown_format`; replaying leaves it alone, since which format its bytes are in cannot be told.

        Raises: LedgerError when a slice could not be committed; those before it were.
        """
        claims: dict[Claim, list[Delivery]] = {}
        for delivery in deliveries:
            claims.setdefault(delivery.claim, []).append(delivery)
        groups: dict[str, list[Share]] = {}
        for claim, mine in claims.items():
            usual = self._settings.formats.get(claim.place[0], self._default)
            for name, share in shares(claim, mine, usual, lambda name: self._lander(name) is not None).items():
                groups.setdefault(name, []).append(share)
        total = Outcome()
        for name in sorted(groups):
            self._land(name, groups[name], total)
        return total

    def _format(self, name: str) -> Format | None:
        """One that explains each message by itself; None where there is none of the name."""
        found = self._find_format(name)
        return found if found and found.stands_alone else None

    def _lander(self, name: str) -> tuple[Format, Lander] | None:
        """Of a format; None where messages cannot be in it. Names that mean nothing are not remembered: senders choose them."""
        if name in self._landers:
            return self._landers[name]
        format_ = self._format(name)
        if format_ is None:
            return None
        bench = Bench(self._ledger, format_.kind)
        self._benches.append(bench)
        stream = f"kafka:{self._source}"
        lander = Lander(self._ledger, format_, self._rules, self._clock, stream=stream, file=self._source, bench=bench)
        self._landers[name] = format_, lander
        return self._landers[name]

    def _land(self, name: str, together: Sequence[Share], total: Outcome) -> None:
        alive = [share for share in together if share.claim.is_alive]
        found = self._lander(name)
        if not alive or found is None:
            return
        format_, lander = found
        try:
            receipts = lander.land_parts(slice_of(alive, format_))
        except StalePositionError as error:
            for share in alive:
                if share.claim.stream == error.stream:
                    share.claim.is_alive, share.claim.is_stale = False, True
            self._land(name, alive, total)
        except InputError as error:  # records that cannot be told apart
            for half in halves(alive, str(error)):
                self._land(name, half, total)
        else:
            for share, receipt in zip(alive, receipts, strict=True):
                share.claim.landed = max(share.claim.landed, share.run.part.end)
                total.add(receipt.outcome)
