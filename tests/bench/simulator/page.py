"""Write metering/METHODS.md and its picture: `make methods`, or `python -m tests.bench.simulator.page`.

The product meters the simulated hours with the rung it has; what is not on the page's own arithmetic to the nano is an error.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

from tests.bench.simulator import methods, product
from tests.bench.simulator.engine import simulate
from tests.bench.simulator.judged import TOTAL_NANO, Error, Judged, judge, middle
from tests.bench.simulator.plot import svg
from tests.bench.simulator.prose import ACROSS, BASES, CHOICE, END, INTRODUCTION, PHASES, TEAMS, WORKLOADS_TEXT
from tests.bench.simulator.recorded import recorded
from tests.bench.simulator.workloads import WORKLOADS, Workload

HOME: Final = Path(__file__).parents[3]
PAGE: Final = "metering/METHODS.md"
PICTURE: Final = "metering/methods.svg"
SEED: Final = 1
SHOWN: Final = (
    "measured",
    "regression",
    "roofline",
    "throughput",
    "weights",
    "blended",
    "calibrated weights",
    "regression on steps",
    "processor sharing",
    "one price per token",
    "mean taken as sum",
    "summed wall time",
)
"""Columns of the tables by workload; the variants with context are in the table across all."""
QUOTED: Final = (
    *(
        (name, method)
        for name in ("day and night", "bursty", "speculative")
        for method in ("weights", "processor sharing")
    ),
    *((name, "processor sharing") for name in ("embeddings", "batch")),
    *((name, method) for name in ("agents", "long decode") for method in ("weights", "weights + context")),
    ("long decode", "calibrated weights"),
)
"""Cells that sentences quote."""
KINDS: Final = {
    **dict.fromkeys(methods.RUNGS, "ladder"),
    **{f"{name} + context": "context" for name in methods.RUNGS},
    **dict.fromkeys(("calibrated weights", "regression on steps", "processor sharing"), "other"),
    **dict.fromkeys(("one price per token", "mean taken as sum", "summed wall time"), "wrong"),
}


def main() -> int:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=HOME, help="write under another folder than the repository")
    options = parser.parse_args()
    for name, text in written(judged_all(WORKLOADS)).items():
        path = options.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        print(path)
    return 0


def judged_all(workloads: Sequence[Workload]) -> list[Judged]:
    """Simulate, meter in the product, compare. Raises: AssertionError where the product differs from this page's arithmetic."""
    runs = [simulate(workload.card, workload.requests(), SEED) for workload in workloads]
    with tempfile.TemporaryDirectory() as folder:
        metered = product.metered(runs, Path(folder))
    found = []
    for workload, run, hour in zip(workloads, runs, metered, strict=True):
        record = recorded(run)
        own = methods.divided(TOTAL_NANO, methods.weights(run, record), record)
        assert (own.teams, own.prefill, own.decode) == (hour.teams, hour.prefill, hour.decode), hour.method
        found.append(judge(workload, run, record))
    return found


def written(judged: Sequence[Judged]) -> dict[str, str]:
    """The text of each file, by its path in the repository."""
    names = list(judged[0].errors)
    distances = {name: [one.errors[name].distance for one in judged] for name in names}
    figures = _figures(judged)
    parts = [
        INTRODUCTION.format(**figures),
        CHOICE.format(**figures),
        ACROSS.format(**figures),
        _across(judged, names),
        TEAMS.format(**figures),
        _by_workload(judged, lambda error: error.distance),
        "The team that fares worst, relative to its true cost:\n",
        _by_workload(judged, lambda error: error.worst),
        PHASES.format(**figures),
        _by_workload(judged, lambda error: error.phase),
        BASES.format(**figures),
        _bases(judged),
        WORKLOADS_TEXT.format(**figures),
        _workloads(judged),
        END.format(**figures),
    ]
    picture = svg(distances, KINDS, "Money on the wrong team: a dot per workload, the median as a bar")
    return {PAGE: "\n".join(parts), PICTURE: picture}


