"""What the head of a request says, read strictly: anything that could be understood in two ways is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ingest.http.answers import Refusal, Scope
from ingest.http.bodies import too_large

JSON_TYPES: Final = (
    "application/json",
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
)
PROTOBUF_TYPE: Final = "application/x-protobuf"
ENCODINGS: Final = {"": "identity", "identity": "identity", "gzip": "gzip", "x-gzip": "gzip"}

_KEY: Final = re.compile(r"[\x21-\x7e]{1,256}")
_LENGTH: Final = re.compile(r"\d{1,18}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What was said before the body.

    Attributes:
        kind: content type in lower case, without parameters.
        encoding: identity or gzip.
        key: idempotency key, or empty.
        length: bytes of the body as announced; None where it arrives in chunks.
        expects: whether the sender waits to be told to go on.
    """

    kind: str
    encoding: str
    key: str
    length: int | None
    expects: bool


def values(scope: Scope, name: bytes) -> list[bytes]:
    """Every value of a header, whose name is in lower case."""
    return [value for header, value in scope["headers"] if header == name]


def head(scope: Scope, bytes_max: int, *, protobuf: bool) -> Head:
    """The head of a request that brings records.

    Args:
        scope: of ASGI.
        bytes_max: that a body may have.
        protobuf: whether the endpoint takes Protobuf beside JSON.

    Raises: Refusal where the type or encoding is not read here (415), the body is too large (413), or a header is not
        what it should be (400).
    """
    kind = _one(scope, b"content-type").partition(";")[0].strip().lower()
    taken = ("application/json", PROTOBUF_TYPE) if protobuf else JSON_TYPES
    if kind not in taken:
        raise Refusal(415, f"send `Content-Type: {taken[0]}` or `{taken[1]}`", accept=", ".join(taken))
    encoding = ENCODINGS.get(_one(scope, b"content-encoding").strip().lower())
    if encoding is None:
        raise Refusal(415, "send the body as it is, or in gzip", accept_encoding="gzip, identity")
    key = _one(scope, b"idempotency-key")
    if key and not _KEY.fullmatch(key):
        raise Refusal(400, "an Idempotency-Key is 1 to 256 visible ASCII characters")
    length = _one(scope, b"content-length")
    if length and not _LENGTH.fullmatch(length):
        raise Refusal(400, "Content-Length is no number")
    if length and int(length) > bytes_max:
        raise too_large(bytes_max)
    return Head(kind=kind, encoding=encoding, key=key, length=int(length) if length else None, expects=expects(scope))


def expects(scope: Scope) -> bool:
    """Whether the sender waits to be told to go on before it sends the body."""
    return any(value.strip().lower() == b"100-continue" for value in values(scope, b"expect"))


def _one(scope: Scope, name: bytes) -> str:
    found = values(scope, name)
    if len(found) > 1:
        raise Refusal(400, f"{name.decode()} is given more than once")
    return found[0].decode("latin-1") if found else ""
