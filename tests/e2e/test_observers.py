"""Who is believed about a call that several sources tell of, rule by rule; the others are counted and cost nothing."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from apportion.config.load import load
from apportion.ledger.connection import read_only
from apportion.pipeline import Pipeline
from exporters import results, status
from tests.e2e import product
from tests.e2e.fleets import toml
from tests.e2e.test_one_call import DOCUMENT, NOW

TOLD = """
SELECT source, sum(output_tokens)::BIGINT
FROM metering.placed_usage_hourly JOIN raw.caller USING (caller_no) GROUP BY source ORDER BY ALL
"""
HEARD = "SELECT source, believed_source, events FROM export.observed_usage ORDER BY ALL"


def told(source: str, output: int, *names: str, at: str = "10:30", **fields: Any) -> dict[str, Any]:
    """An event of a source, known by names; its id tells nothing about the call."""
    known = dict(zip(("response_id", "call_id"), names, strict=False))
    base = {"event_id": f"{source}-{output}-{names}", "source": source, "model": "llama", "output_tokens": output}
    return {
        **base,
        "occurred_at": f"2026-10-15T{at}:00Z",
        **{name: value for name, value in known.items() if value},
        **fields,
    }


def policy(*observers: str) -> dict[str, Any]:
    """The fleet with an order of its own."""
    return {**DOCUMENT, "policy": {**DOCUMENT["policy"], **({"observers": list(observers)} if observers else {})}}


def metered(
    folder: Path, *events: Mapping[str, Any], observers: tuple[str, ...] = ()
) -> tuple[dict[str, int], list[Any]]:
    """Tokens that are metered by source, and what is observed."""
    with product.opened(folder, policy(*observers), NOW) as pipeline:
        return again(pipeline, folder, *events)


def again(pipeline: Pipeline, folder: Path, *events: Mapping[str, Any]) -> tuple[dict[str, int], list[Any]]:
    """The same, of a pipeline that goes on."""
    if events:
        outcome = pipeline.ingest(
            [product.write_lines(folder / f"{len(list(folder.iterdir()))}.ndjson", events)], "usage"
        ).outcome
        assert (outcome.rejected, outcome.conflicts) == (0, 0)
    pipeline.meter()
    session = pipeline.ledger.session()
    return dict(session.rows(TOLD)), session.rows(HEARD)


@pytest.mark.parametrize(
    ("events", "believed"),
    [
        ((told("litellm", 1, "r"), told("vllm-0", 2, "r"), told("otel", 4, "r")), {"litellm": 1}),
        ((told("vllm-0", 2, "r"), told("otel", 4, "r")), {"vllm-0": 2}),
        ((told("zeta", 2, "r"), told("acme", 4, "r"), told("otel", 1, "r")), {"otel": 1}),
        ((told("zeta", 2, "r"), told("acme", 4, "r")), {"acme": 4}),
    ],
)
def test_the_policy_says_who_is_believed(
    tmp_path: Path, events: tuple[dict[str, Any], ...], believed: dict[str, int]
) -> None:
    """Gateways, engines, clients; sources that nobody names come last, by name."""
    found, observed = metered(tmp_path, *events)

    assert found == believed
    assert {row[1] for row in observed} == set(believed)
    assert sum(row[2] for row in observed) == len(events) - 1


def test_an_order_of_ones_own_is_kept_by_globs(tmp_path: Path) -> None:
    """The first glob that fits a source is its place."""
    events = (told("litellm", 1, "r"), told("my_gate-1", 2, "r"), told("myxgate-1", 4, "r"))

    assert metered(tmp_path, *events, observers=("my_gate*", "*"))[0] == {"my_gate-1": 2}


def test_names_are_one_space_and_either_will_do(tmp_path: Path) -> None:
    """A gateway knows both names; spans that know one of them each are joined to it."""
    events = (
        told("litellm", 1, "r", "c"),
        told("otel:litellm", 2, "", "c"),
        told("otel", 4, "r"),
        told("otel:server", 8, "c"),
    )

    assert metered(tmp_path, *events)[0] == {"litellm": 1}


def test_same_id_on_two_sources_stays_two_events(tmp_path: Path) -> None:
    """An event's id says nothing about the call."""
    events = (told("litellm", 1, event_id="same"), told("otel", 2, event_id="same"))

    assert metered(tmp_path, *events) == ({"litellm": 1, "otel": 2}, [])


