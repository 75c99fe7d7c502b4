"""What every format of logged answers keeps to: golden records, no words kept, nothing that stops a batch."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.formats import answers
from ingest.formats.anthropic import ANTHROPIC
from ingest.formats.bedrock import BEDROCK
from ingest.formats.cohere import COHERE
from ingest.formats.gemini import GEMINI
from ingest.formats.litellm_spend import LITELLM_SPEND
from ingest.formats.native import Native
from ingest.formats.openai import OPENAI, OPENAI_BATCH
from ingest.formats.sglang import SGLANG
from tests.frozen import FrozenClock
from tests.thorough import times
from tests.unit.ingest.desk import NOON, Desk

GOLDEN = Path(__file__).parents[2] / "golden" / "formats"
FORMATS = (OPENAI, OPENAI_BATCH, ANTHROPIC, GEMINI, BEDROCK, COHERE, SGLANG, LITELLM_SPEND)
EVERY = pytest.mark.parametrize("format_", FORMATS, ids=lambda one: one.name)
AT = "2026-10-15T11:00:00Z"


def records(format_: Native) -> list[dict[str, Any]]:
    """The golden records of a format."""
    return [json.loads(line) for line in (GOLDEN / f"{format_.name}.ndjson").read_text().splitlines()]


@EVERY
def test_golden_records(desk: Desk, golden: Callable[[str, str], None], format_: Native) -> None:
    """What becomes of each of them, field by field; the review of a change is the diff of these files."""
    desk.formats[format_.name] = format_
    outcome = desk.read(GOLDEN / f"{format_.name}.ndjson", format_.name)
    rows = [json.dumps(row) for row in desk.events()]

    assert outcome.received == outcome.landed
    golden(f"formats/{format_.name}_landed.ndjson", "\n".join(rows) + "\n")


@EVERY
def test_the_quarantine_keeps_no_words_and_no_person(desk: Desk, format_: Native) -> None:
    """Of rejected records only the values that are read are kept; keeping them again changes nothing."""
    desk.formats[format_.name] = format_
    desk.rules = type(desk.rules)(oldest=NOON, tags=desk.rules.tags, sample_hold=timedelta(seconds=120))
    outcome = desk.hand_in(*records(format_), format_name=format_.name)
    kept = [bytes(one) for one in desk.rejections("bytes")]

    assert (outcome.rejected, len(kept)) == (outcome.received, outcome.received)
    for one in kept:
        assert not [
            word for word in (b"nobody may keep", b"somebody@", b"spoofed", b"cust-881", b"10.20.3.4") if word in one
        ]
        assert format_.kept(one, b"", desk.rules.tags) == one


@EVERY
def test_what_is_kept_of_a_rejected_record_lands_once_it_may(desk: Desk, format_: Native) -> None:
    """Everything that is read was kept: the replayed events are those that the records would have been."""
    desk.formats[format_.name] = format_
    desk.clock = FrozenClock(NOON - timedelta(days=3))
    desk.hand_in(*records(format_), format_name=format_.name)
    assert desk.events() == []
    desk.clock = FrozenClock(NOON)
    desk.replay()
    replayed = desk.events()
    again = desk.hand_in(*records(format_), format_name=format_.name)

    assert (again.duplicates, again.conflicts, desk.events()) == (len(records(format_)), 0, replayed)


@EVERY
def test_no_time_is_invented(desk: Desk, format_: Native) -> None:
    """A record without a time lands nowhere, and its rejection says what to send."""
    desk.formats[format_.name] = format_
    desk.hand_in(*(untimed(one) for one in records(format_)), format_name=format_.name)

    assert desk.events() == []
    for reason, detail in desk.rejections("reason", "detail"):
        assert (reason, "absent" in detail) in {("bad_time", True), ("missing_field", True)}
        assert reason == "missing_field" or answers.TIME_FORM in detail


def untimed(record: Any) -> Any:
    """A record without anything that says when."""
    times = {"time", "timestamp", "created", "created_at", "completed_at", "createTime", "processed_time", "date", "endTime",
             "response_sent_to_client_ts"}  # fmt: skip
    if isinstance(record, dict):
        return {key: untimed(value) for key, value in record.items() if key not in times}
    return record


def test_each_record_is_signed_by_its_own_format_only() -> None:
    """So that `--format auto` recognises it; Anthropic's answer to InvokeModel is Anthropic's, wherever it was served."""

    def has(record: Any, keys: tuple[str, ...]) -> bool:
        return not keys or (isinstance(record, dict) and keys[0] in record and has(record[keys[0]], keys[1:]))

    for format_ in FORMATS:
        for one in FORMATS:
            signed = [
                any(all(has(record, keys) for keys in way) for way in one.signatures)
                for record in records(format_)
                if "msg_bdrk_1" not in json.dumps(record)
            ]
            assert any(signed) == (one is format_), (format_.name, one.name)


ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, "", " ", "x", "'; --", "\\", "\ud800", "é" * 600, "1e5", "-0", 0, -1, 10**20, 10**38, 10**400, 1.5, 1e308, -1e-300,
     [], [1], {}, {"a": {"b": []}}]
)  # fmt: skip


@EVERY
@settings(max_examples=times(2), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_value_of_any_field_stops_a_batch(desk: Desk, format_: Native, data: st.DataObject) -> None:
    """Whatever stands where: the record lands or is rejected, and the sound one beside it lands."""
    desk.formats[format_.name] = format_
    paths = [*format_.found.values(), *(keys for places in format_.tags.values() for keys in places), *format_.labels]
    places = st.sampled_from([keys[:length] for keys in paths for length in range(1, len(keys) + 1)])
    changes = data.draw(
        st.lists(st.lists(st.tuples(places, ODD), min_size=1, max_size=3), min_size=1, max_size=30), label="changes"
    )
    sound = records(format_)
    made = []
    for number, change in enumerate(changes):
        one = copy.deepcopy(sound[number % len(sound)])
        for keys, value in change:
            inner: Any = one
            for key in keys[:-1]:
                inner = inner.setdefault(key, {}) if isinstance(inner, dict) else None
            if isinstance(inner, dict):
                inner[keys[-1]] = copy.deepcopy(value)
        made.append(one)
    known = set(desk.events("event_id"))
    outcome = desk.hand_in(*made, sound[0], format_name=format_.name)

    assert outcome.received == len(made) + 1
    assert known <= set(desk.events("event_id"))
    assert desk.count("raw.usage_event") >= 1
