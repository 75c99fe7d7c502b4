"""The product agrees with the oracle row for row on costs, weights and prices at random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import gcd
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.e2e import product
from tests.e2e.agreement import agrees
from tests.e2e.random_costs import external, with_meters, with_prices, with_purchases, with_tariffs
from tests.e2e.random_fleets import Document, random_trace
from tests.e2e.random_weights import with_adapters, with_gauges, with_tiers, with_weights
from tests.e2e.traces import Trace
from tests.oracle import energy_of, ladder, told
from tests.oracle_costs import origin_rows
from tests.oracle_fleet import fleet
from tests.oracle_gpu_time import gpu_time
from tests.oracle_phases import Shares
from tests.thorough import times

SEEDS = range(times(4))
NOBODYS = (26, 65, 77)
"""Seeds of fleets whose engines tell why GPUs were idle, whose readers have no place for prompts, whose tokens weigh nothing."""


def agreed(folder: Path, document: Document, trace: Trace) -> None:
    """Meter a trace on a fleet, and hold origin charges, rungs of phases and all that follows from them against the oracle."""
    with product.opened(folder, document, trace.end) as pipeline:
        product.land(pipeline, folder, trace)
        pipeline.meter()
        ours, hours, session = fleet(document), product.hours_of(trace), pipeline.ledger.session()
        coefficients = product.coefficients(session)
        seen = told(ours, trace.events, trace.samples, trace.readings, coefficients)
        found = product.origin_charges(session)
        for hour in hours:
            differing(found.get(hour, {}), origin_rows(ours, hour, energy_of(seen.energy, hour)))
        differing(product.gpu_time(session), gpu_time(ours, seen, hours))
        rungs = product.phases(session)
        for where, methods in ladder(ours, seen, hours).items():
            differing(
                *(dict(zip(said, map(proportion, said.values()), strict=True)) for said in (rungs[where], methods))
            )
        agrees(pipeline, document, trace, coefficients=coefficients)


def differing(found: Mapping[Any, Any], expected: Mapping[Any, Any]) -> None:
    """Say what differs, and only that."""
    keys = [key for key in {**found, **expected} if found.get(key) != expected.get(key)]

    assert {key: found.get(key) for key in keys} == {key: expected.get(key) for key in keys}


def proportion(shares: Shares | None) -> tuple[int, int] | None:
    """Shares in lowest terms, since each side has weights over a scale of its own."""
    if shares is None:
        return None
    common = gcd(*shares) or 1
    return shares.prefill // common, shares.decode // common


@pytest.mark.parametrize("seed", SEEDS)
def test_purchases_cost_what_the_oracle_says(tmp_path: Path, seed: int) -> None:
    """Every origin charge in all its amounts, and every line that follows: cards, currencies, commitments, assets, credits."""
    trace, document = random_trace(seed)

    agreed(tmp_path, with_purchases(Random(seed), document), trace)


@pytest.mark.parametrize("seed", [*SEEDS, *NOBODYS])
def test_tokens_weigh_what_the_oracle_says(tmp_path: Path, seed: int) -> None:
    """Every line under models, tiers of service and of the cache, context, adapters, roles, phases and downtime at random."""
    random = Random(seed)
    trace, document = random_trace(seed)
    readings = with_tiers(random, with_gauges(random, trace.readings))
    trace = replace(trace, events=with_adapters(random, trace.events), readings=readings)

    agreed(tmp_path, with_weights(random, document), trace)


@pytest.mark.parametrize("seed", SEEDS)
def test_others_charge_what_the_oracle_says(tmp_path: Path, seed: int) -> None:
    """Every external line, priced or with the cause of having no price."""
    random = Random(seed)
    trace, document = random_trace(seed)
    trace = replace(trace, events=external(random, trace.events))

    agreed(tmp_path, with_prices(random, document), trace)


@pytest.mark.parametrize("seed", SEEDS)
def test_energy_costs_what_the_oracle_says(tmp_path: Path, seed: int) -> None:
    """Energy at a tariff: measured by meters and by power, and assumed for GPU time that nobody measured."""
    random = Random(seed)
    trace, document = random_trace(seed)

    agreed(tmp_path, with_tariffs(random, document), replace(trace, samples=with_meters(random, trace.samples)))


@pytest.mark.parametrize("seed", SEEDS)
def test_all_of_it_together_is_the_oracles(tmp_path: Path, seed: int) -> None:
    """Purchases, weights and price lists in one fleet."""
    random = Random(1000 + seed)
    trace, document = random_trace(1000 + seed)
    document = with_prices(random, with_weights(random, with_tariffs(random, with_purchases(random, document))))
    events = external(random, with_adapters(random, trace.events))
    samples, readings = with_meters(random, trace.samples), with_tiers(random, with_gauges(random, trace.readings))

    agreed(tmp_path, document, replace(trace, events=events, samples=samples, readings=readings))