def test_retries_of_the_source_that_is_believed_all_count(tmp_path: Path) -> None:
    """Each of its attempts was work; what the others say of any of them is observed."""
    events = (told("litellm", 1, "r"), told("litellm", 2, "r"), told("otel", 4, "r"), told("otel", 8, "r"))

    assert metered(tmp_path, *events) == ({"litellm": 3}, [("otel", "litellm", 2)])


def test_a_stream_without_usage_gives_way_to_who_counted(tmp_path: Path) -> None:
    """A gateway that never saw the counts says nothing about them; a voided call says that there are none."""
    missing, engine = told("litellm", 0, "r", usage_quality="missing"), told("vllm", 7, "r")
    voided = told("litellm", 0, "v")

    assert metered(tmp_path, missing, engine, voided, told("vllm", 9, "v"))[0] == {"litellm": 0, "vllm": 7}


def test_a_name_holds_for_an_hour_and_the_hours_beside_it(tmp_path: Path) -> None:
    """Ids of some engines come again; a day later it is another call."""
    events = (
        told("litellm", 1, "r", at="09:00"),
        told("otel", 2, "r", at="10:59"),
        told("otel", 4, "r", at="11:00"),
    )

    assert metered(tmp_path, *events)[0] == {"litellm": 1, "otel": 4}


def test_an_id_that_repeats_costs_no_square(tmp_path: Path) -> None:
    """Ten thousand calls of one name on each side are a join of ten thousand rows, not of a hundred million."""
    events = [told(source, number, "r") for source in ("litellm", "otel") for number in range(10_000)]

    assert metered(tmp_path, *events) == ({"litellm": sum(range(10_000))}, [("otel", "litellm", 10_000)])


def test_a_sampled_event_shadows_nobody(tmp_path: Path) -> None:
    """It is rejected, and what is rejected is believed about nothing."""
    with product.opened(tmp_path, policy(), NOW) as pipeline:
        path = product.write_lines(tmp_path / "sampled.ndjson", [told("litellm", 1, "r", usage_quality="sampled")])
        assert pipeline.ingest([path], "usage").outcome.rejected == 1

        assert again(pipeline, tmp_path, told("otel", 2, "r")) == ({"otel": 2}, [])


def test_a_new_order_meters_open_hours_again(tmp_path: Path) -> None:
    """The order is part of the policy's version; leaving it as it was meters nothing."""
    with product.opened(tmp_path, policy(), NOW) as pipeline:
        assert again(pipeline, tmp_path, told("litellm", 1, "r"), told("otel", 2, "r"))[0] == {"litellm": 1}
        assert pipeline.meter().hours == 0

        (tmp_path / "apportion.toml").write_text(toml(policy("otel")), encoding="utf-8")
        pipeline.config = load(tmp_path / "apportion.toml")
        assert again(pipeline, tmp_path) == ({"otel": 2}, [("litellm", "otel", 1)])


def test_a_policy_older_than_the_question_meters_nothing_again(tmp_path: Path) -> None:
    """Its hours hold no names; the order is written down with the next version."""
    with product.opened(tmp_path, policy(), NOW) as pipeline:
        again(pipeline, tmp_path, told("otel", 2))
        with pipeline.ledger.transaction() as session:
            session.do("UPDATE book.policy SET observers = NULL, digest = 'older'")
            session.do("UPDATE book.setting SET setting = 'older' WHERE name = 'config_digest'")

        assert pipeline.meter().hours == 0
        assert pipeline.ledger.session().rows("SELECT observers IS NULL FROM book.policy ORDER BY policy_version") == [
            (True,),
            (False,),
        ]


def test_what_is_observed_is_published(tmp_path: Path) -> None:
    """By who told of it and who was believed, with the tokens that it counted; a source that is only observed is heard of."""
    with product.opened(tmp_path, policy(), NOW) as pipeline:
        again(
            pipeline,
            tmp_path,
            told("litellm", 1, "r"),
            told("otel", 2, "r"),
            told("otel", 4, "s"),
            told("vllm", 8, "r", at="09:30"),
        )
        published = read_only(results.publish(pipeline.ledger, pipeline.clock))
        found = status.status(published)["observed"]
        screen = io.StringIO()
        status.show(status.status(published), Console(file=screen))
        heard = pipeline.ledger.session().rows("SELECT source FROM export.sources ORDER BY ALL")

    assert found == [
        {"source": source, "believed_source": "litellm", "events": 1, "tokens": tokens}
        for source, tokens in (("otel", 2), ("vllm", 8))
    ]
    assert "  observed: 1 events of vllm tell of calls that litellm reports; not metered twice\n" in screen.getvalue()
    assert heard == [("litellm",), ("otel",), ("vllm",)]
