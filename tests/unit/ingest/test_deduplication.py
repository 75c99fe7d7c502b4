"""Delivered twice, in pieces, in another order, amended, contradicted: one event stays one event."""

from __future__ import annotations

import json

import pytest

from tests.unit.ingest.desk import Desk, event, sample

EVENTS = [
    event(f"e{number}", occurred_at=f"2026-10-15T{10 + number // 4}:{number % 4 * 15:02d}:00Z", output_tokens=number)
    for number in range(8)
]


def test_duplicate_delivery_changes_nothing(desk: Desk) -> None:
    """The same events in a file of another name, and doubled within it, land nothing and dirty no hour."""
    desk.hand_in(*EVENTS)
    before = desk.events()
    desk.clear_dirty()
    outcome = desk.hand_in(*EVENTS, *reversed(EVENTS))

    assert (outcome.received, outcome.duplicates, outcome.landed) == (16, 16, 0)
    assert (desk.events(), desk.dirty(), desk.count("raw.rejection")) == (before, [], 0)


def test_duplicates_within_a_batch_land_once(desk: Desk) -> None:
    """Counted as one event and the rest as duplicates."""
    outcome = desk.hand_in(EVENTS[0], EVENTS[1], EVENTS[0], EVENTS[0])

    assert (outcome.landed, outcome.duplicates) == (2, 2)
    assert desk.events("event_id") == ["e0", "e1"]


def test_duplicates_are_found_at_the_edges_of_hours(desk: Desk) -> None:
    """A batch of one event finds itself at the last and the first microsecond of an hour."""
    edges = [
        event(f"edge-{number}", occurred_at=at)
        for number, at in enumerate(
            [
                "2026-10-15T09:59:59.999999Z",
                "2026-10-15T10:00:00Z",
                "2026-10-15T10:59:59.999999Z",
                "2026-10-15T11:00:00Z",
            ]
        )
    ]
    desk.hand_in(*edges)

    assert [desk.hand_in(edge).duplicates for edge in edges] == [1, 1, 1, 1]


@pytest.mark.parametrize("other", ["2026-10-15T10:00:00Z", "2026-10-15T11:59:59Z", "2026-10-15T10:30:00Z"])
def test_an_id_with_another_time_is_found_an_hour_around(desk: Desk, other: str) -> None:
    """The same id with a time up to an hour away is other content of the same event, whichever comes first."""
    desk.hand_in(event("a", occurred_at="2026-10-15T11:00:00Z"))

    assert desk.hand_in(event("a", occurred_at=other)).conflicts == 1


def test_the_same_id_on_two_sources_stays_two_events(desk: Desk) -> None:
    """An id is unique within its source only, in one batch or in two."""
    desk.hand_in(event("a", source="litellm"), event("a", source="vllm", output_tokens=99))
    outcome = desk.hand_in(event("a", source="otel"), event("a", source="vllm", output_tokens=99))

    assert (outcome.landed, outcome.duplicates) == (1, 1)
    assert desk.events("source", "event_id", "output_tokens") == [
        ("litellm", "a", 10),
        ("otel", "a", 10),
        ("vllm", "a", 99),
    ]


CHANGES: list[dict[str, object]] = [
    {"output_tokens": 11},
    {"model": "other"},
    {"occurred_at": "2026-10-15T11:00:00.000001Z"},
    {"principal": "key"},
    {"tags": {"team": "t"}},
    {"trace_id": "t"},
    {"ttft_ms": 0},
    {"status": "failed"},
    {"requests": 0},
    {"region": "eu"},
    {"usage_quality": "partial"},
]


