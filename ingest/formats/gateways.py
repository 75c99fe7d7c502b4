"""What the formats of several gateways have in common: HTTP statuses, answers from a cache, and when a request was over.

A gateway writes what it saw of a call. Its own cache answers without a GPU, so such a call is a request without tokens. What
it says of money (in dollars here, in cents there) is never read: a call costs what the ledger's rates and prices say.
"""

from __future__ import annotations

import re

from ingest.formats import conversions as to

HOST = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#]*@)?([^/?#@]+)"
_DAY = {"ms": 86_400_000, "s": 86_400}
_NUMBER = "TRY_CAST({} AS DECIMAL(28, 9))"
_UTC = r"'\"\d{4}-\d\d-\d\dT[0-9:.]+Z\"'"
_RFC3339 = "'%Y-%m-%dT%H:%M:%S.%fZ'"


def address(base: str) -> str:
    """An address without the path, the query and the credentials that may stand in it."""
    found = re.match(HOST, base)
    return f"http://{found[1]}" if found else ""


def host(base: str) -> str:
    """SQL: host and port of an address, NULL where it has none."""
    return f"nullif(regexp_extract({base}, {to.text(HOST)}, 1), '')"


def status(code: str) -> str:
    """SQL: what an HTTP status says of a call; a client that hung up is 499. Unknown where there is no status."""
    number = f"TRY_CAST({code} AS INTEGER)"
    return f"CASE WHEN {number} = 499 THEN 'cancelled' WHEN {number} >= 400 THEN 'failed' WHEN {number} > 0 THEN 'success' END"


def outcome(said: str) -> str:
    """SQL: a status in words as it stands, an HTTP status as what it says; 0 is a client that left before there was one."""
    code = f"CASE WHEN regexp_full_match({said}, '0+') THEN 'cancelled' ELSE {status(said)} END"
    return f"CASE WHEN regexp_full_match({said}, '[0-9]{{1,3}}') THEN {code} ELSE {said} END"


def sound_span(elapsed: str, unit: str = "ms") -> str:
    """SQL: whether a span is that of one call: not negative, not beyond a day."""
    return f"coalesce({_NUMBER.format(elapsed)} BETWEEN 0 AND {_DAY[unit]}, false)"


def instant(time: str) -> str:
    """SQL: the TIMESTAMP of what `conversions.time` made; NULL for what that could not read."""
    text = f"substring({time}, 2, length({time}) - 3)"
    return f"CASE WHEN regexp_full_match({time}, {_UTC}) THEN TRY_CAST({text} AS TIMESTAMP) END"


def end_ms(started: str, elapsed: str) -> str:
    """SQL: epoch milliseconds when a call was over; its start where nobody knows how long it took."""
    end = f"({_NUMBER.format(started)} + {_NUMBER.format(elapsed)})::VARCHAR"
    return f"CASE WHEN {sound_span(elapsed)} THEN coalesce({end}, {started}) ELSE {started} END"


def end(started: str, elapsed: str) -> str:
    """SQL: the same for a start that `conversions.time` made; what it could not read goes on as it stands."""
    span = f"to_microseconds((TRY_CAST({elapsed} AS DECIMAL(28, 9)) * 1000)::BIGINT)"
    return (
        f"CASE WHEN {sound_span(elapsed)} AND {instant(started)} IS NOT NULL "
        f"THEN to_json(strftime({instant(started)} + {span}, {_RFC3339}))::VARCHAR ELSE {started} END"
    )


def milliseconds(value: str, only: str = "true", unit: str = "ms") -> str:
    """SQL: a duration in milliseconds; absent where it is none, or a condition does not hold."""
    return f"CASE WHEN {only} AND {sound_span(value, unit)} THEN {to.number(value, unit, 'milliseconds')} END"


def quality(hit: str, partial: str, *counts: str) -> str:
    """SQL: how counts are known: not at all without a positive one, in part where a condition holds."""
    counted = " OR ".join(f"coalesce(TRY_CAST({count} AS BIGINT) > 0, false)" for count in counts)
    return f"CASE WHEN {hit} THEN NULL WHEN NOT ({counted}) THEN '\"missing\"' WHEN {partial} THEN '\"partial\"' END"
