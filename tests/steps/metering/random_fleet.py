"""A small fleet and four hours of its history from a seed: resizes, repricing, renames, silence and noise at odd microseconds."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

from tests.steps.metering.engine_facts import Count
from tests.steps.metering.facts import HOUR, KINDS, Alias, Deployment, Event, Facts, Pool, Rate, Sample, Shared, at
from tests.steps.metering.weight_facts import Down, Weighed

START = at("2026-10-31 22:00")
END = START + 4 * HOUR
MATCHES = (
    (), (), (("node", "n1"),), (("node", "n%"), ("cluster", "c")), (("replica", "r1"),), (("namespace", "s%"),), (("gpu_uuid", "g2"),),
)  # fmt: skip


def fleet(seed: int) -> Facts:
    """Two pools, up to three deployments on each, every utilization, and traffic that fits them more often than not."""
    r = Random(seed)
    pools: list[Pool] = []
    deployments: list[Deployment] = []
    rates: list[Rate] = []
    for pool in ("p", "q"):
        names = r.sample(["a", "b", "Ä", "z"], r.randrange(4))
        pools += [Pool(id=pool, gpus=2 * len(names) + r.randint(0, 1) or 1, **dates) for dates in _pieces(r, 2)]
        for name in names:
            kept: dict[str, Any] = {
                "utilization": r.choice(["active", "active", "capacity", "allocation"]),
                "capacity": r.randint(1, 10 ** r.randint(1, 8)),
            }
            kept |= {"role": r.choice(["both", "both", "prefill", "decode"])}
            kept |= {"models": r.choice([("m",), ("m",), ("n",), ("m", "n"), ()]), "match": r.choice(MATCHES)}
            deployments += [
                Deployment(id=f"{pool}-{name}", pool=pool, gpus=r.randint(1, 2), **kept, **dates)
                for dates in _pieces(r, 2)
                if r.random() < 0.9
            ]
        rates += [Rate(pool=pool, nano=r.randint(0, 10**10), **dates) for dates in _pieces(r, 3)]
        rates += [
            Rate(pool=pool, component="host", nano=r.randint(0, 10**9), **dates)
            for dates in _pieces(r, 2)[r.randrange(3) :]
        ]
    ids = [d.id for d in deployments]
    scale = 10 ** r.choice([0, 1, 1, 9])
    return Facts(
        pools=tuple(pools), deployments=tuple(deployments), rates=tuple(rates),
        shared=tuple(Shared(id=name, nano=r.randint(0, 10**13), **r.choice(_pieces(r, 2))) for name in ("s", "t")),
        aliases=tuple(Alias(alias="alias", model=model, **dates) for model, dates in zip("mn", _pieces(r, 2), strict=False)),
        events=tuple(_event(r, ids) for _ in range(r.randrange(25))),
        samples=tuple(_samples(r, ids)),
        weights={kind: r.choice([0, r.randint(1, 6 * scale), r.randint(1, 6 * scale)]) for kind in KINDS},
        weighed=_weighed(r), downs=tuple(_downs(r, deployments)), counts=tuple(_gauges(r, deployments)),
        weight_scale=scale, hold=r.choice([1, 30_000_000, 120_000_000, 1_800_000_000, HOUR]), min_coverage_ppm=r.randint(0, 10**6),
    )  # fmt: skip


def _weighed(r: Random) -> Weighed:
    """Half of all fleets weigh nothing but kinds."""
    return Weighed(
        models=r.choice([{}, {"": 4, "m": 1, "other": 0}, {"": 1_000_000, "n": 333_333}]),
        tiers=r.choice([{}, {"": 2, "batch": 1}]),
        context=r.choice([0, 0, 1, 10_000]),
        adapters=r.choice([(), (("m", "oth%"),)]),
    )


def _downs(r: Random, deployments: list[Deployment]) -> list[Down]:
    """Never more of a deployment than it holds: one GPU for one cause after another."""
    found = []
    for name in sorted({d.id for d in deployments}):
        for dates, cause in zip(_pieces(r, 3), r.sample(["loading", "draining", "lost"], 3), strict=False):
            if r.random() < 0.2:
                found.append(Down(deployment=name, cause=cause, **dates))
    return found


def _gauges(r: Random, deployments: list[Deployment]) -> list[Count]:
    """Running requests of an engine of some deployments, each named at times when it is in force."""
    return [
        Count(at=now, engine=d.id, deployment=d.id, running=r.choice([None, 0, 0, 1, 7]))
        for d in deployments
        if r.random() < 0.4
        for now in sorted({_instant(r) for _ in range(r.randrange(6))})
        if d.start <= now < d.end
    ]


def _pieces(r: Random, most: int) -> list[dict[str, int]]:
    """Adjoining ranges that together reach beyond the window on both sides."""
    cuts = sorted({_instant(r) for _ in range(r.randrange(most))})
    edges = [START - 2 * HOUR, *cuts, END + 2 * HOUR]
    return [{"start": start, "end": end} for start, end in pairwise(edges)]


def _instant(r: Random) -> int:
    """A time in the window: on the hour, on the minute or on any microsecond."""
    step = r.choice([HOUR, 60_000_000, 1])
    return START + r.randrange((END - START) // step) * step


def _event(r: Random, ids: list[str]) -> Event:
    tokens = {
        kind: r.choice([0, r.randrange(5), r.randrange(5000), r.randrange(10**10)])
        for kind in r.sample(KINDS, r.randint(1, 3))
    }
    return Event(
        at=_instant(r), principal=r.choice(["a", "b", "Ä", "z"]), namespace=r.choice(["", "", "s1"]), model=r.choice(["m", "m", "n", "alias", "other"]),
        tier=r.choice(["", "batch"]), provider=r.choice(["self"] * 9 + ["openai"]), deployment=r.choice(["", "gone", *ids, *ids]),
        replica=r.choice(["", "r1"]), status=r.choice(["success", "failed"]), tokens=tuple(tokens.items()))  # fmt: skip


def _samples(r: Random, ids: list[str]) -> list[Sample]:
    """Readings of two GPUs at a steady pace with gaps, now and then unknown, now and then somewhere else."""
    found: dict[tuple[str, int], Sample] = {}
    for gpu in ("g1", "g2"):
        pace, home, node = (
            r.choice([7_000_001, 60_000_000, 600_000_000, HOUR]),
            r.choice(["", "gone", *ids, *ids]),
            r.choice(["n1", "n2"]),
        )
        now = START - HOUR + r.randrange(pace)
        while now < END + HOUR and len(found) < 90:
            away = r.choice(ids) if ids and r.random() < 0.05 else home
            ppm = None if r.random() < 0.1 else r.choice([0, 10**6, r.randint(0, 10**6)])
            found[gpu, now] = Sample(
                at=now, ppm=ppm, gpu=gpu, deployment=away, node=node, cluster=r.choice(["c", "c", ""])
            )
            now += pace * (r.randint(2, 30) if r.random() < 0.1 else 1)
    return list(found.values())
