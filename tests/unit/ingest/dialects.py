"""One true call, written as each system writes it, with what that system can say of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.unit.ingest.desk import NOON

KINDS = ("uncached_input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
ALL = frozenset({"principal", "trace_id", "session_id", "status", "duration_us", "ttft_us", *KINDS})
Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """A call as it was.

    Attributes:
        tokens: of the five kinds, beside one another.
        status: success, failed or cancelled.
        streamed: whether the answer came in pieces.
        ended_ms: before NOON, in milliseconds.
        took_ms: in all.
        first_ms: until the first token, no longer than it took in all.
        model: of the answer.
        who: whose key it was.
        name: of the record in its dialect.
    """

    tokens: tuple[int, int, int, int, int]
    status: str
    streamed: bool
    ended_ms: int
    took_ms: int
    first_ms: int
    model: str
    who: str
    name: str = ""

    @property
    def prompt(self) -> int:
        """All input."""
        return sum(self.tokens[:3])

    @property
    def completion(self) -> int:
        """All output."""
        return sum(self.tokens[3:])

    @property
    def epoch_ms(self) -> int:
        """When it was over."""
        return int(NOON.timestamp()) * 1000 - self.ended_ms

    @property
    def trace(self) -> str:
        """Its trace, 32 hexadecimal digits."""
        return f"{self.epoch_ms:032x}"

    def at(self, form: str = "%Y-%m-%dT%H:%M:%S.%fZ", before_ms: int = 0) -> str:
        """When it was over, or so long before that."""
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=self.epoch_ms - before_ms)).strftime(form)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """A way to write calls down.

    Attributes:
        form: the format that reads it; `traces` or `logs` for OTLP.
        write: a call as a record, or the attributes of a span.
        says: what it can say of a call. Counts that it cannot are inside those that it can.
        whole: whether it says enough for its counts to be called reported.
        can: which calls there can be in it at all.
    """

    form: str
    write: Callable[[Truth], Record]
    says: frozenset[str] = ALL
    whole: bool = True
    can: Callable[[Truth], bool] = lambda _: True

    def expected(self, truth: Truth) -> Record:
        """What a call reads back as."""
        told = {name: count for name, count in zip(KINDS, truth.tokens, strict=True) if name in self.says}
        tokens = {**dict.fromkeys(KINDS, 0), **told}
        tokens["uncached_input_tokens"] = truth.prompt - tokens["cache_read_tokens"] - tokens["cache_write_tokens"]
        tokens["output_tokens"] = truth.completion - tokens["reasoning_tokens"]
        streamed = truth.streamed and truth.status == "success"
        others: Record = {
            "principal": truth.who,
            "trace_id": truth.name if self.form == "apisix" else truth.trace,
            "session_id": f"session {truth.name}",
            "status": truth.status,
            "duration_us": truth.took_ms * 1000,
            "ttft_us": truth.first_ms * 1000 if streamed else None,
        }
        unknown = {"principal": "", "status": "success"}
        return {
            "model": truth.model,
            "occurred_at": truth.at(),
            **tokens,
            **{name: value if name in self.says else unknown.get(name) for name, value in others.items()},
        }


def without(*fields: str) -> frozenset[str]:
    """Everything but some fields."""
    return ALL - set(fields)


def beside(truth: Truth, **more: Any) -> Record:
    """What a log says beside an answer."""
    first = {"ttft_ms": truth.first_ms} if truth.streamed and truth.status == "success" else {}
    return {
        "id": truth.name,
        "model": truth.model,
        "time": truth.at(),
        "status": truth.status,
        "principal": truth.who,
        "trace_id": truth.trace,
        "session_id": f"session {truth.name}",
        "duration_ms": truth.took_ms,
        **first,
        **more,
    }


def http(truth: Truth) -> int:
    """Its HTTP status."""
    return {"success": 200, "failed": 503, "cancelled": 499}[truth.status]


def only(*statuses: str) -> Callable[[Truth], bool]:
    """Calls that ended so."""
    return lambda truth: truth.status in statuses


def renamed(truth: Truth, name: str) -> Truth:
    """The same call under another name."""
    return replace(truth, name=name)


def openai(truth: Truth, names: Mapping[str, str] | None = None) -> Record:
    """Usage in OpenAI's shape, its parts under other names where a speaker has such."""
    uncached, read, written, _, reasoned = truth.tokens
    part = {"written": "cache_write_tokens", "in": "prompt", "out": "completion"} | dict(names or {})
    return {
        f"{part['in']}_tokens": truth.prompt,
        f"{part['out']}_tokens": truth.completion,
        "total_tokens": truth.prompt + truth.completion,
        f"{part['in']}_tokens_details": {"cached_tokens": read, part["written"]: written, "audio_tokens": uncached // 2},
        f"{part['out']}_tokens_details": {"reasoning_tokens": reasoned},
    }  # fmt: skip


def messages(truth: Truth) -> Record:
    """Usage in Anthropic's shape."""
    uncached, read, written, _, reasoned = truth.tokens
    return {
        "input_tokens": uncached,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": written // 2, "ephemeral_1h_input_tokens": written - written // 2},
        "output_tokens": truth.completion,
        "output_tokens_details": {"thinking_tokens": reasoned},
    }  # fmt: skip
