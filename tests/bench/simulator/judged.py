"""How far each method is from the truth: by team, by the whole distribution, and by phase."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from statistics import median
from typing import Final

from tests.bench.simulator import methods
from tests.bench.simulator.bases import Split
from tests.bench.simulator.engine import Run
from tests.bench.simulator.recorded import Recorded
from tests.bench.simulator.shapley import nano_of
from tests.bench.simulator.workloads import Workload

TOTAL_NANO: Final = 9_960_000_000
"""Four GPUs at 2.49 for an hour: what every workload costs, in the product as here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """A method on a workload, all as parts of one.

    Attributes:
        distance: total variation: the part of the money that is on the wrong team.
        worst: of any team, relative to its true cost.
        mean: of the teams, likewise.
        phase: of the prefill share, absolute; None where the method knows no phases.
    """

    distance: Fraction
    worst: Fraction
    mean: Fraction
    phase: Fraction | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A workload with its truth and every method's error.

    Attributes:
        workload: what was simulated.
        requests: served.
        batch: requests in a step, on average.
        truth: nano by team.
        prefill: its true share.
        errors: by method.
        wall: summed request wall time over busy time.
        understated: true decode time over the mean decode time of a request.
        regressions: R2 of the regression on tokens, and of the one on steps too.
    """

    workload: Workload
    requests: int
    batch: Fraction
    truth: dict[str, int]
    prefill: Fraction
    errors: dict[str, Error]
    wall: Fraction
    understated: Fraction
    regressions: tuple[str, str]


def judge(workload: Workload, run: Run, record: Recorded) -> Judged:
    """Every method on a run and its log."""
    true: Counter[str] = Counter()
    prefill = 0
    for one in run.served:
        true[one.request.team] += one.prefill_fs + one.decode_fs
        prefill += one.prefill_fs
    assert true.total() == run.busy_fs, "a step's cost is on exactly its members"
    truth = nano_of(TOTAL_NANO, true)
    found = methods.every(run, TOTAL_NANO, record)
    share = Fraction(prefill, run.busy_fs)
    in_steps = sum(len(step.prefilling) + len(step.decoding) for step in run.steps)
    wall_us = sum(life.end_us - life.start_us for life in record.lives)
    decode_us = (run.busy_fs - prefill) // 10**9
    return Judged(
        workload=workload,
        requests=len(run.served),
        batch=Fraction(in_steps, len(run.steps)),
        truth=truth,
        prefill=share,
        errors={name: error(split, truth, share) for name, split in found.items()},
        wall=Fraction(wall_us * 10**9, run.busy_fs),
        understated=Fraction(decode_us, max(record.mean_decode_us, 1)),
        regressions=(found["regression"].inputs, found["regression on steps"].inputs),
    )


def error(split: Split, truth: Mapping[str, int], prefill: Fraction) -> Error:
    """A method's split against the truth. Both add up to the same money."""
    assert sum(split.teams.values()) == sum(truth.values()), "a method keeps the law"
    off = {team: abs(split.teams.get(team, 0) - nano) for team, nano in truth.items()}
    relative = [Fraction(off[team], nano) for team, nano in truth.items()]
    phases = split.prefill + split.decode
    return Error(
        distance=Fraction(sum(off.values()), 2 * sum(truth.values())),
        worst=max(relative),
        mean=sum(relative, Fraction(0)) / len(relative),
        phase=abs(Fraction(split.prefill, phases) - prefill) if phases else None,
    )


def middle(values: list[Fraction]) -> Fraction:
    """The median, exactly."""
    return Fraction(median(values))
