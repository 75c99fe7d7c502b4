"""What logged answers of models have in common: where in its line an answer stands, and what the log may say beside it.

A log line is the answer as the provider sent it, or an object that holds it as `response`. Beside it, at the top of the line,
whoever logs may write what an answer does not say: `time` (or `timestamp`) when it was complete, `model`, `id`, `provider`,
`principal`, `namespace`, `team`, `project`, other `tags` (an object), `trace_id`, `session_id`, `cluster`, `deployment`, `replica`,
`status`, `duration_ms`, `ttft_ms`. An answer without a time of its own is rejected where the line has none either: when it arrived here
says nothing about when it was made.

Identity is only what the log says. What an answer repeats of its request (`metadata`, `user`, …) the caller wrote: it is not
believed, and where it names who is to pay, that is counted (`claims.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from apportion.config.mapping import TimeSpec
from ingest.formats import conversions as to
from ingest.formats import dialects
from ingest.formats.native import Keys

PLACES: Final[tuple[Keys, ...]] = ((), ("response",))
"""Where an answer stands: it is the line, or `response` of it."""

BESIDE: Final[Mapping[str, Keys]] = {
    "logged": ("time",),
    "stamped": ("timestamp",),
    "caller": ("principal",),
    "home": ("namespace",),
    "trace": ("trace_id",),
    "conversation": ("session_id",),
    "upstream": ("provider",),
    "fleet": ("cluster",),
    "put": ("deployment",),
    "host": ("replica",),
    "took": ("duration_ms",),
    "first_after": ("ttft_ms",),
}
"""What the log may say at the top of a line."""

TAGS: Final[Mapping[str, tuple[Keys, ...]]] = {"team": (("team",),), "project": (("project",),)}
LABELS: Final[tuple[Keys, ...]] = (("tags",),)

_FORM: Final = "RFC 3339 text or epoch seconds"
TIME_FORM: Final = f"{_FORM} as `time` beside the answer, or {{'time': …, 'response': …}} around it"

_MILLISECONDS_FROM = "100000000000"
_SPECS = {
    form: TimeSpec(column="time", path=("time",), format=form, zone=None) for form in ("iso", "epoch_s", "epoch_ms")
}
_NUMBER = r"'[0-9]+(\.[0-9]+)?([eE]\+?[0-9]{1,2})?'"

_FAILED = frozenset({"failed", "failure", "error", "errored", "expired"})
_CANCELLED = frozenset({"cancelled", "canceled", "aborted", "abort"})
_DONE = frozenset({"success", "succeeded", "completed", "complete", "incomplete", "ok"})


def signed(*ways: tuple[Keys, ...]) -> tuple[tuple[Keys, ...], ...]:
    """Signatures of answers: as lines, and as `response` of a line that says when."""
    wrapped = [tuple(("response", *keys) for keys in way) for way in ways]
    return (*ways, *(((when,), *way) for when in ("time", "timestamp") for way in wrapped))


def spread(found: Mapping[str, Keys], places: Sequence[Keys] = PLACES) -> tuple[dict[str, Keys], dict[str, str]]:
    """Values that may stand in several places.

    Args:
        found: name of a value -> keys from a place down to it.
        places: the first that holds a value wins.

    Returns: names and keys for `Native.found`, and the step that gives each value its own name; where one is `response`, also
    `answer_id`.
    """
    spots = {f"{name}_{n}": (*place, *keys) for name, keys in found.items() for n, place in enumerate(places)}
    step = {name: f"coalesce({', '.join(f'{name}_{n}' for n in range(len(places)))}, NULL)" for name in found}
    if (
        "response" in found
    ):  # the innermost id is the answer's own: whoever called, passed it on or served it knows that one
        step["answer_id"] = f"coalesce({', '.join(f'response_{n}' for n in reversed(range(len(places))))}, NULL)"
    return spots, step


def moment(value: str) -> str:
    """A time: RFC 3339 text, or a number of epoch seconds; one too large for seconds is milliseconds."""
    late = f"TRY_CAST(trim({value}) AS DOUBLE) >= {_MILLISECONDS_FROM}"
    return (
        f"CASE WHEN NOT regexp_full_match(trim({value}), {_NUMBER}) THEN {to.time(value, _SPECS['iso'])} "
        f"WHEN {late} THEN {to.time(value, _SPECS['epoch_ms'])} ELSE {to.time(value, _SPECS['epoch_s'])} END"
    )


FIELDS: Final[Mapping[str, str]] = {
    "occurred_at": moment("complete_at"),
    "principal": to.quoted("caller"),
    "cluster": to.quoted("fleet"),
    "deployment": to.quoted("put"),
    "replica": to.quoted("host"),
    "namespace": to.quoted("home"),
    "trace_id": to.quoted("trace"),
    "session_id": to.quoted("conversation"),
    "response_id": to.quoted("answer_id"),
    "ttft_ms": to.number("first_after", "ms", "milliseconds"),
    "status": "ended_as",
    "duration_ms": to.number("took", "ms", "milliseconds"),
}
"""Canonical fields that are what the log says, unless a format knows more; `complete_at` and `ended_as` are steps of each format."""


def completed(*values: str) -> str:
    """The step `complete_at`: the first time there is. An answer without one is rejected, and told what to send."""
    return f"coalesce({', '.join(values)}, 'absent')"


def status(said: str, failed: str) -> str:
    """success, failed or cancelled; a word that nobody knows goes on as it stands.

    Args:
        said: text that the answer or the log calls its state.
        failed: whether the answer is an error.
    """
    return to.quoted(
        f"CASE WHEN {failed} OR {dialects.one_of(said, _FAILED)} THEN 'failed' "
        f"WHEN {dialects.one_of(said, _CANCELLED)} THEN 'cancelled' "
        f"WHEN {said} IS NULL OR {dialects.one_of(said, _DONE)} THEN 'success' ELSE {said} END"
    )


def quality(counts: Sequence[str], partial: str) -> str:
    """How counts are known: missing where there is none, partial where a condition says so or the call was given up."""
    return (
        f"CASE WHEN coalesce({', '.join(counts)}) IS NULL THEN '\"missing\"' "
        f"WHEN coalesce({partial}, false) OR ended_as = '\"cancelled\"' THEN '\"partial\"' END"
    )