def test_the_same_id_with_other_content_is_a_conflict(desk: Desk) -> None:
    """Whatever differs: the first landed stays, the other is quarantined and counted, in a later batch or the same."""
    first = [event(f"e{number:02d}") for number in range(len(CHANGES))]
    other = [record | change for record, change in zip(first, CHANGES, strict=True)]
    desk.hand_in(*first)
    before = desk.events()
    apart = desk.hand_in(*other)
    assert (apart.conflicts, apart.received, desk.events()) == (len(CHANGES), len(CHANGES), before)

    together = desk.hand_in(
        *(record | {"source": "again"} for pair in zip(first, other, strict=True) for record in pair)
    )
    assert (together.conflicts, together.landed) == (len(CHANGES), len(CHANGES))
    assert [row | {"source": "litellm"} for row in desk.events() if row["source"] == "again"] == before


def test_a_conflict_is_shown(desk: Desk) -> None:
    """With its place, its source and what may be kept of it."""
    desk.hand_in(event("a"))
    desk.hand_in(event("b"), event("a", output_tokens=11))

    ((reason, detail, record, line, source),) = desk.rejections("reason", "detail", "record", "line", "source")
    assert (reason, record, line, source) == ("conflict", 2, 2, "litellm")
    assert "the first stays" in detail
    assert desk.rejections("bytes")[0].startswith(b'{"event_id": "a"')


def test_dropped_tags_are_no_content(desk: Desk) -> None:
    """What is not on the allow-list cannot make two deliveries of an event differ."""
    desk.hand_in(event("a", tags={"team": "t", "attempt": "1"}))

    assert desk.hand_in(event("a", tags={"team": "t", "attempt": "2"})).duplicates == 1


AMENDED = [
    event("a"),
    event("a", revision=1, output_tokens=20),
    event("a", revision=5, output_tokens=50, principal="k"),
    event("b"),
]


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [2, 1, 0, 3], [1, 0, 3, 2], [2, 0, 3, 1]])
@pytest.mark.parametrize("together", [True, False])
def test_revisions_supersede_in_any_order(desk: Desk, order: list[int], together: bool) -> None:
    """The highest revision is live, lower ones are history; counts and rows do not depend on order or batches."""
    records = [AMENDED[number] for number in order]
    for batch in [records] if together else [[record] for record in records]:
        desk.hand_in(*batch)

    assert desk.events("event_id", "revision", "output_tokens", "principal") == [("a", 5, 50, "k"), ("b", 0, 10, "")]
    assert desk.totals() | {"received": 4, "landed": 2, "superseded": 2, "duplicates": 0} == desk.totals()
    assert desk.ledger.session().rows("SELECT revision, output_tokens FROM raw.superseded_event ORDER BY ALL") == [
        (0, 10),
        (1, 20),
    ]


def test_each_revision_is_deduplicated_by_itself(desk: Desk) -> None:
    """Live or history: the same revision again is a duplicate, with other content a conflict."""
    desk.hand_in(*AMENDED)
    before = desk.events()
    again = desk.hand_in(*AMENDED)
    other = desk.hand_in(
        event("a", output_tokens=1), event("a", revision=1, output_tokens=1), event("a", revision=5, output_tokens=1)
    )

    assert (again.duplicates, again.received) == (4, 4)
    assert (other.conflicts, other.received) == (3, 3)
    assert desk.events() == before


def test_a_void_is_a_revision_without_tokens(desk: Desk) -> None:
    """It stays as the event's last word."""
    desk.hand_in(event("a"))
    desk.hand_in(event("a", revision=1, output_tokens=0, requests=0))

    assert desk.events("event_id", "revision", "output_tokens", "requests") == [("a", 1, 0, 0)]


def test_a_revision_may_move_its_event_to_another_hour(desk: Desk) -> None:
    """Both hours are metered again; a lower revision that comes late moves nothing back."""
    desk.hand_in(event("a", occurred_at="2026-10-15T10:30:00Z"))
    desk.clear_dirty()
    desk.hand_in(event("a", occurred_at="2026-10-15T11:15:00Z", revision=2))
    assert desk.dirty() == ["2026-10-15T10", "2026-10-15T11"]
    desk.clear_dirty()
    desk.hand_in(event("a", occurred_at="2026-10-15T10:45:00Z", revision=1))

    assert desk.dirty() == []
    assert desk.events("occurred_at") == ["2026-10-15T11:15:00.000000Z"]


