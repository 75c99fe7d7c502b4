"""The product agrees with the oracle row for row on fleets at random, however their input arrives."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e import product
from tests.e2e.agreement import agrees
from tests.e2e.random_fleets import Document, random_trace, shuffled

SEEDS = range(8)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_row_agrees_with_the_oracle(tmp_path: Path, seed: int) -> None:
    """Charges, settlement, month lines and unit costs of an awkward fleet are the oracle's, to the nano."""
    trace, document = random_trace(seed)
    with product.opened(tmp_path, document, trace.end) as pipeline:
        product.land(pipeline, tmp_path, trace)
        pipeline.meter()

        agrees(pipeline, document, trace)


@pytest.mark.parametrize("seed", SEEDS[:3])
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


@pytest.mark.parametrize("seed", SEEDS[:3])
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
