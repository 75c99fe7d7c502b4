"""What load does to a token's price: little where utilization is read against a capacity, tenfold and more where it is read off a
busy counter. Two sources, both through the ledger.

The vLLM runs: 500 prompts in 420 and in 168 seconds on one GPU. Every 20 seconds of them become an hour (all times 180-fold), so
that hours differ in load as much as the runs do. Between whole runs, busy-based prices differ only 2.5-fold: see test_traces.

Splitwise's published step times: how long batches of 1 to 64 requests of 512 prompt and 128 output tokens take. An hour per
batch size holds as many requests as fit into it one batch after another, so that the GPUs are busy all of every hour.

Capacity is what the highest of these loads reaches, in weighted tokens: then a token's price cannot move but by rounding, which is
the point of it. It is not measured anew here, and where it is declared too low, the last test says what happens.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.e2e import fleets, product, traces
from tests.shared_data import shared

pytestmark = pytest.mark.traces

CAPACITY_MOVES_AT_MOST = Fraction(11, 10)
BUSY_MOVES_AT_LEAST = 10

STRETCH = 180
START = datetime(2024, 10, 27, tzinfo=UTC)
WEIGHTS = {"uncached_input_tokens": 1, "output_tokens": 6}

PRICES = """
SELECT charge_period_start, deployment_id, sum(effective_cost_nano)::BIGINT, sum(consumed_tokens)::BIGINT
FROM metering.charge_hourly JOIN book.deployment_key USING (deployment_no)
WHERE cost_kind = 'workload' AND token_kind = 'output' AND deployment_no > 0 GROUP BY ALL ORDER BY ALL
"""
IDLE = "SELECT sum(idle_nano)::BIGINT, sum(effective_cost_nano)::BIGINT FROM metering.deployment_hourly GROUP BY charge_period_start"


def stretched(scale: int) -> traces.Trace:
    """A vLLM run with 180 times as long between any two of its events and readings; what is after its last whole hour is cut off."""
    run = traces.vllm_run(scale)
    hours = (run.end - run.start) * STRETCH // timedelta(hours=1)
    end = START + timedelta(hours=hours)

    def later(records: list[traces.Event], key: str) -> Iterator[traces.Event]:
        for record in records:
            at = START + (datetime.fromisoformat(record[key]) - run.start) * STRETCH
            if START <= at < end:
                yield {**record, key: at.isoformat()}

    return traces.Trace(
        name=run.name,
        events=list(later(run.events, "occurred_at")),
        samples=list(later(run.samples, "sampled_at")),
        start=START,
        end=end,
    )


def weighted_by_hour(trace: traces.Trace) -> dict[datetime, int]:
    """Weighted tokens of each hour, by the policy's default weights."""
    found: dict[datetime, int] = defaultdict(int)
    for event in trace.events:
        hour = datetime.fromisoformat(event["occurred_at"]).replace(minute=0, second=0, microsecond=0)
        found[hour] += sum(weight * event[kind] for kind, weight in WEIGHTS.items())
    return found


def prices(folder: Path, document: fleets.Document, trace: traces.Trace) -> tuple[dict[Any, Fraction], list[Fraction]]:
    """Nano per output token of each hour and deployment that has any, and the idle share of each hour, by the ledger."""
    folder.mkdir()
    with product.opened(folder, document, trace.end + timedelta(hours=1)) as pipeline:
        product.land(pipeline, folder, trace)
        pipeline.meter()
        session = pipeline.ledger.session()
        found = {(hour, name): Fraction(nano, tokens) for hour, name, nano, tokens in session.rows(PRICES)}
        return found, [Fraction(idle, cost) for idle, cost in session.rows(IDLE)]


def moves(found: Mapping[Any, Fraction]) -> Fraction:
    """How many times the least the most is."""
    return max(found.values()) / min(found.values())


@pytest.fixture(scope="module")
def runs() -> dict[int, traces.Trace]:
    """Both runs, stretched."""
    return {scale: stretched(scale) for scale in (100, 500)}


@pytest.fixture(scope="module")
def highest(runs: dict[int, traces.Trace]) -> int:
    """Weighted tokens of the busiest hour of either run."""
    return max(max(weighted_by_hour(trace).values()) for trace in runs.values())