def test_dirty_hours_are_exactly_those_of_what_landed(desk: Desk) -> None:
    """Not those of duplicates, conflicts or rejections in the same batch."""
    desk.hand_in(event("a", occurred_at="2026-10-15T08:00:00Z"), event("b", occurred_at="2026-10-15T09:59:59.999999Z"))
    assert desk.dirty() == ["2026-10-15T08", "2026-10-15T09"]
    desk.clear_dirty()
    desk.hand_in(
        event("a", occurred_at="2026-10-15T08:00:00Z"),
        event("b", occurred_at="2026-10-15T10:00:00Z"),
        event("c", occurred_at="2026-10-15T07:59:59Z"),
        event("d", occurred_at="2026-10-15T06:00:00Z", output_tokens=-1),
    )

    assert desk.dirty() == ["2026-10-15T07"]


def test_splitting_a_batch_changes_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """In slices of three records the same stream comes to the same rows and the same counts."""
    monkeypatch.setattr("ingest.collectors.cutting.SLICE_RECORDS", 3)
    records = [*EVENTS, *EVENTS[2:5], *AMENDED, event("x", output_tokens=-1), *AMENDED[1:3], b"nope", EVENTS[7]]
    outcome = desk.hand_in(*records)

    assert len(desk.batches()) == 7
    assert outcome.as_dict() == {
        "received": 20,
        "landed": 10,
        "duplicates": 6,
        "superseded": 2,
        "conflicts": 0,
        "rejected": 2,
        "skewed": 0,
        "dropped_tags": 0,
        "claimed": 0,
        "rejections": {"malformed": 1, "negative": 1},
    }


