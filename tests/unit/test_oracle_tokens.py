"""The oracle's tokens agree with the pencil: what they weigh, where they count, and which time is idle for what reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests import oracle
from tests.oracle_engines import unlogged
from tests.oracle_fleet import Fleet, fleet
from tests.oracle_states import Told, states
from tests.oracle_tokens import context_sums
from tests.oracle_units import HOUR_US, micros

START = datetime(2026, 10, 1, tzinfo=UTC)
HOUR = micros(START)
WEIGHTS = {"uncached_input": 1, "cache_write": 1, "cache_read": "0.1", "output": 6, "reasoning": 6}


def at(minutes: int) -> datetime:
    """Minutes after the start."""
    return START + timedelta(minutes=minutes)


def ours(deployments: list[dict[str, Any]] | None = None, policy: dict[str, Any] | None = None, **tables: Any) -> Fleet:
    """A pool of 4 GPUs at 1.00, which are one deployment of a model unless they are said to be others."""
    served = deployments or [deployment("d", 4)]
    return fleet(
        {
            "pools": [{"id": "p", "gpus": 4, "effective_from": START}],
            "rates": [{"pool": "p", "component": "accelerator", "per_gpu_hour": "1.00"}],
            "deployments": served,
            "policy": {"utilization": "allocation", "weights": WEIGHTS, **(policy or {})},
            **tables,
        }
    )


def deployment(name: str, gpus: int, **entry: Any) -> dict[str, Any]:
    """A deployment of the model m."""
    return {"id": name, "pool": "p", "gpus": gpus, "models": ["m"], "effective_from": START, **entry}


def event(who: str, **fields: Any) -> dict[str, Any]:
    """A request for the model m that ended at the start."""
    found = {"event_id": who, "source": "x", "occurred_at": START.isoformat(), "model": "m", "principal": who}
    return {**found, **fields}


def costs(found: oracle.Charges) -> dict[tuple[str, str, str, str], int]:
    """Nano by deployment, caller's key, cause and token kind."""
    return {
        (key.deployment, key.caller[6:7], key.cause, key.token_kind): measure.nano
        for key, measure in found.items()
        if measure.nano
    }


def test_tiers_and_models_are_factors() -> None:
    """Equal counts, factors 1, 0.25 (a small model) and 2 x 0.25 (its priority): of 7.00, 4.00, 1.00 and 2.00."""
    served = [deployment("d", 4, models=["m", "small"])]
    tables = {"models": [{"id": "small", "weight": "0.25"}, {"id": "m"}]}
    events = [
        event("a", output_tokens=10),
        event("b", output_tokens=10, model="small"),
        event("c", output_tokens=10, model="small", tier="fast"),
    ]
    rates = [{"pool": "p", "component": "accelerator", "per_gpu_hour": "1.75"}]
    found = oracle.charges(ours(served, {"tiers": {"fast": "2"}}, rates=rates, **tables), events, [], [HOUR])

    assert costs(found) == {
        ("d", "a", "", "output"): 4_000_000_000,
        ("d", "b", "", "output"): 1_000_000_000,
        ("d", "c", "", "output"): 2_000_000_000,
    }


def test_an_adapter_is_served_where_its_model_is() -> None:
    """Its name stays on the line, and its tokens weigh what the model's do unless it has a weight of its own."""
    tables = {"models": [{"id": "m", "adapters": ["lora-*"]}, {"id": "lora-heavy", "weight": 3}]}
    events = [event("a", output_tokens=10, model="lora-x"), event("b", output_tokens=10, model="lora-heavy")]
    found = oracle.charges(ours(**tables), events, [], [HOUR])

    assert costs(found) == {("d", "a", "", "output"): 1_000_000_000, ("d", "b", "", "output"): 3_000_000_000}
    assert {key.model for key in found} == {"lora-x", "lora-heavy"}


