"""Config values as plain tables and texts, to be printed; what is secret stays masked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime, time
from decimal import Decimal
from pathlib import Path

from apportion.config.environment import Secret, present
from apportion.config.values import BEGINNING, stamp
from apportion.domain import money
from apportion.domain.period import FOREVER, Period


def plain(value: object) -> object:
    """Dataclasses and mappings as dicts, sequences as lists, times and amounts as the config writes them."""
    if isinstance(value, Secret):
        return {"env": value.env, "value": "********" if present(value) else "(not set)"}
    if dataclasses.is_dataclass(value):
        return fields(value)
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    return _scalar(value)


def fields(record: object) -> dict[str, object]:
    """A dataclass's fields by name; a range becomes two, and nano an amount."""
    made: dict[str, object] = {}
    for field in dataclasses.fields(record):  # type: ignore[arg-type]
        value = getattr(record, field.name)
        if isinstance(value, Period):
            made["effective_from"] = None if value.start <= BEGINNING else stamp(value.start)
            made["effective_to"] = None if value.end >= FOREVER else stamp(value.end)
        elif field.name.endswith("_nano"):
            made[field.name.removesuffix("_nano")] = _amounts(value)
        else:
            made[field.name] = plain(value)
    return made


def _scalar(value: object) -> object:
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, time):
        return value.isoformat("minutes")
    return str(value) if isinstance(value, Path | Decimal) else value


def _amounts(value: int | Mapping[str, int]) -> str | dict[str, str]:
    return money.text(value) if isinstance(value, int) else {key: money.text(part) for key, part in value.items()}
