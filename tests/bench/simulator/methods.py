"""Every method of dividing busy time that the page compares, in the integer arithmetic of the product.

A method of the ladder says two things: what the workload is split into prefill and decode by, and (the `+context` variants)
that decode tokens weigh by the context before them too. Within a phase money is split over (team, token kind) by weights.
`metering` computes the rungs that it has: see product.py, which the page holds against this module to the nano.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Final

from apportion.domain.money import split
from tests.bench.simulator import bases
from tests.bench.simulator.bases import Phases, Split
from tests.bench.simulator.cards import Card
from tests.bench.simulator.engine import Run
from tests.bench.simulator.nnls import fit
from tests.bench.simulator.recorded import Recorded

WEIGHTS: Final = {"uncached_input": 1_000_000, "cache_read": 100_000, "output": 6_000_000}
"""The policy's default weights 1, 0.1 and 6, in parts per million of an uncached input token."""

INPUTS: Final = ("cache_read", "uncached_input")
PICO_FS: Final = 1000
"""Femtoseconds in a picosecond."""
R2_LEAST: Final = Fraction(9, 10)
"""A regression that explains less says nothing: its hours fall to the weights."""
ROOFLINE_BATCH: Final = 32
"""What the roofline rung takes the batch to be where nobody says: `[[models]] batch`."""


Rung = Callable[[Run, Recorded], Phases]


def divided(total: int, phases: Phases, record: Recorded, within: Mapping[str, int] = WEIGHTS) -> Split:
    """Money by phase and, within each, by weighted tokens: `split` twice, as an hour of the product does it.

    Args:
        total: nano of the workload.
        phases: of a rung.
        record: tokens by team and kind.
        within: weights of the kinds, and of `context`: a decoded token and token of context.
    """
    weights: dict[str, dict[tuple[str, str], int]] = {"prefill": {}, "decode": {}}
    for (team, kind), tokens in record.tokens.items():
        phase = "prefill" if kind in INPUTS else "decode"
        weights[phase][team, kind] = tokens * within[kind]
        if phase == "decode":
            weights[phase][team, kind] += record.context[team] * within.get("context", 0)
    shares = {name: getattr(phases, name) if sum(weights[name].values()) else 0 for name in weights}
    parts = split(total, shares)
    teams: Counter[str] = Counter()
    for phase, amount in parts.items():
        for (team, _), nano in split(amount, weights[phase]).items():
            teams[team] += nano
    return Split(prefill=parts["prefill"], decode=parts["decode"], teams=dict(teams), inputs=phases.inputs)


def _weighted(record: Recorded, each: Mapping[str, int]) -> Phases:
    sums = record.by_kind()
    return Phases(prefill=sum(sums[kind] * each[kind] for kind in INPUTS), decode=sums["output"] * each["output"])


def weights(_: Run, record: Recorded) -> Phases:
    """weights/1: the policy's weights say what a phase is worth."""
    return _weighted(record, WEIGHTS)


def blended(_: Run, record: Recorded) -> Phases:
    """blended/1: a token is a token, between the phases; within them the policy's weights hold."""
    return _weighted(record, dict.fromkeys(WEIGHTS, 1))


def throughput(_: Run, record: Recorded) -> Phases:
    """throughput/1: tokens per second of prompts alone and of decoding alone, each measured on these very requests."""
    prefill_ps, decode_ps = record.calibration_ps
    return _by_coefficients(record, {"uncached_input": prefill_ps, "output": decode_ps})