def test_context_makes_decoding_heavier() -> None:
    """100 tokens after 1000 and 100 after 9050: contexts 1050 and 9100; at 0.001 and weight 6 they weigh 705 and 1510 of 2216 nano."""
    events = [
        event("a", uncached_input_tokens=1000, output_tokens=100),
        event("b", cache_read_tokens=9000, cache_write_tokens=50, output_tokens=60, reasoning_tokens=40),
    ]
    weights = {**WEIGHTS, "uncached_input": 0, "cache_read": 0, "cache_write": 0, "context": "0.001"}
    rates = [{"pool": "p", "component": "accelerator", "per_gpu_hour": "0.000000554"}]
    found = oracle.charges(ours(policy={"weights": weights}, rates=rates), events, [], [HOUR])

    assert context_sums(events[0]) == {"output_context": 105_000, "reasoning_context": 0}
    assert context_sums(events[1]) == {"output_context": 546_000, "reasoning_context": 364_000}
    assert sum(found[key].nano or 0 for key in found) == 2216
    assert costs(found) == {
        ("d", "a", "", "output"): 705,
        ("d", "b", "", "output"): 907,
        ("d", "b", "", "reasoning"): 604,
    }


def test_context_is_bounded_where_it_would_overflow() -> None:
    """Both factors are at most what 31 bits hold."""
    found = context_sums({"output_tokens": 10**12, "uncached_input_tokens": 10**12})

    assert found["output_context"] == (2**31 - 1) ** 2


def test_a_request_reaches_both_deployments_of_its_model() -> None:
    """Prompt tokens are the one prefill deployment's, output the decode deployment's, whichever of the two is asked about."""
    served = [deployment("P", 1, role="prefill"), deployment("D", 3, role="decode")]
    asked = event("a", uncached_input_tokens=10, cache_read_tokens=10, output_tokens=5)
    found = oracle.charges(ours(served), [asked], [], [HOUR])

    assert costs(found) == {
        ("P", "a", "", "uncached_input"): 909_090_909,
        ("P", "a", "", "cache_read"): 90_909_091,
        ("D", "a", "", "output"): 3_000_000_000,
    }


def test_with_several_prefill_deployments_a_prompt_stays() -> None:
    """Nothing says which of them read it; a prefill deployment takes a request only where it is named."""
    served = [deployment(name, 1, role="prefill") for name in "PQ"] + [deployment("D", 2, role="decode")]
    events = [
        event("a", uncached_input_tokens=6, output_tokens=1),
        event("b", uncached_input_tokens=5, deployment="Q", output_tokens=0),
    ]

    assert costs(oracle.charges(ours(served), events, [], [HOUR])) == {
        ("P", "", "unplaced_prefill", ""): 1_000_000_000,
        ("Q", "b", "", "uncached_input"): 1_000_000_000,
        ("D", "a", "", "uncached_input"): 1_000_000_000,
        ("D", "a", "", "output"): 1_000_000_000,
    }


def test_engines_are_asked_about_their_own_phase() -> None:
    """A decode deployment's engines say nothing of prompts, a prefill deployment's nothing of output."""
    served = [deployment("P", 1, role="prefill"), deployment("D", 3, role="decode")]
    readings = [
        {
            "instance": name,
            "deployment": name,
            "model": "m",
            "sampled_at": at(minutes).isoformat(),
            "prompt_tokens": minutes * 10,
            "output_tokens": minutes,
        }
        for name in "PD"
        for minutes in (0, 30)
    ]

    assert unlogged(ours(served), [], readings) == {
        (HOUR, "P"): ("m", {"uncached_input": 300, "cache_read": 0, "output": 0}),
        (HOUR, "D"): ("m", {"uncached_input": 0, "cache_read": 0, "output": 30}),
    }


