"""The contract of a usage event in plain Python, written from its description: what the SQL has to agree with."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

COUNTS = {
    **dict.fromkeys(
        ("uncached_input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens"),
        10_000_000_000,
    ),
    "requests": 1_000_000,
    "revision": 2**31 - 1,
}
TEXTS = {
    "event_id": 512,
    "source": 256,
    "model": 256,
    "provider": 256,
    "cluster": 256,
    "deployment": 256,
    "replica": 256,
    "principal": 512,
    "namespace": 256,
    "trace_id": 512,
    "session_id": 512,
    "response_id": 512,
    "call_id": 512,
    "status": 20,
    "usage_quality": 20,
    "tier": 256,
    "language": 256,
    "region": 256,
}
MEASURES = {"ttft_ms": "ttft_us", "duration_ms": "duration_us", "queue_ms": "queue_us"}
WORDS = {"status": ("success", "failed", "cancelled"), "usage_quality": ("reported", "estimated", "missing", "partial")}
DEFAULTS: dict[str, Any] = {"provider": "self", "status": "success", "usage_quality": "reported", "requests": 1}
TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,12}))?(?:Z|([+-])(\d\d):?(\d\d))", re.ASCII)


class BadError(Exception):
    """The record breaks the contract."""


def landed(line: bytes, *, now: datetime, oldest: datetime, tags: frozenset[str]) -> dict[str, Any] | None:
    """The event that a line is, with every default; None where it has to be rejected."""
    try:
        return _event(line, now, oldest, tags)
    except BadError:
        return None


def _read(text: str) -> Any:
    """JSON, but that a comma before a closing bracket is overlooked: it changes nothing of what is said."""
    try:
        return json.loads(text, parse_float=Decimal)
    except json.JSONDecodeError as error:
        comma = error.pos if text[error.pos : error.pos + 1] == "," else len(text[: error.pos].rstrip()) - 1
        if text[comma : comma + 1] != "," or text[comma + 1 :].lstrip()[:1] not in {"}", "]"}:
            raise
        return _read(text[:comma] + text[comma + 1 :])


def _event(  # noqa: C901 - the contract has that many rules
    line: bytes, now: datetime, oldest: datetime, tags: frozenset[str]
) -> dict[str, Any]:
    try:
        found = _read(line.decode())
    except ValueError:
        raise BadError from None
    if not isinstance(found, dict):
        raise BadError
    event: dict[str, Any] = {}
    for name, most in TEXTS.items():
        event[name] = _text(found.get(name), most)
    for name in ("event_id", "source", "model"):
        if not event[name]:
            raise BadError
    for name, words in WORDS.items():
        if found.get(name) is not None and event[name] not in words:
            raise BadError
    for name in ("trace_id", "session_id"):
        event[name] = event[name] or None
    for name in ("response_id", "call_id"):
        del event[name]  # kept as digests, which `Desk.names` shows
    for name, most in COUNTS.items():
        event[name] = _count(found.get(name), most, DEFAULTS.get(name, 0))
    for name, column in MEASURES.items():
        event[column] = _microseconds(found.get(name))
    for name in ("provider", "status", "usage_quality"):
        event[name] = event[name] or DEFAULTS[name]
    event["tags"] = _tags(found.get("tags"), tags)
    event["occurred_at"] = min(_time(found.get("occurred_at"), now, oldest), now).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return event


def _text(value: object, most: int) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > most or any(ord(c) < 32 or ord(c) == 127 for c in value):
        raise BadError
    return value


def _count(value: object, most: int, default: int) -> int:
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise BadError
    return value


def _microseconds(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int | Decimal) or isinstance(value, bool) or value < 0 or value >= 10**15:
        raise BadError
    return int((Decimal(value)).quantize(Decimal("0.001"), ROUND_HALF_UP) * 1000)


def _tags(value: object, allowed: frozenset[str]) -> str:
    if value is None:
        return "{}"
    if not isinstance(value, dict) or len(value) > 64:
        raise BadError
    kept = {key: _text(text, 256) for key, text in sorted(value.items()) if key in allowed and text is not None}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


def _time(value: object, now: datetime, oldest: datetime) -> datetime:
    found = TIME.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise BadError
    day, clock, fraction, sign, hours, minutes = found.groups()
    try:
        instant = datetime.fromisoformat(f"{day}T{clock}.{(fraction or '').ljust(6, '0')[:6]}+00:00")
        if sign:
            if int(hours) > 23 or int(minutes) > 59:
                raise BadError
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            instant = instant - offset if sign == "+" else instant + offset
    except (ValueError, OverflowError):
        raise BadError from None
    if not oldest <= instant <= now + timedelta(days=1):
        raise BadError
    return instant.astimezone(UTC)
