"""One true call, written in every dialect, lands as the same event, as far as the dialect can say it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from apportion.ledger.connection import Ledger
from ingest import registry
from ingest.formats.native import Native
from tests.blank import blank
from tests.frozen import FrozenClock
from tests.thorough import times
from tests.unit.ingest import telemetry
from tests.unit.ingest.desk import NOON, Desk
from tests.unit.ingest.dialects import KINDS, Dialect, Truth, renamed
from tests.unit.ingest.dialects_logs import ENVOY, LOGS
from tests.unit.ingest.dialects_otlp import OTLP
from tests.unit.ingest.test_conformance import cell, sources

RUNS = count()
COUNT = st.integers(0, 10**9) | st.integers(0, 3)
ABSENT = st.just(0) | COUNT


@st.composite
def truths(draw: st.DrawFn) -> Truth:
    """A call of any outcome, with its times in whole milliseconds."""
    took = draw(st.integers(2, 10**6))
    return Truth(
        tokens=draw(st.tuples(COUNT, ABSENT, ABSENT, ABSENT, ABSENT)),
        status=draw(st.sampled_from(["success", "success", "failed", "cancelled"])),
        streamed=draw(st.booleans()),
        ended_ms=draw(st.integers(0, 7 * 86_400_000)),
        took_ms=took,
        first_ms=draw(st.integers(1, took - 1)),
        model=draw(
            st.sampled_from(["llama-3.1-70b", "qwen/Qwen3 32B", "gpt-5.2", "claude-opus", "odd \"\\'; -- näme"])
        ),
        who=draw(st.sampled_from(["team-a", "4f" * 32, "é ü"])),
    )


@pytest.fixture(scope="module")
def dialects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One ledger for all examples."""
    folder = tmp_path_factory.mktemp("dialects")
    with Ledger(blank(folder / "apportion.duckdb")) as opened:
        desk = Desk(opened, FrozenClock(NOON), folder)
        desk.describe(ENVOY)
        desk.formats |= registry.BUILT_IN
        yield desk


def hand_in(desk: Desk, dialect: Dialect, calls: list[Truth], content_type: str) -> None:
    """Land calls as one of their systems' files or requests."""
    if dialect.form not in {"traces", "logs"}:
        desk.hand_in(*(dialect.write(call) for call in calls), format_name=dialect.form)
        return
    told = [(call, telemetry.attributes(dialect.write(call))) for call in calls]
    if dialect.form == "logs":
        made = [
            {"timeUnixNano": str(call.epoch_ms * 10**6), "traceId": call.trace, "attributes": said}
            for call, said in told
        ]
        telemetry.land(desk, "logs", telemetry.logs(*made), content_type)
        return
    spans = [
        telemetry.span(
            {},
            attributes=said,
            traceId=call.trace,
            startTimeUnixNano=str((call.epoch_ms - call.took_ms) * 10**6),
            endTimeUnixNano=str(call.epoch_ms * 10**6),
        )
        for call, said in told
    ]
    telemetry.land(desk, "traces", telemetry.spans(*spans), content_type)


def known(dialect: Dialect, call: Truth, found: Mapping[str, Any]) -> bool:
    """Whether an event claims no more of its counts than its dialect told: what nobody wrote down is never called reported."""
    quality = found["usage_quality"]
    if not sum(call.tokens):
        return quality in {"reported", "missing", "partial"} or call.status == "cancelled"
    if call.status == "cancelled":
        return quality in {"partial", "estimated"}
    return quality == ("reported" if dialect.whole else "partial")


@settings(
    max_examples=times(2),
    deadline=None,
    phases=[
        Phase.generate
    ],  # each example is a hundred files: shrinking one would take minutes, and its assertion names the record
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(truths(), min_size=30, max_size=50))
def test_one_true_call_reads_back_the_same_from_every_dialect(dialects: Desk, calls: list[Truth]) -> None:
    """Counts, outcome, times, model and names; what a dialect cannot say is unknown, and what it cannot tell apart is not made up."""
    run = next(RUNS)
    with dialects.ledger.transaction() as session:
        session.do("DELETE FROM raw.usage_event")
    written: dict[str, tuple[Dialect, Truth]] = {}
    for encoding, (name, dialect) in enumerate({**LOGS, **OTLP}.items()):
        able = [renamed(call, f"{name}-{run}-{number}") for number, call in enumerate(calls) if dialect.can(call)]
        written |= {call.name: (dialect, call) for call in able}
        if able:
            hand_in(dialects, dialect, able, (telemetry.JSON, telemetry.PROTOBUF)[encoding % 2])
    found = {row["event_id"].rpartition("/")[2].partition("@")[0]: row for row in dialects.events()}

    assert dialects.rejections("reason", "detail") == []
    for name, (dialect, call) in written.items():
        expected = dialect.expected(call)
        assert {field: found[name][field] for field in expected} == expected, name
        assert known(dialect, call, found[name]), (name, found[name]["usage_quality"])


def test_every_format_of_usage_is_among_the_dialects() -> None:
    """A new format is written here too, before it is believed."""
    read = {dialect.form for dialect in LOGS.values()}

    assert {name for name, format_ in registry.BUILT_IN.items() if format_.kind.name == "usage"} <= read


@pytest.mark.parametrize("name", [name for name, dialect in LOGS.items() if dialect.form != "canonical"])
def test_a_dialect_says_no_more_than_its_row_of_the_table(name: str) -> None:
    """What is read back here has its mark in the conformance table, and counts without one are inside others."""
    dialect = LOGS[name]
    format_ = registry.BUILT_IN.get(dialect.form)
    if not isinstance(format_, Native):
        assert dialect.form in {"usage", "envoy"}
        return
    columns = {"duration_us": "duration_ms", "ttft_us": "ttft_ms"}
    marked = {field for field in format_.kind.columns if cell(format_, field, sources(format_))[0]}

    assert {columns.get(field, field) for field in dialect.says} <= marked
    assert {"uncached_input_tokens", "output_tokens"} <= {*KINDS} & dialect.says