@pytest.fixture(scope="module")
def priced(
    runs: dict[int, traces.Trace], highest: int, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[int, str], tuple[dict[Any, Fraction], list[Fraction]]]:
    """Prices and idle shares of both runs, each metered by busy time and against the one capacity."""
    folder = tmp_path_factory.mktemp("priced")
    return {
        (scale, utilization): prices(
            folder / f"{scale}-{utilization}",
            fleets.with_policy(fleets.vllm(trace, highest), utilization=utilization),
            trace,
        )
        for scale, trace in runs.items()
        for utilization in ("active", "capacity")
    }


@pytest.mark.parametrize("scale", [100, 500])
def test_a_vllm_run_moves_prices_by_busy_time_only(priced: dict[tuple[int, str], Any], scale: int) -> None:
    """Within each run an output token's price moves more than tenfold by busy time, and by capacity it does not move."""
    busy, _ = priced[scale, "active"]
    capacity, idle = priced[scale, "capacity"]

    assert set(busy) == set(capacity)
    assert len(busy) >= 8
    assert moves(busy) > BUSY_MOVES_AT_LEAST
    assert moves(capacity) <= CAPACITY_MOVES_AT_MOST
    assert max(idle) - min(idle) > Fraction(1, 2), "what prices do not say, idle does"


def test_both_vllm_runs_have_one_price_by_capacity(priced: dict[tuple[int, str], Any]) -> None:
    """The light run's tokens cost what the heavy run's cost, hour for hour; by busy time they are tenfold apart and more."""
    for utilization, moved in (("active", False), ("capacity", True)):
        found = {(scale, *key): price for scale in (100, 500) for key, price in priced[scale, utilization][0].items()}
        assert (moves(found) <= CAPACITY_MOVES_AT_MOST) is moved
        assert (moves(found) > BUSY_MOVES_AT_LEAST) is not moved


