"""What the quarantine may keep of a JSON record: the fields that are read, and nothing else that a sender put beside them.

Requests carry prompts, answers and people's names, and a record is rejected before anyone looked at it. So of a record
that parses, other fields and tags that are not allowed are taken out; of bytes that do not parse, only what reads as
known fields from their beginning is kept.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping


class Number(str):
    """A JSON number as it was written; a float would change its digits."""

    __slots__ = ()


def parsed(record: bytes) -> dict[str, object] | None:
    """A JSON object, numbers as written and the first of doubled names, as DuckDB reads it; None for anything else."""
    try:
        found = json.loads(
            record.decode(),
            parse_float=Number,
            parse_int=Number,
            parse_constant=Number,
            object_pairs_hook=lambda pairs: dict(reversed(pairs)),
        )
    except (ValueError, RecursionError):
        return None
    return dict(reversed(found.items())) if isinstance(found, dict) else None


def member(name: str, value: object) -> str:
    """A JSON member whose value is a text, a number or a word; of nested values only their kind is shown."""
    shown = value if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict | list):
        shown = "{}" if isinstance(value, dict) else "[]"
    return f"{json.dumps(name, ensure_ascii=False)}:{shown}"


_RAW_KEY = re.compile(rb"Bearer[ \t]+([A-Za-z0-9._~+/=-]+)|\b(sk-[A-Za-z0-9._-]+)")


def sealed(record: bytes) -> bytes:
    """The same bytes with the SHA-256 of every raw key in its place, as landing keeps principals."""
    if b"Bearer" not in record and b"sk-" not in record:
        return record
    return _RAW_KEY.sub(lambda found: hashlib.sha256(found[1] or found[2]).hexdigest().encode(), record)


def canonical(record: bytes, fields: Collection[str], tags: Collection[str]) -> bytes | None:
    """What may be kept of a canonical record; its own bytes where nothing has to be taken out."""
    found = parsed(record)
    if found is None:
        return _readable(record, fields, tags)
    given = found.get("tags")
    others = {name: value for name, value in found.items() if name != "tags" or not isinstance(value, dict)}
    if _harmless(others, fields) and (not isinstance(given, dict) or _harmless(given, tags)):
        return record
    members = [member(name, value) for name, value in found.items() if name in fields and name != "tags"]
    if isinstance(given, dict) and "tags" in fields:
        members.append('"tags":{' + ",".join(member(tag, value) for tag, value in given.items() if tag in tags) + "}")
    elif "tags" in found and "tags" in fields:
        members.append(member("tags", given))
    return f"{{{','.join(members)}}}".encode(errors="replace")


def picked(
    record: bytes,
    paths: Collection[tuple[str, ...]],
    sealed: Mapping[tuple[str, ...], Callable[[str], str]] | None = None,
) -> bytes | None:
    """What may be kept of an object whose values are found at paths; its own bytes where nothing has to be taken out.

    Args:
        record: the object.
        paths: keys down to the values.
        sealed: paths of texts that may hold secrets, and what is kept instead of each.
    """
    found = parsed(record)
    if found is None:
        return None
    changed = _changed(found, sealed or {})
    if not changed and not _outside(found, (), set(paths)):
        return record
    kept: dict[str, object] = {}
    for path in paths:
        value, inner = changed.get(path, _at(found, path)), kept
        if value is not None:
            for key in path[:-1]:
                inner = inner.setdefault(key, {})  # type: ignore[assignment]
            inner[path[-1]] = _Leaf(value)
    return _text(kept).encode(errors="replace")


def _changed(
    found: dict[str, object], sealed: Mapping[tuple[str, ...], Callable[[str], str]]
) -> dict[tuple[str, ...], str]:
    """Texts that are not kept as they stand."""
    texts = {path: _at(found, path) for path in sealed}
    changes = {path: sealed[path](value) for path, value in texts.items() if isinstance(value, str)}
    return {path: value for path, value in changes.items() if value != texts[path]}


class _Leaf:
    """A value at the end of a path."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


def _outside(found: dict[str, object], above: tuple[str, ...], paths: set[tuple[str, ...]]) -> bool:
    """Whether an object holds anything that no path leads to, or more than one value where one leads to."""
    for name, value in found.items():
        path = (*above, name)
        if path in paths:
            if isinstance(value, dict | list):
                return True
        elif not isinstance(value, dict) or _outside(value, path, paths):
            return True
    return False


def _at(found: object, path: tuple[str, ...]) -> object:
    for key in path:
        if isinstance(found, dict):
            found = found.get(key)
        elif isinstance(found, list):
            found = found[int(key)] if key.isdecimal() and int(key) < len(found) else None
        else:
            return None
    return found


def _text(kept: dict[str, object]) -> str:
    return (
        "{"
        + ",".join(
            member(name, value.value)
            if isinstance(value, _Leaf)
            else f"{json.dumps(name, ensure_ascii=False)}:{_text(value)}"  # type: ignore[arg-type]
            for name, value in kept.items()
        )
        + "}"
    )


def _harmless(found: dict[str, object], names: Collection[str]) -> bool:
    return all(name in names and not isinstance(value, dict | list) for name, value in found.items())


_OPENING = re.compile(rb"\s*\{")
_MEMBER = re.compile(
    rb'\s*"(\w+)"\s*:\s*(?:"(?:[^"\\]|\\.)*"|-?[0-9][-+0-9.eE]*|true|false|null|(\{(?:[^"{}\\]|"[^"\\]*")*\}))\s*(?:,|\}\s*$)'
)
_TORN = re.compile(rb'\s*(?:"\w*|"(\w+)"\s*(?::\s*(?:"(?:[^"\\]|\\.)*\\?"?|[-+0-9.eE]*|[a-z]{0,5}))?)\s*$')
_TAG = re.compile(rb'"([^"\\]*)"\s*:')


def _readable(record: bytes, fields: Collection[str], tags: Collection[str]) -> bytes | None:
    """The known fields that bytes begin with; all of the bytes where they only end too early."""
    opening = _OPENING.match(record)
    if not opening:
        return None
    at = opening.end()
    while found := _MEMBER.match(record, at):
        name = found[1].decode()
        allowed = {tag.decode("utf-8", "replace") for tag in _TAG.findall(found[2] or b"")} <= set(tags)
        if name not in fields or (found[2] and (name != "tags" or not allowed)):
            return record[:at]
        at = found.end()
    torn = _TORN.match(record, at)
    return record if torn and (torn[1] or b"").decode() in {*fields, ""} - {"tags"} else record[:at]