def test_downtime_is_idle_before_anything_is_read() -> None:
    """Of 4 GPUs one loads for half an hour and two are lost for a quarter: 0.50 each; 3.00 are left and half of them active."""
    downtime = [
        {"deployment": "d", "gpus": 1, "cause": "loading", "effective_from": START, "effective_to": at(30)},
        {"deployment": "d", "gpus": 2, "cause": "lost", "effective_from": at(50), "effective_to": at(65)},
        {"deployment": "d", "gpus": 1, "cause": "lost", "effective_from": at(20), "effective_to": at(30)},
    ]
    samples = [
        {"gpu_uuid": gpu, "sampled_at": START.isoformat(), "deployment": "d", "active_ratio": Decimal("0.5")}
        for gpu in "abc"
    ]
    used = [event("a", output_tokens=1)]
    policy = {"utilization": "active", "sample_hold_seconds": 3600}

    assert costs(oracle.charges(ours(policy=policy, downtime=downtime), used, samples, [HOUR])) == {
        ("d", "", "loading", ""): 500_000_000,
        ("d", "", "lost", ""): 500_000_000,
        ("d", "", "inactive", ""): 1_500_000_000,
        ("d", "a", "", "output"): 1_500_000_000,
    }
    allocated = oracle.charges(ours(downtime=downtime), used, [], [HOUR])
    assert costs(allocated)["d", "a", "", "output"] == 3_000_000_000


def test_capacity_is_that_of_gpus_that_are_up() -> None:
    """With half of the time down, half of the capacity is all of it."""
    downtime = [{"deployment": "d", "gpus": 4, "cause": "draining", "effective_from": at(30), "effective_to": at(60)}]
    served = [deployment("d", 4, utilization="capacity", capacity_per_gpu_hour=600)]
    found = oracle.charges(ours(served, downtime=downtime), [event("a", output_tokens=100)], [], [HOUR])

    assert costs(found) == {
        ("d", "", "draining", ""): 2_000_000_000,
        ("d", "", "below_capacity", ""): 1_000_000_000,
        ("d", "a", "", "output"): 1_000_000_000,
    }


