"""What a client fetched, as a delivery: without the headers and keys, and with what bounds need to know of it."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.gather import records_of
from ingest.kafka.member import Message
from ingest.kafka.pending import Claim, Delivery, bytes_of
from ingest.slices import MESSAGE_RECORDS_MAX

NAME_BYTES_MAX = 256
"""No format has a longer name: of a longer one only the beginning is held, to be shown."""

NAME_BYTES_SHOWN = 64


def delivery(claim: Claim, messages: Sequence[Message], header: str) -> Delivery:
    """Messages of a partition, in their order.

    Args:
        claim: under which they were fetched.
        messages: as the client gave them.
        header: which names a message's format.
    """
    values = [message.value for message in messages]
    formats: list[str | None] = []
    if any(message.headers for message in messages):
        formats = [_said(message, header) for message in messages]
    if not any(formats):
        formats = []
    return Delivery(
        claim=claim,
        offsets=[message.offset for message in messages],
        values=values,
        formats=formats,
        records=_records(values),
        bytes_held=bytes_of(values, formats),
    )


def _said(message: Message, header: str) -> str | None:
    """What a message says its format is; the last header of the name counts, as in Kafka itself."""
    found = [value for name, value in message.headers if name == header and value is not None]
    if not found:
        return None
    if len(found[-1]) > NAME_BYTES_MAX:
        return found[-1][:NAME_BYTES_SHOWN].decode("utf-8", "replace") + "…"
    return found[-1].decode("utf-8", "replace")


def _records(values: Sequence[bytes | None]) -> list[int]:
    """Of each message; empty where each is one line, which is one record. Too many are rejected as one."""
    unsure = [number for number, value in enumerate(values) if value and (value[:1] != b"{" or b"\n" in value)]
    if not unsure:
        return []
    counts = [1] * len(values)
    for number in unsure:
        found = len(records_of(values[number] or b""))
        counts[number] = found if 0 < found <= MESSAGE_RECORDS_MAX else 1
    return counts
