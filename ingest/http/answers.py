"""What requests are answered, and the calling convention of ASGI that answers go through."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from ingest.receipts import Receipt

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

REJECTIONS_SHOWN_MAX: Final = 100
"""The rest is counted, and all of them are in the quarantine."""

JSON: Final = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response, whole.

    Attributes:
        status: of HTTP.
        body: its bytes.
        kind: its content type.
        headers: further ones, in lower case.
    """

    status: int
    body: bytes
    kind: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


class Refusal(Exception):
    """A request that is not carried out, with the answer that says why.

    Attributes:
        answer: for the sender.
    """

    def __init__(self, status: int, sentence: str, *, retry_after: int = 0, **headers: str) -> None:
        """Headers are named with underscores; `retry_after` is in seconds, 0 for none."""
        said = [(name.replace("_", "-"), value) for name, value in headers.items()]
        if retry_after:
            said.append(("retry-after", str(retry_after)))
        super().__init__(f"{status}: {sentence}")
        self.answer = Answer(status=status, body=_text({"error": sentence}), headers=tuple(said))


def receipt_text(receipt: Receipt) -> str:
    """The answer to a landed request as JSON; records are numbered within its body, from 1."""
    part, outcome = receipt.part, receipt.outcome
    shown = receipt.rejections[:REJECTIONS_SHOWN_MAX]
    return _text(
        {
            "received": outcome.received,
            "accepted": outcome.landed,
            "duplicates": outcome.duplicates,
            "superseded": outcome.superseded,
            "conflicts": outcome.conflicts,
            "rejected": outcome.rejected,
            "rejections": [
                {"record": one.record - part.first_record, "reason": one.reason, "detail": one.detail} for one in shown
            ],
            "rejections_omitted": len(receipt.rejections) - len(shown),
        }
    ).decode()


NOTHING: Final = (
    '{"received":0,"accepted":0,"duplicates":0,"superseded":0,"conflicts":0,"rejected":0,"rejections":[],'
    '"rejections_omitted":0}'
)
"""The answer to a body without a record."""


def _text(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


async def deliver(send: Send, answer: Answer, *, head_only: bool = False, more: bool = False) -> None:
    """Send an answer, its body in one piece.

    Args:
        send: of ASGI.
        answer: the response.
        head_only: it answers a HEAD.
        more: leave the response open, so that what the sender still sends can be read before the connection ends.
    """
    headers = [
        (b"content-type", answer.kind.encode("ascii")),
        (b"content-length", str(len(answer.body)).encode("ascii")),
        *((name.encode("ascii"), value.encode("ascii")) for name, value in answer.headers),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    body = b"" if head_only else answer.body
    await send({"type": "http.response.body", "body": body, "more_body": more})
