"""`apportion calibrate`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from math import inf, isfinite

from rich.markup import escape

from apportion.cli.exclusive import opened
from apportion.cli.output import console, print_json
from apportion.cli.times import instant
from apportion.config.load import load
from apportion.config.model import Config
from apportion.config.phases import ServiceLevel
from apportion.config.phases_reading import milliseconds, quantile
from apportion.config.values import stamp
from apportion.domain.clock import SystemClock
from apportion.domain.errors import UsageError
from apportion.domain.period import HOUR, Period, hour_of
from apportion.ledger.connection import Session
from metering import calibration, capacity
from metering.calibration import Fit
from metering.capacity import Capacity

LOOK_BACK = timedelta(days=28)
"""Four weeks: every day of the week as often as the others."""

_SOURCES = {"gpu": "GPUs tell their activity", "engine": "engines tell their time", "": "telemetry tells enough"}
UNKNOWN = {
    "r2": "every hour took the same time, so there is nothing to explain",
    "condition": "the tokens of one kind are a mixture of others",
}
"""Figure of a fit -> why it may be no number."""
_UNITS = {"context": "GPU-attoseconds per token of context"}
_SPLIT = """
SELECT coalesce(sum(prefill_nano), 0)::HUGEINT, coalesce(sum(decode_nano), 0)::HUGEINT, string_agg(DISTINCT allocation_method, ', ')
FROM metering.deployment_hourly
WHERE deployment_no = $deployment_no AND prefill_nano + decode_nano > 0
    AND charge_period_start >= $period_start AND charge_period_start < $period_end
"""
_TOKENS = """
SELECT coalesce(sum(uncached_input_tokens + cache_write_tokens), 0)::HUGEINT, coalesce(sum(cache_read_tokens), 0)::HUGEINT,
    coalesce(sum(output_tokens + reasoning_tokens), 0)::HUGEINT, coalesce(sum(context_tokens), 0)::HUGEINT
FROM metering.model_usage_hourly
WHERE deployment_no = $deployment_no AND charge_period_start >= $period_start AND charge_period_start < $period_end
"""


def run(options: argparse.Namespace) -> int:
    """Fit the time of tokens, or learn a capacity; what cannot be said is said, and makes the exit code 1."""
    config, clock = load(options.config), SystemClock()
    since, until = instant(options.since, "--since"), instant(options.until, "--until")
    effective_from = instant(options.effective_from, "--from")
    for moment, option in ((since, "--since"), (until, "--until"), (effective_from, "--from")):
        if moment is not None and moment != hour_of(moment):
            raise UsageError(f"{option} is inside an hour; hours count whole, so write the start of one.")
    with opened(options, config, clock) as pipeline:
        session = pipeline.ledger.session()
        deployment_no = calibration.numbered(session, options.deployment)
        window = _window(session, since, until)
        if options.capacity:
            return _capacity(options, capacity.learn(session, deployment_no, window, _level(config, options)))
        found = calibration.fit(session, deployment_no, window, r2_min=_r2(options.min_r2))
        kept = False
        if not options.dry_run:
            with pipeline.ledger.transaction() as writing:
                kept = calibration.record(writing, found, effective_from or window.end, clock.now())
        told = {"deployment": options.deployment, **_told(session, found), "recorded": kept}
    _show(told, found, options)
    return 1 if found.failure else 0


def _window(session: Session, since: datetime | None, until: datetime | None) -> Period:
    """What was asked for, else the last four weeks that were metered."""
    first, last = session.row("SELECT min(charge_period_start), max(charge_period_start) FROM metering.metered_hour")
    if last is None:
        raise UsageError("no hour is metered yet, so there is nothing to learn from; run `apportion meter` first.")
    end = until or last + HOUR
    start = since or max(first, end - LOOK_BACK)
    if start >= end:
        raise UsageError(f"the time from {stamp(start)} to {stamp(end)} holds no hour; correct --since or --until.")
    return Period(start, end)


def _level(config: Config, options: argparse.Namespace) -> ServiceLevel:
    """The service level of the options, each of which goes before the config's. Raises: UsageError where one is missing."""
    written = [row.service_level for row in config.deployments if row.id == options.deployment and row.service_level]
    level = written[-1] if written else ServiceLevel(ttft_us=0, tpot_us=0, quantile_ppm=950_000)
    given = {
        "ttft_us": _given(options.ttft_ms, "--ttft-ms", milliseconds),
        "tpot_us": _given(options.tpot_ms, "--tpot-ms", milliseconds),
        "quantile_ppm": _given(options.quantile, "--quantile", quantile),
    }
    level = replace(level, **{name: value for name, value in given.items() if value is not None})
    if not level.ttft_us or not level.tpot_us:
        raise UsageError(
            "a capacity holds at a service level; give --ttft-ms and --tpot-ms, or add service_level = "
            '{ ttft_ms = 500, tpot_ms = 50, quantile = "0.95" } to the deployment.'
        )
    return level


def _given(text: str | None, option: str, convert: Callable[[object], int]) -> int | None:
    try:
        return None if text is None else convert(text)
    except ValueError as error:
        raise UsageError(f"{option} {error}.") from None


