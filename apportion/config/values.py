"""Single values as people write them: each becomes one exact value, or a ValueError that says how to write it."""

# ruff: noqa: TRY004 - a value of the wrong type is as wrong as any other, and one error carries all sentences

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections import Counter
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Final

from apportion.domain.money import NANO, NANO_MAX, nano
from apportion.domain.period import FOREVER, Period

BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""An open `effective_from`, where one is optional."""
AMOUNT_MAX: Final = NANO_MAX // NANO
DIGITS_MAX: Final = 15
"""Before the point: beyond it no figure of a fleet is meant, and exact arithmetic stays inside 128 bits."""
TEXT_MAX: Final = 1000
"""Characters of one name, pattern or template."""
SHOWN_MAX: Final = 80
"""Characters of a wrong value that a message repeats."""

_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EXAMPLE: Final = "2026-10-01T00:00:00Z"


def text(value: object) -> str:
    """A name or pattern: not blank, no control characters, no space around it."""
    if not isinstance(value, str):
        msg = f"is {kind(value)}; write a string in quotes"
        raise ValueError(msg)
    if not value.strip():
        msg = "is empty; write a name, or remove the key"
        raise ValueError(msg)
    if value != value.strip() or any(unicodedata.category(sign) == "Cc" for sign in value):
        msg = f"{value!r} has spaces around it or control characters in it; remove them"
        raise ValueError(msg)
    if len(value) > TEXT_MAX:
        msg = f"has {len(value)} characters; at most {TEXT_MAX} are kept, so shorten it"
        raise ValueError(msg)
    return value


def name(value: object) -> str:
    """A text that does not begin with `__`, which is kept for the system's own lines."""
    written = text(value)
    if written.startswith("__"):
        msg = f"{written!r} begins with __, which marks the system's own teams; choose another name"
        raise ValueError(msg)
    return written


def names(value: object) -> tuple[str, ...]:
    """A list of different names."""
    if not isinstance(value, list):
        msg = f'is {kind(value)}; write a list, such as ["a", "b"]'
        raise ValueError(msg)
    read = tuple(name(part) for part in value)
    twice = sorted(part for part, times in Counter(read).items() if times > 1)
    if twice:
        msg = f"names {', '.join(twice)} twice; write each once"
        raise ValueError(msg)
    return read


def texts(value: object, example: str) -> tuple[str, ...]:
    """A list of different texts, at least one; `example` is what such a list may look like."""
    if not isinstance(value, list) or not value:
        msg = f"is {'empty' if value == [] else kind(value)}; write a list, such as {example}"
        raise ValueError(msg)
    read = tuple(text(part) for part in value)
    twice = sorted(part for part, times in Counter(read).items() if times > 1)
    if twice:
        msg = f"names {', '.join(twice)} twice; write each once"
        raise ValueError(msg)
    return read


def integer(value: object, low: int, high: int) -> int:
    """An integer within bounds, both included."""
    if isinstance(value, bool) or not isinstance(value, int):
        msg = f"is {kind(value)}; write an integer from {low} to {high}"
        raise ValueError(msg)
    if not low <= value <= high:
        msg = f"is {value}; write an integer from {low} to {high}"
        raise ValueError(msg)
    return value


def exact(value: object, decimals: int) -> Decimal:
    """A number of zero or more, exactly as written, with at most so many decimals."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        msg = f'is {kind(value)}; write a number, such as "2.49"'
        raise ValueError(msg)
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        msg = f'is {shown(value)}; write digits and a point, such as "2.49"'
        raise ValueError(msg)
    number = Decimal(value)
    if not number.is_finite() or number < 0:
        msg = f"is {value}; write a finite number of zero or more"
        raise ValueError(msg)
    if number and number.adjusted() >= DIGITS_MAX:
        msg = f"is {value}, which has more than {DIGITS_MAX} digits before the point; write a smaller number"
        raise ValueError(msg)
    places = _decimals(number)
    if places > decimals:
        msg = f"is {value}, which has {places} decimals; at most {decimals} are kept, so round it"
        raise ValueError(msg)
    return number


def amount(value: object) -> int:
    """An amount of money of zero or more. Units: nano of the billing currency."""
    number = exact(value, 9)
    if number > AMOUNT_MAX:
        msg = f"is {number}; write an amount of at most {AMOUNT_MAX}, which is what one row can hold"
        raise ValueError(msg)
    return nano(number)


def currency(value: object) -> str:
    """A currency code of ISO 4217."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Z]{3}", value):
        msg = f'is {shown(value)}; write an ISO 4217 code in capitals, such as "USD"'
        raise ValueError(msg)
    return value


def instant(value: object) -> datetime:
    """A time with a zone, as TOML or RFC 3339 writes it, in UTC."""
    if isinstance(value, str):
        if not _RFC3339.fullmatch(value):
            msg = f"is {shown(value)}, which is not a time with a zone; write it as {_EXAMPLE}"
            raise ValueError(msg)
        try:
            value = datetime.fromisoformat(value.upper())
        except ValueError as error:
            msg = f"is {value!r}, which is no such time ({error}); write it as {_EXAMPLE}"
            raise ValueError(msg) from None
    if not isinstance(value, datetime):
        msg = f"is {kind(value)}; write a time with its zone, such as {_EXAMPLE}"
        raise ValueError(msg)
    if value.tzinfo is None:
        msg = f"is {value.isoformat()}, which has no zone; append Z for UTC, such as {_EXAMPLE}"
        raise ValueError(msg)
    if not BEGINNING.year < value.year < FOREVER.year:
        msg = f"is {value.isoformat()}; write a time after 1970 and before 9999 (leave effective_to out for no end)"
        raise ValueError(msg)
    return value.astimezone(UTC)


def loopback(host: str) -> bool:
    """Whether only programs of this machine reach a listener on a host or address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def kind(value: object) -> str:
    """What a TOML value is, in words."""
    names: list[tuple[type | tuple[type, ...], str]] = [
        (bool, "true or false"),
        (int, "an integer"),
        (Decimal, "a decimal"),
        (str, "a string"),
        (datetime, "a time"),
        (date, "a date without a time"),
        (time, "a time of day without a date"),
        (list, "a list"),
        (dict, "a table"),
    ]
    return next((words for types, words in names if isinstance(value, types)), type(value).__name__)


def shown(value: object) -> str:
    """A value that is wrong, as people wrote it where that is short, else what it is."""
    if isinstance(value, str):
        return repr(value if len(value) <= SHOWN_MAX else f"{value[: SHOWN_MAX - 1]}…")
    plain = isinstance(value, int | Decimal) and not isinstance(value, bool)
    return str(value) if plain and len(str(value)) <= SHOWN_MAX else kind(value)


def stamp(moment: datetime) -> str:
    """A time as the config writes it; sub-second digits only where there are any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def span(period: Period) -> str:
    """A range in words: `from A to B`, `from A on`, `until B`, `always`."""
    start = f"from {stamp(period.start)}" if period.start > BEGINNING else ""
    end = "on" if period.end >= FOREVER else f"to {stamp(period.end)}"
    if start:
        return f"{start} {end}"
    return "always" if period.end >= FOREVER else f"until {stamp(period.end)}"


def _decimals(number: Decimal) -> int:
    digits = number.as_tuple()
    exponent = digits.exponent if isinstance(digits.exponent, int) else 0
    places, mantissa = -exponent, list(digits.digits)
    while places > 0 and mantissa and mantissa[-1] == 0:
        mantissa.pop()
        places -= 1
    return max(0, places if mantissa else 0)