def measured(run: Run, _: Recorded) -> Phases:
    """measured/1: seconds by kind of batch, as engines tell them; a mixed batch by the tokens in it."""
    prefill = decode = 0
    for step in run.steps:
        part = step.cost_fs * step.prompt_tokens // (step.prompt_tokens + step.output_tokens)
        prefill += part
        decode += step.cost_fs - part
    return Phases(prefill=prefill // 10**9, decode=decode // 10**9)  # as they are told: whole microseconds


def regression(run: Run, record: Recorded) -> Phases:
    """regression/1: non-negative least squares of busy seconds on tokens, over scrape intervals of lighter and this load.

    Where it explains less than the gate asks, the weights decide, as in the product; `inputs` says how much it explained.
    """
    found, r2 = _fitted(record, ("uncached_input", "cache_read", "output", "context"))
    scale = {"context": 10**6}  # attoseconds where the others are picoseconds
    coefficients = {name: round(value * scale.get(name, 1) / PICO_FS) for name, value in found.items()}
    phases = _by_coefficients(record, coefficients) if r2 >= R2_LEAST else weights(run, record)
    return Phases(prefill=phases.prefill, decode=phases.decode, inputs=f"{float(r2):.2f}")


def regression_on_steps(total: int, run: Run, record: Recorded) -> Split:
    """The same with one more column: how many steps the engine made, which vLLM counts (`iteration_tokens_total_count`).

    What steps cost whatever is in them is shared as the batch shares it, by requests in steps: a chunk of a prompt is one, a
    token of output is one. What it finds weighs tokens within the phases too.
    """
    found, r2 = _fitted(record, ("steps", "uncached_input", "cache_read", "output", "context"))
    rate = {name: round(found.get(name, Fraction(0))) for name in ("uncached_input", "cache_read", "output", "context")}
    sums = record.by_kind()
    fixed = round(len(run.steps) * found.get("steps", Fraction(0)))
    made = fixed * sums["output"] // (sums["output"] + record.chunks)
    prefill = sums["uncached_input"] * rate["uncached_input"] + sums["cache_read"] * rate["cache_read"] + fixed - made
    decode = sums["output"] * rate["output"] + sum(record.context.values()) * rate["context"] + made
    within = {**rate, "output": rate["output"] + made // max(sums["output"], 1)}
    if not within["uncached_input"]:
        within["uncached_input"] = 1
    phases = Phases(prefill=prefill, decode=decode, inputs=f"{float(r2):.2f}")
    return divided(total, phases, record, within)


def _fitted(record: Recorded, names: Sequence[str]) -> tuple[dict[str, Fraction], Fraction]:
    """Femtoseconds by column, of those that are not all zero, and R2."""
    columns = {name: column for name in names if any(column := [row[name] for row in record.intervals])}
    found, r2 = fit(list(columns.values()), [row["busy"] for row in record.intervals])
    return dict(zip(columns, found, strict=True)), r2


def roofline(run: Run, record: Recorded) -> Phases:
    """roofline/1: FLOPs and bytes over datasheet peaks, at an assumed batch; prompts by the larger of the two, as decoding."""
    return _by_coefficients(record, roofline_ps(run.card))


def roofline_ps(card: Card) -> dict[str, int]:
    """Replica-picoseconds per token, and attoseconds per decoded token and token of context."""
    compute_ps = card.model.token_flops * 10**12 // (card.gpu.flops * card.gpus)
    weights_ps = card.model.weight_bytes * 10**12 // (card.gpu.bandwidth * card.gpus * ROOFLINE_BATCH)
    context_as = card.model.kv_bytes * 10**18 // (card.gpu.bandwidth * card.gpus)
    return {"uncached_input": compute_ps, "output": max(compute_ps, weights_ps), "context": context_as}


def _by_coefficients(record: Recorded, coefficients: Mapping[str, int]) -> Phases:
    sums = record.by_kind()
    context_ps = sum(record.context.values()) * coefficients.get("context", 0) // 10**6
    return Phases(
        prefill=sum(sums[kind] * coefficients.get(kind, 0) for kind in INPUTS),
        decode=sums["output"] * coefficients.get("output", 0) + context_ps,
    )


def with_context(card: Card) -> dict[str, int]:
    """The default weights, and the context weight that this card calls for: reading a token of context against computing one."""
    return {**WEIGHTS, "context": _ppm(card.context_fs, card.prefill_fs)}


def calibrated(run: Run, record: Recorded) -> dict[str, int]:
    """Weights of a policy set from the two single-phase runs and the bytes of a token of context, nothing assumed.

    Decoding alone is `output x w_output + context x w_context`; a cached token is read, not computed.
    """
    prefill_ps, decode_ps = record.calibration_ps
    output = record.by_kind()["output"]
    read = _ppm(run.card.context_fs, prefill_ps * PICO_FS)
    whole = _ppm(decode_ps, prefill_ps) * output
    return {
        "uncached_input": 1_000_000,
        "cache_read": read,
        "output": max(whole - sum(record.context.values()) * read, 0) // max(output, 1),
        "context": read,
    }


def _ppm(part: int, whole: int) -> int:
    return round(Fraction(part * 10**6, max(whole, 1)))


RUNGS: Final[dict[str, Rung]] = {
    "measured": measured,
    "regression": regression,
    "roofline": roofline,
    "throughput": throughput,
    "weights": weights,
    "blended": blended,
}
"""In the order of the ladder."""


def every(run: Run, total: int, record: Recorded) -> dict[str, Split]:
    """Each method's split of a run, by the name it has on the page."""
    context, own = with_context(run.card), calibrated(run, record)
    phases = {name: rung(run, record) for name, rung in RUNGS.items()}
    found = {name: divided(total, one, record) for name, one in phases.items()}
    found |= {f"{name} + context": divided(total, one, record, context) for name, one in phases.items()}
    found["calibrated weights"] = divided(total, phases["throughput"], record, own)
    found["regression on steps"] = regression_on_steps(total, run, record)
    found["processor sharing"] = bases.processor_sharing(total, record)
    found["one price per token"] = bases.per_token(total, record)
    found["mean taken as sum"] = divided(total, bases.mean_as_sum(run, record), record)
    found["summed wall time"] = bases.summed_wall_time(total, record)
    return found