def test_measured_idle_has_the_causes_that_engines_tell() -> None:
    """Of 3.00 measured idle, engines had no requests for 20 minutes and some for 10: 2.00 and 1.00; a silent reading ends it."""
    samples = [
        {"gpu_uuid": g, "sampled_at": START.isoformat(), "deployment": "d", "active_ratio": Decimal("0.25")}
        for g in "abcd"
    ]
    readings = [
        {"instance": "i", "deployment": "d", "sampled_at": at(minutes).isoformat(), **told}
        for minutes, told in ((0, {"requests_running": 0}), (20, {"requests_running": 3}), (30, {}))
    ]
    policy = {"utilization": "active", "sample_hold_seconds": 3600, "min_coverage": "0.5"}
    known = ours(policy=policy)

    told = Told({"no_requests": HOUR_US // 3, "below_saturation": HOUR_US // 6}, HOUR_US // 2)
    assert states(known, readings) == {(HOUR, "d"): told}
    assert costs(oracle.charges(known, [event("a", output_tokens=1)], samples, [HOUR], readings)) == {
        ("d", "", "no_requests", ""): 2_000_000_000,
        ("d", "", "below_saturation", ""): 1_000_000_000,
        ("d", "a", "", "output"): 1_000_000_000,
    }
    more = ours(policy={**policy, "min_coverage": "0.500001"})
    assert costs(oracle.charges(more, [event("a", output_tokens=1)], samples, [HOUR], readings)) == {
        ("d", "", "inactive", ""): 3_000_000_000,
        ("d", "a", "", "output"): 1_000_000_000,
    }


def test_time_that_several_engines_tell_counts_once() -> None:
    """Two that tell the same ten minutes and one that tells the next five: fifteen, whatever each was doing."""
    known = ours(policy={"utilization": "active", "sample_hold_seconds": 600})
    readings = [
        {"instance": name, "deployment": "d", "sampled_at": at(minutes).isoformat(), "requests_running": running}
        for name, minutes, running in (("i", 0, 1), ("j", 0, 0), ("k", 5, 0))
    ]

    minute = HOUR_US // 60
    assert states(known, readings) == {
        (HOUR, "d"): Told({"below_saturation": 10 * minute, "no_requests": 20 * minute}, 15 * minute)
    }


def test_a_reader_that_is_seen_to_work_is_no_idle() -> None:
    """P read prompts that stay on D, as its engine counted, Q's GPU was active; R shows nothing, and is idle for want of a place."""
    served = [
        deployment("P", 1, role="prefill"),
        deployment("Q", 1, role="prefill", utilization="capacity", capacity_per_gpu_hour=10),
        deployment("D", 1, role="decode"),
        deployment("R", 1, role="prefill"),
    ]
    samples = [{"gpu_uuid": "g", "sampled_at": START.isoformat(), "deployment": "Q", "active_ratio": Decimal("0.1")}]
    readings = [
        {"instance": "i", "deployment": "P", "model": "m", "sampled_at": at(m).isoformat(), "prompt_tokens": m}
        for m in (0, 30)
    ]
    asked = [event("a", uncached_input_tokens=6)]
    found = oracle.charges(ours(served), asked, samples, [HOUR], readings)
    unasked = oracle.charges(ours(served), [event("a", output_tokens=6)], [], [HOUR])

    assert costs(found) == {
        ("P", "", "unplaced_prefill", ""): 1_000_000_000,
        ("Q", "", "unplaced_prefill", ""): 1_000_000_000,
        ("R", "", "unplaced_prefill", ""): 1_000_000_000,
        ("D", "a", "", "uncached_input"): 1_000_000_000,
    }
    assert {key.deployment: key.cost_kind for key in found} == {
        "P": "workload",
        "Q": "workload",
        "R": "idle",
        "D": "workload",
    }
    assert {key.cause for key in unasked if key.cost_kind == "idle"} == {"no_requests"}


def test_work_whose_tokens_weigh_nothing_is_no_lost_log() -> None:
    """All tokens of a tier of weight 0: nobody's, and not for want of tokens."""
    found = oracle.charges(ours(policy={"tiers": {"free": 0}}), [event("a", output_tokens=5, tier="free")], [], [HOUR])

    assert costs(found) == {("d", "", "zero_weight", ""): 4_000_000_000}


@given(
    counts=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=4),
    utilization=st.sampled_from(["active", "capacity", "allocation"]),
    split=st.sampled_from(["auto", "weights", "blended", "throughput", "measured", "regression", "roofline"]),
    factors=st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6)),
    down=st.integers(0, 60),
    gpus=st.integers(1, 3),
)
def test_every_nano_is_charged_once(
    counts: list[tuple[int, int]],
    utilization: str,
    split: str,
    factors: tuple[int, int, int],
    down: int,
    gpus: int,
) -> None:
    """Whatever tokens weigh and whatever was down, charges add up to the pool's cost, and none is negative."""
    model, tier, context = (Decimal(part).scaleb(-6) for part in factors)
    served = [
        deployment("P", gpus, role="prefill", capacity_per_gpu_hour=10**6),
        deployment("D", 4 - gpus, role="decode", capacity_per_gpu_hour=7, throughput={"prefill": 70_000, "decode": 9}),
    ]
    known = ours(
        served,
        {
            "utilization": utilization,
            "phase_split": split,
            "tiers": {"t": tier},
            "weights": {**WEIGHTS, "context": context},
        },
        models=[{"id": "m", "weight": model}],
        downtime=[{"deployment": "P", "gpus": 1, "cause": "lost", "effective_from": START, "effective_to": at(down)}],
        rates=[{"pool": "p", "component": "accelerator", "per_gpu_hour": "0.333333333"}],
    )
    samples = [{"gpu_uuid": "a", "sampled_at": at(10).isoformat(), "deployment": "D", "active_ratio": Decimal("0.3")}]
    events = [
        event(str(number), uncached_input_tokens=prompt, output_tokens=output, tier="t" * (number % 2))
        for number, (prompt, output) in enumerate(counts)
    ]
    found = oracle.charges(known, events, samples, [HOUR])

    assert oracle.total(found) == oracle.origin(known, "p", HOUR) == 1_333_333_332
    assert all((measure.nano or 0) >= 0 for measure in found.values())
    assert sum(measure.tokens or 0 for measure in found.values()) == sum(map(sum, counts))
