"""The conformance table: for each format and canonical field where it is read from, as the formats themselves declare it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable

from ingest import registry
from ingest.formats.native import Keys, Native

MOST = 4
HEAD = """\
# Formats: what each says of a canonical field

Written by `make golden` from the formats' own declarations: change those, not this page. What no format says stays unknown, or
takes the contract's default. Token counts are disjoint here, whatever they are there. `usage`, `gpu` and `engine` are the canonical
records themselves, by the fields of the contract; OTLP is decoded by `otlp_*.py`; any other CSV or JSON a `[[sources]]` mapping
describes. `apportion ingest --format auto` recognises a file by the keys that are given for each.

Places that only choose among values are left out where there are values. `●` read or worked out from the record · `=` the same for every record · empty: unknown
"""


def names(sql: str) -> set[str]:
    """Words of an expression that are not inside its texts."""
    return set(re.findall(r"\b[A-Za-z_]\w*\b", re.sub(r"'(?:[^']|'')*'", "''", sql)))


def values(sql: str) -> set[str]:
    """The words that its value is made of: those of conditions only choose among values."""
    return names(
        re.sub(r"\bCASE\s+\w+\s+WHEN\b|\bWHEN\b.*?\bTHEN\b", " ", re.sub(r"'(?:[^']|'')*'", "''", sql), flags=re.DOTALL)
    )


def sources(format_: Native) -> dict[str, list[Keys]]:
    """Field -> the places that its value comes from, through every step, in the order of the declaration.

    Where no place gives a value, as for words that stand for what was found, they are those that choose it.
    """
    order = list(dict.fromkeys(format_.found.values()))
    behind: dict[str, set[Keys]] = {name: {keys} for name, keys in format_.found.items()}

    def places(sql: str) -> set[Keys]:
        given, all_ = (set().union(*(behind[name] for name in of(sql) if name in behind)) for of in (values, names))
        return given or all_

    for step in format_.steps:
        behind |= {name: places(sql) for name, sql in step.items()}
    return {field: sorted(places(sql), key=order.index) for field, sql in format_.fields.items()}


def constant(sql: str) -> str:
    """The text that an expression without places gives."""
    return next(iter(re.findall(r"'((?:[^']|'')*)'", sql)), sql).strip('"')


def shown(paths: Iterable[Keys]) -> str:
    """Places as one reads them, the first few of many; a key with dots stands in quotes, and N for a place in a list."""
    quoted = [["N" if key.isdecimal() else json.dumps(key) if "." in key else key for key in keys] for keys in paths]
    written = list(dict.fromkeys(f"`{'.'.join(keys)}`" for keys in quoted))
    more = f" and {len(written) - MOST} more" if len(written) > MOST else ""
    return ", ".join(written[:MOST]) + more


def cell(format_: Native, field: str, found: dict[str, list[Keys]]) -> tuple[str, str]:
    """A mark, and the places or the constant."""
    if field == "tags":
        of_tags = [f"`{tag}` of {shown(places)}" for tag, places in format_.tags.items()]
        labels = [f"members of {shown([keys])}" for keys in format_.labels]
        return ("●", "; ".join([*of_tags, *labels])) if of_tags or labels else ("", "")
    if field not in format_.fields:
        return "", ""
    return ("●", shown(found[field])) if found[field] else ("=", constant(format_.fields[field]))


def page() -> str:
    """The whole page."""
    known = [one for one in registry.BUILT_IN.values() if isinstance(one, Native)]
    found = {one.name: sources(one) for one in known}
    fields = list(dict.fromkeys(column for one in known for column in one.kind.columns))
    rows = [f"| field | {' | '.join(one.name for one in known)} |", f"|---{'|---' * len(known)}|"]
    rows += [f"| {field} | {' | '.join(cell(one, field, found[one.name])[0] for one in known)} |" for field in fields]
    parts = [HEAD, "\n".join(rows) + "\n"]
    for one in known:
        told = (
            " or ".join(" + ".join(shown([keys]) for keys in signature) for signature in one.signatures)
            or "nothing: it has to be named"
        )
        lines = [f"## {one.name}", "", f"Recognised by {told}.", "", "| field | from |", "|---|---|"]
        for field in one.kind.columns:
            mark, where = cell(one, field, found[one.name])
            if mark:
                lines.append(f"| {field} | {'always ' if mark == '=' else ''}{where} |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def test_golden_conformance_table(golden: Callable[[str, str], None]) -> None:
    """The page in the formats' folder says what the formats do; `make golden` writes it."""
    golden("../../ingest/formats/README.md", page())


def test_every_format_says_what_an_event_cannot_do_without() -> None:
    """Id, source, time and model come from somewhere in every format of usage events."""
    lacking = [
        f"{one.name}: {field}"
        for one in registry.BUILT_IN.values()
        if isinstance(one, Native) and one.kind.name == "usage"
        for field in ("event_id", "source", "occurred_at", "model")
        if not cell(one, field, sources(one))[0]
    ]

    assert not lacking, "\n".join(lacking)


def test_no_format_reads_money() -> None:
    """What somebody else thinks that a call cost, in dollars or in cents, is never a canonical field, and never looked for."""
    looked_for = [
        f"{one.name}: {'.'.join(keys)}"
        for one in registry.BUILT_IN.values()
        if isinstance(one, Native)
        for keys in one.found.values()
        if re.search(r"(^|_)(cost|spend|price)s?$|_usd$", keys[-1])
    ]

    assert not looked_for, "\n".join(looked_for)
