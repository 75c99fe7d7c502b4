"""The product agrees with the oracle row for row on fleets at random, however their input arrives."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from metering.meter import meter
from metering.steps import STEPS
from tests.e2e import product
from tests.e2e.agreement import agrees
from tests.e2e.random_fleets import HOURS, Document, random_trace, shuffled
from tests.steps.metering.reading import nothing
from tests.thorough import times

UNLOGGED = (7, 11, 45, 58)
"""Seeds of fleets whose engines know a good deal that no log says."""
SEEDS = (*range(times(5)), *UNLOGGED)
HOURLY = tuple(step.name for step in STEPS if step.window)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_row_agrees_with_the_oracle(tmp_path: Path, seed: int) -> None:
    """Charges, settlement, month lines and unit costs of an awkward fleet are the oracle's, to the nano."""
    trace, document = random_trace(seed)
    with product.opened(tmp_path, document, trace.end) as pipeline:
        product.land(pipeline, tmp_path, trace)
        pipeline.meter()

        agrees(pipeline, document, trace)


@pytest.mark.parametrize("seed", [*range(times(1)), *UNLOGGED[1:2]])
def test_order_repetition_and_slices_of_input_change_nothing(tmp_path: Path, seed: int) -> None:
    """Input that comes shuffled, in two files, with metering between them, and once more, meters to the same rows."""
    trace, document = random_trace(seed)
    mixed = shuffled(trace, seed)
    half = len(mixed.events) // 2
    with product.opened(tmp_path, document, trace.end) as pipeline:
        pipeline.ingest([product.write_lines(tmp_path / "second.ndjson", mixed.events[half:])], "usage")
        pipeline.ingest([product.write_lines(tmp_path / "odd.ndjson", mixed.readings[1::2])], "engine")
        pipeline.meter()
        pipeline.ingest([product.write_lines(tmp_path / "first.ndjson", mixed.events[:half])], "usage")
        pipeline.ingest([product.write_lines(tmp_path / "gpu.ndjson", mixed.samples)], "gpu")
        pipeline.meter()
        pipeline.ingest([product.write_lines(tmp_path / "even.ndjson", mixed.readings[::2])], "engine")
        pipeline.meter()
        charges = agrees(pipeline, document, trace)
        again = pipeline.ingest([product.write_lines(tmp_path / "again.ndjson", trace.events)], "usage").outcome
        report = pipeline.meter()

        assert again.landed == 0
        assert report.hours == 0
        assert product.hour_charges(pipeline.ledger.session()) == charges


@pytest.mark.parametrize("seed", UNLOGGED[1:2])
def test_hours_metered_one_by_one_are_those_metered_at_once(tmp_path: Path, seed: int) -> None:
    """Each hour depends on its inputs and on no other hour: alone, in any order, its rows are the same in every table."""
    trace, document = random_trace(seed)
    with product.opened(tmp_path, document, trace.end) as pipeline:
        product.land(pipeline, tmp_path, trace)
        pipeline.meter()
        session = pipeline.ledger.session()
        at_once = {table: sorted(map(repr, session.rows(f"FROM {table}"))) for table in HOURLY}
        hours = [trace.start + timedelta(hours=number) for number in range(HOURS)]
        for hour in Random(seed).sample(hours, HOURS):
            meter(pipeline.ledger, pipeline.clock, settle=nothing, since=hour, until=hour + timedelta(hours=1))

        assert {table: sorted(map(repr, session.rows(f"FROM {table}"))) for table in HOURLY} == at_once
        assert at_once["metering.reconciliation_hourly"]


@pytest.mark.parametrize("seed", UNLOGGED[1:3])
def test_a_late_reading_meters_the_hours_it_changes(tmp_path: Path, seed: int) -> None:
    """Readings that come one by one, each metered with what was dirty by then, leave what all of them at once do."""
    trace, document = random_trace(seed)
    late = Random(seed).sample(trace.readings, min(6, len(trace.readings)))
    early = replace(trace, readings=[reading for reading in trace.readings if reading not in late])
    with product.opened(tmp_path, document, trace.end) as pipeline:
        product.land(pipeline, tmp_path, early)
        pipeline.meter()
        for number, reading in enumerate(late):
            pipeline.ingest([product.write_lines(tmp_path / f"late-{number}.ndjson", [reading])], "engine")
            meter(pipeline.ledger, pipeline.clock, settle=nothing)
        charges = product.hour_charges(pipeline.ledger.session())
        pipeline.meter(since=trace.start)

        assert agrees(pipeline, document, trace) == charges


@pytest.mark.parametrize("seed", range(times(2)))
def test_a_changed_config_meters_what_it_reaches(tmp_path: Path, seed: int) -> None:
    """After everything in a config changes, the ledger is what the new config alone would have made, and back again.

    Tags that no rule used when an event landed are gone, so both configs keep the same ones.
    """
    trace, before = random_trace(seed + 100)
    _, after = random_trace(seed)
    with product.opened(tmp_path, _keeping_tags(before), trace.end) as pipeline:
        product.land(pipeline, tmp_path, trace)
        for document in map(_keeping_tags, (before, after, before)):
            product.configure(pipeline, tmp_path, document)
            pipeline.meter()

            agrees(pipeline, document, trace)


def _keeping_tags(document: Document) -> Document:
    return {**document, "directory": {**document["directory"], "tags": ["env", "team"]}}