def _figures(judged: Sequence[Judged]) -> dict[str, str]:
    """Numbers that the sentences quote."""
    found = {"count": str(len(judged))}
    for name in judged[0].errors:
        key = name.replace(" + ", "_").replace(" ", "_")
        errors = [one.errors[name] for one in judged]
        found[f"{key}_median"] = percent(middle([error.distance for error in errors]))
        found[f"{key}_most"] = percent(max(error.distance for error in errors))
        phases = [error.phase for error in errors if error.phase is not None]
        found[f"{key}_phase"] = percent(middle(phases)) if phases else ""
        found[f"{key}_phase_most"] = percent(max(phases)) if phases else ""
    named = {one.workload.name: one for one in judged}
    for name, method in QUOTED:
        key = f"{name} {method}".replace(" + ", "_").replace(" ", "_")
        found[key] = percent(named[name].errors[method].distance)
    passed = [one for one in judged if Fraction(one.regressions[0]) >= methods.R2_LEAST]
    found["gate_passed"], found["gate_names"] = str(len(passed)), " and ".join(one.workload.name for one in passed)
    found["wall_least"], found["wall_most"] = (times(pick(one.wall for one in judged)) for pick in (min, max))
    found["wall_median"] = times(middle([one.wall for one in judged]))
    found["mean_median"] = times(middle([one.understated for one in judged]))
    found["context_better"] = str(
        sum(one.errors["weights + context"].distance < one.errors["weights"].distance for one in judged)
    )
    return found


def _across(judged: Sequence[Judged], names: Iterable[str]) -> str:
    head = ("method", "wrong team, median", "worst", "team error, mean", "worst", "phase error, median", "worst")
    rows = []
    for name in names:
        errors = [one.errors[name] for one in judged]
        phases = [error.phase for error in errors if error.phase is not None]
        rows.append(
            (
                name,
                percent(middle([error.distance for error in errors])),
                percent(max(error.distance for error in errors)),
                percent(sum((error.mean for error in errors), Fraction(0)) / len(errors)),
                percent(max(error.worst for error in errors)),
                percent(middle(phases)) if phases else "",
                percent(max(phases)) if phases else "",
            )
        )
    return table(head, rows)


def _by_workload(judged: Sequence[Judged], figure: Callable[[Error], Fraction | None]) -> str:
    columns = [name for name in SHOWN if any(figure(one.errors[name]) is not None for one in judged)]
    rows = []
    for one in judged:
        values = {name: figure(one.errors[name]) for name in columns}
        rows.append((one.workload.name, *("" if value is None else percent(value) for value in values.values())))
    return table(("workload", *columns), rows)


def _bases(judged: Sequence[Judged]) -> str:
    head = ("workload", "requests in a step", "summed wall time / busy time", "true decode time / mean decode time")
    return table(
        head, [(one.workload.name, number(one.batch), times(one.wall), times(one.understated)) for one in judged]
    )


def _workloads(judged: Sequence[Judged]) -> str:
    head = ("workload", "what", "runs on", "requests", "true prefill", "true shares", "R2: tokens", "R2: and steps")
    rows = []
    for one in judged:
        shares = ", ".join(f"{team} {percent(Fraction(nano, TOTAL_NANO))}" for team, nano in sorted(one.truth.items()))
        rows.append(
            (
                one.workload.name,
                one.workload.what,
                one.workload.card.name,
                f"{one.requests:,}",
                percent(one.prefill),
                shares,
                *one.regressions,
            )
        )
    return table(head, rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, figures to the right."""
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows)) + "\n"


def percent(part: Fraction) -> str:
    """A part of one, to a tenth of a percent, half to even."""
    tenths = round(part * 1000)
    return f"{tenths // 10}.{tenths % 10} %"


def times(factor: Fraction) -> str:
    """A factor, to a tenth below ten."""
    return f"{number(factor)} x"


def number(value: Fraction) -> str:
    """To a tenth below ten, else whole."""
    tenths = round(value * 10)
    return f"{tenths // 10}.{tenths % 10}" if value < 10 else f"{round(value):,}"


if __name__ == "__main__":
    raise SystemExit(main())