def _r2(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found <= 1:
        raise UsageError(f"--min-r2 {text!r} is not a share; write one from 0 to 1, such as 0.9.")
    return found


def _told(session: Session, found: Fit) -> dict[str, object]:
    """The fit in plain values, with what it would make of the window's cost."""
    window = {
        "deployment_no": found.deployment_no, "period_start": found.window.start, "period_end": found.window.end,
    }  # fmt: skip
    prompt, cache_read, decode, context = session.row(_TOKENS, window)
    prefill_nano, decode_nano, methods = session.row(_SPLIT, window)
    ps, figures = found.picoseconds, _figures(found)
    time = (
        prompt * ps["prompt"] + cache_read * ps["cache_read"],
        decode * ps["decode"] + context * ps["context"] // 10**6,
    )
    return {
        "since": stamp(found.window.start), "until": stamp(found.window.end), "hours": found.hours, "source": found.source,
        "coefficients": ps, "r2": figures["r2"], "condition": figures["condition"],
        "unknown": {name: UNKNOWN[name] for name in figures if found.solution and figures[name] is None},
        "prefill_percent": _percent(*time),
        "prefill_percent_now": _percent(prefill_nano, decode_nano), "method_now": methods or "", "failure": found.failure,
        "remedy": _remedy(found),
    }  # fmt: skip


def _figures(found: Fit) -> dict[str, float | None]:
    """How good a fit is; None for what is no number, which JSON does not know."""
    fitted = {"r2": found.solution.r2, "condition": found.solution.condition} if found.solution else {}
    return {name: fitted[name] if isfinite(fitted.get(name, inf)) else None for name in UNKNOWN}


def _remedy(found: Fit) -> str:
    """What to do about a fit that failed; empty where it did not."""
    if not found.failure:
        return ""
    if not found.solution:
        return (
            "widen --since and --until, or wait for more hours; one counts where GPUs or engines told of min_coverage of it, and "
            "`apportion status` shows what arrives"
        )
    apart = 'choose a time in which prompts and outputs change apart, or phase_split = "roofline" or "throughput", which learn nothing'
    holes = "look for other work on these GPUs and for holes in the logs, or choose another time"
    together = found.solution.condition > calibration.CONDITION_MAX
    return "; ".join([apart] * together + [holes] * (not together or "; " in found.failure))


def _percent(prefill: int, decode: int) -> str:
    """One part of two, with one digit after the point; empty where there is nothing."""
    if prefill + decode == 0:
        return ""
    tenths = (prefill * 2000 + prefill + decode) // (2 * (prefill + decode))
    return f"{tenths // 10}.{tenths % 10}"


def _show(told: dict[str, object], found: Fit, options: argparse.Namespace) -> None:
    if options.json:
        print_json(told)
        return
    screen = console()
    screen.print(
        f"{told['deployment']}: {found.hours} hours in which {_SOURCES[found.source]}, {told['since']} to {told['until']}"
    )
    if found.solution:
        from exporters.columns import Column, show_columns

        terms = list(found.picoseconds)
        columns = [
            Column("tokens", terms),
            Column("time", [f"{value:,}" for value in found.picoseconds.values()], is_number=True),
            Column("unit", [_UNITS.get(term, "GPU-picoseconds per token") for term in terms]),
            Column("fitted", ["yes" if term in found.terms else "no" for term in terms]),
        ]
        screen.print()
        show_columns("Time of a token", columns, screen)
        screen.print()
        r2, condition = told["r2"], told["condition"]
        screen.print(
            f"R2 {'none: ' + UNKNOWN['r2'] if r2 is None else f'{r2:.4f}'}, "
            f"condition number {'infinite: ' + UNKNOWN['condition'] if condition is None else f'{condition:.1f}'}"
        )
    if found.failure:
        kept = "; what was in force before stays so" if not told["recorded"] and not options.dry_run else ""
        screen.print(f"[red]no calibration[/red]: {escape(found.failure)}{kept}; {_remedy(found)}", soft_wrap=True)
        return
    screen.print(
        f"prefill would bear {told['prefill_percent'] or '-'} % of the cost of phases, and bears "
        f"{told['prefill_percent_now'] or '-'} % now ({told['method_now'] or 'no cost'})"
    )
    done = "nothing was written" if options.dry_run else 'recorded; phase_split = "auto" or "regression" takes it'
    screen.print(done)


def _capacity(options: argparse.Namespace, found: Capacity) -> int:
    told = {
        "deployment": options.deployment, "since": stamp(found.window.start), "until": stamp(found.window.end),
        "hours_met": found.hours_met, "hours_missed": found.hours_missed, "hours_unknown": found.hours_unknown,
        "capacity_per_gpu_hour": found.best or None, "best_at": found.best_at and stamp(found.best_at),
        "missed_least": found.missed_least, "failure": found.failure, "remedy": _capacity_remedy(found),
    }  # fmt: skip
    if options.json:
        print_json(told)
        return 1 if found.failure else 0
    screen = console()
    screen.print(
        f"{options.deployment}: {found.hours_met} hours met the service level, {found.hours_missed} missed it; "
        f"{found.hours_unknown} tell too little"
    )
    if found.failure:
        screen.print(f"[red]no capacity[/red]: {escape(found.failure)}; {_capacity_remedy(found)}")
        return 1
    if found.missed_least is None:
        screen.print("no hour missed it, so this is the least that the deployment sustains, and it may sustain more")
    else:
        screen.print(f"the least loaded hour that missed it did {found.missed_least:,} weighted tokens per GPU-hour")
    screen.print(f"write into the [[deployments]] table of {options.deployment!r}:", markup=False)
    screen.print(f"capacity_per_gpu_hour = {found.best:_}", markup=False)
    screen.print('capacity_source = "learned"', markup=False)
    return 0


def _capacity_remedy(found: Capacity) -> str:
    """What to do where no capacity can be told; empty where one can."""
    if not found.failure:
        return ""
    if found.hours_unknown:
        return "let requests carry ttft_ms and duration_ms, or widen --since and --until"
    if found.hours_missed and not found.hours_met:
        return "give limits that it meets with --ttft-ms and --tpot-ms, or give it more GPUs"
    return "widen --since and --until, or wait for more hours"
