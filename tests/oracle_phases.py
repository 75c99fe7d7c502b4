"""What a workload is split into prefill and decode by: every rung of the ladder, and which one is taken.

Part of the oracle (see `oracle.py`): the standard library only, nothing of the product. Coefficients that were learned or
modelled are given: the oracle checks what is done with them, not how they were come by.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.oracle_engines import COUNTERS, Growth
from tests.oracle_fleet import DECODE, KINDS, PREFILL, Deployment, Fleet
from tests.oracle_tokens import CONTEXT, bases, totals
from tests.oracle_units import PPM, Range, hour_range, shared_us, split
from tests.oracle_usage import Consumer

CONFIDENCE = {
    "role/1": "measured",
    "measured/1": "measured",
    "regression/1": "calibrated",
    "roofline/1": "modelled",
    "throughput/1": "modelled",
    "weights/1": "assumed",
    "blended/1": "assumed",
}
"""Every method, the best first."""
COEFFICIENTS = ("regression/1", "roofline/1", "throughput/1")
PS_A_SECOND = 10**12
AS_A_PS = 10**6


@dataclass(frozen=True, kw_only=True)
class Coefficient:
    """GPU-picoseconds per token of each kind, and GPU-attoseconds per decode token and token of context; model empty: every one."""

    deployment: str
    model: str
    method: str
    during: Range
    kinds: tuple[tuple[str, int], ...]
    context_as: int
    failure: str


class Shares(NamedTuple):
    """What prefill and decode are split by."""

    prefill: int
    decode: int


class Phases(NamedTuple):
    """What is known of a deployment's hour.

    Attributes:
        part: its first dated part in the hour.
        hour: its start.
        used: tokens by consumer and kind, with the sums of context.
        weights: what they weigh, by consumer and kind.
        engines: what its engines counted.
        phase_us: engine-microseconds of which the time of both phases is known.
        coefficients: those of any deployment.
    """

    part: Deployment
    hour: int
    used: Mapping[Any, Mapping[str, int]]
    weights: Mapping[tuple[Any, str], int]
    engines: Sequence[Growth]
    phase_us: int
    coefficients: Sequence[Coefficient]


def rungs(fleet: Fleet, known: Phases) -> dict[str, Shares | None]:
    """What every method says, the best first; None where it fails. A phase whose tokens weigh nothing has no share."""
    said = {
        "role/1": by_role(known),
        "measured/1": measured(fleet, known),
        **{method: by_coefficients(fleet, known, method) for method in COEFFICIENTS},
        "weights/1": Shares(totals(known.weights, PREFILL), totals(known.weights, DECODE)),
        "blended/1": blended(known),
    }
    return {method: _weighing(known, shares) for method, shares in said.items()}


def chosen(fleet: Fleet, known: Phases) -> tuple[str, Shares]:
    """The method that is taken and what it says: the first that does not fail, or the one asked for, else weights. What a role
    of its own does is measured too."""
    said, asked = rungs(fleet, known), known.part.phase_split
    for method, shares in said.items():
        if shares and (asked in {"auto", method.partition("/")[0]} or (asked, method) == ("measured", "role/1")):
            return method, shares
    return "weights/1", said["weights/1"] or Shares(0, 0)


def by_role(known: Phases) -> Shares | None:
    """All to the one phase that a deployment does."""
    return {"prefill": Shares(1, 0), "decode": Shares(0, 1)}.get(known.part.role)


def measured(fleet: Fleet, known: Phases) -> Shares | None:
    """Seconds that engines say each phase took, where they tell both for enough of the time that anything is known of
    them, which is to be the time that the deployment was there or more."""
    phases = [
        [value for grown in known.engines if (value := grown.counters[COUNTERS.index(counter)]) is not None]
        for counter in ("prefill_seconds", "decode_seconds")
    ]
    parts = [part.during for part in fleet.deployments if part.id == known.part.id]
    there = sum(shared_us(hour_range(known.hour), during) for during in parts)
    whole = max(there, sum(grown.observed_us for grown in known.engines))
    if not all(phases) or not known.phase_us or known.phase_us * PPM < fleet.min_coverage_ppm * whole:
        return None
    return Shares(sum(phases[0]), sum(phases[1]))


def by_coefficients(fleet: Fleet, known: Phases, method: str) -> Shares | None:
    """GPU time by model: tokens x picoseconds, and what context costs decoding; fails where a model that is used has none."""
    of_model: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for who, kinds in known.used.items():
        for name, count in kinds.items():
            of_model[who.model][name] += count
    prefill = decode = 0
    for model, counts in of_model.items():
        if not any(counts.values()):
            continue
        row = coefficient(fleet, known, method, model)
        if row is None or row.failure:
            return None
        ps = dict(row.kinds)
        context = sum(counts[name] for name in CONTEXT.values())
        prefill += sum(counts[kind] * ps[kind] for kind in PREFILL)
        decode += sum(counts[kind] * ps[kind] for kind in DECODE) + context * row.context_as // AS_A_PS
    return Shares(prefill, decode)


def coefficient(fleet: Fleet, known: Phases, method: str, model: str) -> Coefficient | None:
    """The row in force at the start of the hour: the model's own, its base model's, or every model's."""
    stored = (row for row in known.coefficients if row.during[0] <= known.hour < row.during[1])
    rows = {
        row.model: row
        for row in (*stored, *declared(known.part))
        if row.deployment == known.part.id and row.method == method
    }
    return next((rows[name] for name in (model, *sorted(bases(fleet, model)), "") if name in rows), None)


def declared(part: Deployment) -> Iterable[Coefficient]:
    """The throughput of a deployment, tokens a second and GPU, as the time a token takes; cached prompts at the rate of all
    prompts where they have none of their own."""
    rates = dict(part.throughput)
    if rates:
        prefill, decode = PS_A_SECOND // rates["prefill"], PS_A_SECOND // rates["decode"]
        kinds = {
            **dict.fromkeys(PREFILL, prefill),
            **dict.fromkeys(DECODE, decode),
            "cache_read": PS_A_SECOND // rates.get("cache_read", rates["prefill"]),
        }
        yield Coefficient(
            deployment=part.id,
            model="",
            method="throughput/1",
            during=part.during,
            kinds=tuple(kinds.items()),
            context_as=0,
            failure="",
        )


def blended(known: Phases) -> Shares:
    """Every token weighs the same."""
    counts = {kind: sum(kinds.get(kind, 0) for kinds in known.used.values()) for kind in KINDS}
    return Shares(sum(counts[kind] for kind in PREFILL), sum(counts[kind] for kind in DECODE))


def shares(workload: int, used: Mapping[tuple[Consumer, str], int], phases: Shares) -> dict[tuple[Consumer, str], int]:
    """Divide a workload over phases, and each phase over who used what kind of token. Some token must weigh something."""
    costs = split(workload, {"decode": phases.decode, "prefill": phases.prefill})
    found = dict.fromkeys(used, 0)
    for phase, kinds in (("decode", DECODE), ("prefill", PREFILL)):
        ordered = {
            (who.model, who.caller, who.tier, kind): weight for (who, kind), weight in used.items() if kind in kinds
        }
        for (model, caller, tier, kind), cost in split(costs[phase], ordered).items():
            found[Consumer("self", model, caller, tier), kind] = cost
    return found


def _weighing(known: Phases, shares: Shares | None) -> Shares | None:
    if shares is None:
        return None
    prefill = shares.prefill if totals(known.weights, PREFILL) else 0
    decode = shares.decode if totals(known.weights, DECODE) else 0
    return Shares(prefill, decode) if prefill + decode else None
