"""Any fleet: what is metered is what the pencil says, row for row, and metering it again changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from apportion.ledger.connection import Ledger
from apportion.ledger.migrations import migrate
from metering.meter import meter
from tests.frozen import FrozenClock
from tests.steps.metering import pencil
from tests.steps.metering.facts import HOUR, KINDS, Alias, Deployment, Event, Facts, Pool, Rate, Sample, Shared, at, load, moment
from tests.steps.metering.reading import charges, nothing

START = at("2026-10-31 22:00")
HOURS = 4
END = START + HOURS * HOUR

instants = st.one_of(
    st.integers(-1, HOURS).map(lambda n: START + n * HOUR),
    st.integers(-60, HOURS * 60).map(lambda n: START + n * 60_000_000),
    st.integers(START - HOUR, END),
)  # fmt: skip
ranges = st.tuples(instants, instants).filter(lambda pair: pair[0] != pair[1]).map(sorted)
names = st.sampled_from(["a", "b", "Ä", "z"])
counts = st.one_of(st.just(0), st.integers(0, 3000), st.integers(0, 10**10))


@st.composite
def dated(draw: st.DrawFn, pieces: int) -> list[tuple[int, int]]:
    """Adjoining or separate ranges that together reach over most of the window."""
    cuts = sorted(set(draw(st.lists(instants, min_size=0, max_size=pieces - 1))) - {START - HOUR, END + HOUR})
    edges = [START - HOUR, *cuts, END + HOUR]
    return list(zip(edges[:-1], edges[1:], strict=True))


@st.composite
def fleets(draw: st.DrawFn) -> Facts:
    """Two pools with resizes, up to four deployments on them, every utilization, and some traffic."""
    pools, deployments, rates = [], [], []
    for pool in ("p", "q"):
        rows = draw(st.integers(0, 2))
        ids = [f"{pool}{draw(names)}{n}" for n in range(rows)]
        for start, end in draw(dated(2)):
            gpus = draw(st.integers(1, 3))
            pools.append(Pool(id=pool, gpus=rows * 2 + gpus - 1 or 1, start=start, end=end))
        for name in ids:
            settings_of = {"utilization": draw(st.sampled_from(["active", "capacity", "allocation"])), "capacity": draw(st.integers(1, 10**7))}
            match = draw(st.sampled_from([(), (("node", "n1"),), (("node", "n%"), ("cluster", "c")), (("replica", "r1"),), (("namespace", "s%"),)]))
            for start, end in draw(dated(2)):
                if draw(st.integers(0, 5)):
                    models = draw(st.sampled_from([("m",), ("m", "n"), ("n",), ()]))
                    deployments.append(Deployment(id=name, pool=pool, gpus=draw(st.integers(1, 2)), models=models, match=match, start=start, end=end, **settings_of))
        for component in ("accelerator", "host"):
            for start, end in draw(dated(3)):
                if component == "accelerator" or draw(st.booleans()):
                    rates.append(Rate(pool=pool, component=component, nano=draw(st.integers(0, 10**10)), start=start, end=end))
    ids = [d.id for d in deployments]
    events = draw(st.lists(st.builds(
        Event, at=st.integers(START, END - 1), principal=names, namespace=st.sampled_from(["", "s1"]),
        model=st.sampled_from(["m", "n", "alias", "other"]), tier=st.sampled_from(["", "batch"]),
        provider=st.sampled_from(["self", "self", "self", "openai"]), deployment=st.sampled_from(["", "", "gone", *ids]),
        replica=st.sampled_from(["", "r1"]), status=st.sampled_from(["success", "failed"]),
        tokens=st.dictionaries(st.sampled_from(KINDS), counts).map(lambda d: tuple(d.items()))), max_size=12))
    samples = draw(st.lists(st.builds(
        Sample, at=st.integers(START - HOUR, END), ppm=st.one_of(st.none(), st.integers(0, 10**6)),
        gpu=st.sampled_from(["g1", "g2"]), deployment=st.sampled_from(["", "gone", *ids]), node=st.sampled_from(["n1", "n2"]),
        cluster=st.sampled_from(["", "c"])), max_size=12, unique_by=lambda s: (s.gpu, s.at)))
    aliases = [Alias(alias="alias", model="m", start=start, end=end) for start, end in [draw(ranges)]]
    shared = [Shared(id=name, nano=draw(st.integers(0, 10**13)), start=start, end=end) for name, (start, end) in zip(("s", "t"), (draw(ranges), draw(ranges)), strict=True)]
    scale = 10 ** draw(st.sampled_from([0, 1, 9]))
    weights = {kind: draw(st.integers(0, 6 * scale)) for kind in KINDS}
    hold = draw(st.sampled_from([1, 30_000_000, 120_000_000, HOUR]))
    return Facts(
        pools=tuple(pools), deployments=tuple(deployments), rates=tuple(without_holes(rates)), shared=tuple(shared), aliases=tuple(aliases),
        events=tuple(events), samples=tuple(samples), weights=weights, weight_scale=scale, hold=hold)  # fmt: skip


def without_holes(rates: list[Rate]) -> list[Rate]:
    """Rates whose other components pause nowhere."""
    kept = []
    for rate in rates:
        before = [r for r in kept if (r.pool, r.component) == (rate.pool, rate.component)]
        if not before or before[-1].end == rate.start:
            kept.append(rate)
    return kept


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """One ledger for every example: each replaces what the one before left."""
    with Ledger(Path(tmp_path_factory.mktemp("property")) / "apportion.duckdb") as opened:
        migrate(opened, FrozenClock())
        yield opened


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(facts=fleets())
def test_metering_agrees_with_the_pencil(ledger: Ledger, facts: Facts) -> None:
    """Every line of every hour: same keys, same tokens, same nano; then the same again on a second run."""
    with ledger.transaction() as session:
        load(session, facts)
    clock = FrozenClock(moment(END))

    report = meter(ledger, clock, settle=nothing, since=moment(START), until=moment(END))
    first = charges(ledger.session())
    for cause in {key[8] for key in first}:
        event(cause)

    assert report.hours == HOURS
    assert first == pencil.charges(facts, range(START, END, HOUR))

    meter(ledger, clock, settle=nothing, since=moment(START), until=moment(END))

    assert charges(ledger.session()) == first