@pytest.mark.parametrize(("scale", "least"), [(100, 20), (500, 10)])
def test_the_engines_own_counters_say_the_same(scale: int, least: int) -> None:
    """Busy seconds per token that the engine itself counted, over the same 20 seconds: no question of when requests are logged."""
    folder = shared("traces", "burstgpt_vllm_runs", "logs")
    path = folder / "vllm_log" / f"vllm_log_scale{scale}_prompt500.csv"
    with path.open(newline="", encoding="utf-8") as file:
        made = [(Decimal(row["timestamp"]), Decimal(row["generation_throughput"])) for row in csv.DictReader(file)]
    readings = traces._ordered(folder / "gpu_log" / f"gpu_log_scale{scale}_prompt500.json")
    active = [(row["record_time"], Decimal(row["GPU_utilization"])) for row in readings]
    zero = active[0][0]
    tokens, busy = _by_window(made, zero), _by_window(active, zero)
    whole = range(int((active[-1][0] - zero) * STRETCH // 3600))
    per_token = {window: Fraction(busy[window]) / Fraction(tokens[window]) for window in whole if tokens[window] > 50}

    assert len(per_token) >= 8
    assert moves(per_token) > least


def _by_window(series: list[tuple[Decimal, Decimal]], zero: Decimal) -> dict[int, Decimal]:
    """A rate by 20 seconds, each reading held until the next."""
    found: dict[int, Decimal] = defaultdict(Decimal)
    for (at, rate), (after, _) in pairwise(series):
        if at >= zero:
            found[int((at - zero) * STRETCH // 3600)] += rate * (after - at)
    return found


Setup = tuple[str, str, int]
"""Model, hardware, tensor-parallel GPUs."""


def splitwise() -> dict[Setup, dict[int, tuple[Decimal, Decimal]]]:
    """Milliseconds of the prompts and of a decoding step by batch size, of 512 prompt and 128 output tokens; medians of five runs.

    Left out are setups whose batch of 64 reads its prompts faster than that of 32 does: it cannot have been whole (two GPUs).
    """
    runs: dict[Setup, dict[int, list[tuple[Decimal, Decimal]]]] = defaultdict(lambda: defaultdict(list))
    path = shared("traces", "splitwise_perf", "data", "perf_model.csv")
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if (row["prompt_size"], row["token_size"]) == ("512", "128"):
                setup = (row["model"], row["hardware"], int(row["tensor_parallel"]))
                runs[setup][int(row["batch_size"])].append((Decimal(row["prompt_time"]), Decimal(row["token_time"])))
    found = {
        setup: {
            batch: (median(prompt for prompt, _ in times), median(token for _, token in times))
            for batch, times in sorted(batches.items())
        }
        for setup, batches in runs.items()
    }
    return {setup: batches for setup, batches in found.items() if batches[64][0] > batches[32][0]}


def busy_hours(published: dict[Setup, dict[int, tuple[Decimal, Decimal]]]) -> tuple[traces.Trace, fleets.Document]:
    """An hour per batch size of each setup, filled one batch after another, and its fleet."""
    events, samples, deployments, gpus = [], [], [], 0
    end = START + timedelta(hours=7)
    for setup, batches in published.items():
        name, most = "-".join(map(str, setup)), 0
        for number, (batch, (prompt_ms, token_ms)) in enumerate(batches.items()):
            at = START + timedelta(hours=number)
            requests = int(3_600_000 // (prompt_ms + 127 * token_ms)) * batch
            most = max(most, requests * (512 + 6 * 128))
            events.append(
                {
                    "event_id": f"{name}-{batch}",
                    "source": "splitwise",
                    "model": setup[0],
                    "deployment": name,
                    "principal": "burst",
                    "occurred_at": (at + timedelta(minutes=30)).isoformat(),
                    "uncached_input_tokens": requests * 512,
                    "output_tokens": requests * 128,
                }
            )
            samples += [
                {"gpu_uuid": f"{name}-{gpu}", "gpu": "H100_SXM", "node": "n", "deployment": name, "active_ratio": 1, "sampled_at": at.isoformat()}
                for gpu in range(setup[2])
            ]  # fmt: skip
        gpus += setup[2]
        deployments.append(
            {"id": name, "pool": "bench", "gpus": setup[2], "models": [setup[0]], "capacity_per_gpu_hour": -(-most // setup[2]), "effective_from": START, "effective_to": end}
        )  # fmt: skip
    trace = traces.Trace(name="splitwise", events=events, samples=samples, start=START, end=end)
    document = fleets.vllm(trace)
    pool = {**document["pools"][0], "gpus": gpus}
    return trace, {**document, "pools": [pool], "deployments": deployments, "entitlements": []}


def test_splitwise_batches_move_prices_by_busy_time_only(tmp_path: Path) -> None:
    """On every published setup a token made one request at a time costs over tenfold by busy time, and the same by capacity."""
    published = splitwise()
    trace, document = busy_hours(published)
    busy, _ = prices(tmp_path / "active", fleets.with_policy(document, utilization="active"), trace)
    capacity, idle = prices(tmp_path / "capacity", fleets.with_policy(document, utilization="capacity"), trace)

    assert len(published) == 9
    assert {setup[2] for setup in published} == {4, 8}
    assert len(busy) == len(capacity) == 9 * 7
    for setup, batches in published.items():
        name = "-".join(map(str, setup))
        one = {key: price for key, price in busy.items() if key[1] == name}
        assert moves(one) > BUSY_MOVES_AT_LEAST
        assert moves({key: capacity[key] for key in one}) <= CAPACITY_MOVES_AT_MOST
        decoding = {batch: Fraction(token) / batch for batch, (_, token) in batches.items()}
        assert moves(decoding) > 30, "a step of decoding alone, without any prompt"
    assert max(idle) > Fraction(9, 10)


def test_above_its_capacity_a_token_gets_cheaper(tmp_path: Path, runs: dict[int, traces.Trace], highest: int) -> None:
    """A capacity declared at half of what is reached: prices stay up to it, and fall beyond it as far as the load exceeds it."""
    trace, declared = runs[500], highest // 2
    loads = weighted_by_hour(trace)
    document = fleets.with_policy(fleets.vllm(trace, declared), utilization="capacity")
    found, _ = prices(tmp_path / "low", document, trace)
    usual = {key: price for key, price in found.items() if loads[key[0]] <= declared}

    assert 0 < len(usual) < len(found)
    assert moves(usual) <= CAPACITY_MOVES_AT_MOST
    exceeded = Fraction(max(loads.values()), declared)
    assert abs(moves(found) / exceeded - 1) < Fraction(1, 1000)