def test_tags_not_on_the_allow_list_are_dropped_and_counted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly as many as were dropped, however events are batched, for new events only."""
    monkeypatch.setattr("ingest.collectors.cutting.SLICE_RECORDS", 4)
    tags = [
        {},
        {"team": "t"},
        {"team": "t", "x": "1"},
        {"team": "t", "x": "2", "y": {"z": 1}},
        {"x": "1"},
        {"team": "u", "": "1"},
    ]
    events = [event(f"e{number}", tags=given) for number, given in enumerate([*tags, *tags])]
    assert desk.hand_in(*events).dropped_tags == 10

    assert desk.hand_in(*events).dropped_tags == 0
    assert sorted(set(desk.events("tags"))) == ['{"team":"t"}', '{"team":"u"}', "{}"]
    assert desk.totals()["dropped_tags"] == 10


def test_dropped_tags_are_counted_with_revisions_too(desk: Desk) -> None:
    """Each version of an event that is kept counts what it lost, whichever batch it came in."""
    versions = [
        event("a", tags={"x": "1"}),
        event("a", revision=1, tags={"x": "1", "y": "2"}),
        event("a", tags={"x": "9"}),
    ]

    assert desk.hand_in(*versions).dropped_tags == 3
    assert sum(desk.hand_in(version | {"event_id": "b"}).dropped_tags for version in versions) == 3


def test_samples_are_unique_by_device_slice_and_time(desk: Desk) -> None:
    """Twice the same is a duplicate, another value a conflict; other slices and times are other samples."""
    first = [sample(), sample(mig_profile="1g.10gb"), sample("2026-10-15T11:00:00.000001Z"), sample(gpu_uuid="GPU-2")]
    assert desk.hand_in(*first, format_name="gpu").landed == 4
    desk.clear_dirty()
    before = desk.samples()
    outcome = desk.hand_in(
        *first,
        sample(active_ratio=0.6),
        sample(node="n2"),
        sample(active_ratio=0.7, power_watts=1),
        sample("2026-10-15T13:00:00+02:00"),
        format_name="gpu",
    )

    assert (outcome.received, outcome.duplicates, outcome.conflicts) == (8, 5, 3)
    assert desk.rejections("reason", "kind", "line") == [
        ("conflict", "gpu", 5),
        ("conflict", "gpu", 6),
        ("conflict", "gpu", 7),
    ]
    assert (desk.samples(), desk.dirty()) == (before, [])


def test_a_batch_of_samples_can_clash_with_itself(desk: Desk) -> None:
    """The first of a device and time stays."""
    outcome = desk.hand_in(
        sample(active_ratio=0.1), sample(active_ratio=0.2), sample(active_ratio=0.1), format_name="gpu"
    )

    assert (outcome.landed, outcome.conflicts, outcome.duplicates) == (1, 1, 1)
    assert desk.samples("active_ppm") == [100_000]


@pytest.mark.parametrize(
    ("at", "hours"),
    [
        ("2026-10-15T10:30:00Z", ["2026-10-15T10"]),
        ("2026-10-15T10:58:00Z", ["2026-10-15T10"]),
        ("2026-10-15T10:58:00.000001Z", ["2026-10-15T10", "2026-10-15T11"]),
        ("2026-10-15T10:59:59.999999Z", ["2026-10-15T10", "2026-10-15T11"]),
        ("2026-10-15T11:00:00Z", ["2026-10-15T11"]),
    ],
)
def test_a_sample_dirties_the_hour_its_hold_reaches(desk: Desk, at: str, hours: list[str]) -> None:
    """A hold of 120 s that ends with the hour does not reach the next one; a microsecond more does."""
    desk.hand_in(sample(at), format_name="gpu")

    assert desk.dirty() == hours


def test_a_batch_of_clashes_finds_new_dimensions(desk: Desk) -> None:
    """New combinations of dimensions beside duplicates land in the second attempt as they would have in the first."""
    desk.hand_in(event("a"))
    outcome = desk.hand_in(event("a"), event("b", model="new", tags={"team": "new"}), event("c", cluster="new"))

    assert (outcome.landed, outcome.duplicates) == (2, 1)
    assert desk.events("event_id", "model", "cluster", "tags") == [
        ("a", "llama", "", "{}"),
        ("b", "new", "", '{"team":"new"}'),
        ("c", "llama", "new", "{}"),
    ]


def test_a_session_that_met_too_many_dimensions_starts_over(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it forgets it learns again: nothing lands twice, nothing is missed, numbers stay the same."""
    known = desk.count("raw.series")
    monkeypatch.setattr("ingest.bench.KNOWN_SERIES_MAX", 3)
    monkeypatch.setattr("ingest.collectors.cutting.SLICE_RECORDS", 5)
    outcome = desk.hand_in(*(event(f"e{number:02d}", principal=f"key-{number % 7}") for number in range(20)))

    assert (outcome.landed, outcome.received) == (20, 20)
    assert desk.events("event_id", "principal") == [(f"e{number:02d}", f"key-{number % 7}") for number in range(20)]
    assert desk.count("raw.series") - known == 7


def test_tag_names_are_only_names(desk: Desk) -> None:
    """Quotes, dots, slashes, wildcards and SQL in the name of an allowed tag find that tag and no other."""
    names = ('a"b', "c.d", "e/f~g", "*", "$", "h'; --", "[0]", "ü", "")
    desk.allow(*names)
    desk.hand_in(
        event("a", tags={name: f"v{number}" for number, name in enumerate(names)} | {"other": "x", "c": {"d": "x"}})
    )

    (tags,) = desk.events("tags")
    assert json.loads(tags) == {name: f"v{number}" for number, name in enumerate(names)}
    assert tags == json.dumps(dict(sorted(json.loads(tags).items())), ensure_ascii=False, separators=(",", ":"))
