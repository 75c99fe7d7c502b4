"""The oracle agrees with the pencil, and with the reference arithmetic that decides where words are unclear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import oracle
from tests.oracle_fleet import fleet
from tests.oracle_units import HOUR_US, micros, split
from tests.oracle_usage import Activity, activity, caller
from tests.shared_data import reference_arithmetic

START = datetime(2026, 10, 1, tzinfo=UTC)
HOUR = micros(START)
KINDS = ("uncached_input", "cache_read", "cache_write", "output", "reasoning")
WEIGHTS = {"uncached_input": "1", "cache_write": "1.25", "cache_read": "0.1", "output": "6", "reasoning": "6"}

small = st.integers(0, 50)
offsets = st.integers(0, HOUR_US)


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """The reference arithmetic, which no product code may import."""
    return reference_arithmetic()


def document(**changes: Any) -> dict[str, Any]:
    """The worked example's fleet: one pool of two GPUs at 3.00 per GPU-hour, all of them serving one model."""
    policy = {"utilization": "active", "weights": {**WEIGHTS, "cache_write": "1"}, "sample_hold_seconds": 3600}
    return {
        "pools": [{"id": "p", "gpus": 2, "effective_from": START}],
        "deployments": [{"id": "d", "pool": "p", "gpus": 2, "models": ["m"], "effective_from": START}],
        "rates": [{"pool": "p", "component": "accelerator", "per_gpu_hour": "3.00", "effective_from": START}],
        "policy": policy,
        **changes,
    }


def event(number: int, principal: str, **tokens: int) -> dict[str, Any]:
    """A canonical usage event of the worked example's model."""
    return {
        "event_id": f"e{number}",
        "source": "x",
        "occurred_at": START.isoformat(),
        "model": "m",
        "principal": principal,
        **{f"{kind}_tokens": count for kind, count in tokens.items()},
    }


def sample(gpu: str, at: datetime, ratio: str) -> dict[str, Any]:
    """A canonical GPU sample of the worked example's deployment."""
    return {"gpu_uuid": gpu, "sampled_at": at.isoformat(), "deployment": "d", "active_ratio": Decimal(ratio)}


def test_worked_example_is_the_pencils() -> None:
    """Two GPUs at 3.00, three quarters active: search 2.00, ads 2.50, idle 1.50, each by token kind."""
    events = [
        event(1, "search", uncached_input=600_000, output=100_000),
        event(2, "ads", uncached_input=300_000, output=200_000),
    ]
    samples = [sample(gpu, START, "0.75") for gpu in ("a", "b")]

    rows = oracle.charges(fleet(document()), events, samples, [HOUR])

    assert {(key.caller, key.cost_kind, key.token_kind): row for key, row in rows.items()} == {
        ('["x","search","",{}]', "workload", "uncached_input"): (600_000, 1_000_000_000),
        ('["x","search","",{}]', "workload", "output"): (100_000, 1_000_000_000),
        ('["x","ads","",{}]', "workload", "uncached_input"): (300_000, 500_000_000),
        ('["x","ads","",{}]', "workload", "output"): (200_000, 2_000_000_000),
        ("", "idle", ""): (None, 1_500_000_000),
    }


def test_overhead_of_a_month_is_the_whole_amount() -> None:
    """A monthly amount lies on all hours of its month and nowhere else, one nano more on the first."""
    cost = {"id": "team", "per_month": "0.000000745", "effective_from": START}
    hours = [HOUR + n * HOUR_US for n in range(744)]

    rows = oracle.charges(fleet({"shared_costs": [cost]}), [], [], hours)

    assert [row.nano for row in rows.values()] == [2] + [1] * 743
    assert {(key.cost_kind, key.cause, key.pool) for key in rows} == {("overhead", "team", "")}


def test_unplaced_and_unpriced_tokens_stay_visible() -> None:
    """Tokens that no deployment took, and tokens of others' models, have lines without a cost."""
    elsewhere = {**event(1, "a", output=5), "model": "unknown"}
    bought = {**event(2, "a", output=7), "provider": "openai"}

    rows = oracle.charges(fleet({}), [elsewhere, bought], [], [HOUR])

    assert {(key.provider, key.cost_kind, key.cause): row for key, row in rows.items()} == {
        ("self", "workload", "unplaced"): (5, None),
        ("openai", "external", "no_price"): (7, None),
    }


@given(
    total=st.integers(-(10**24), 10**24),
    weights=st.dictionaries(st.text(max_size=3), st.integers(0, 10**15), max_size=8),
)
def test_split_is_the_references(reference: ModuleType, total: int, weights: dict[str, int]) -> None:
    """Shares agree for every total and weights, the reference being written for totals from zero on."""
    expected = reference.split(abs(total), weights)

    assert split(total, weights) == {part: share if total > 0 else -share for part, share in expected.items()}


@given(
    readings=st.lists(
        st.tuples(st.integers(-2 * HOUR_US, 2 * HOUR_US), st.sampled_from("ab"), st.integers(0, 10**6)),
        max_size=12,
        unique_by=lambda reading: reading[:2],
    ),
    hold_s=st.integers(1, 4000),
    ends=st.tuples(offsets, offsets),
)
def test_activity_is_the_references(
    reference: ModuleType, readings: list[tuple[int, str, int]], hold_s: int, ends: tuple[int, int]
) -> None:
    """Observed and active time agree, across the hour's start and clipped to the deployment's range."""
    low, high = (START + timedelta(microseconds=us) for us in sorted(ends))
    times = [(START + timedelta(microseconds=us), gpu, ppm) for us, gpu, ppm in readings]
    deployed = [{"id": "d", "pool": "p", "gpus": 1, "effective_from": low, "effective_to": high}]
    seen = activity(
        fleet(document(deployments=deployed, policy={"sample_hold_seconds": hold_s})),
        [sample(gpu, at, str(Decimal(ppm) / 10**6)) for at, gpu, ppm in times],
    )

    active, observed = reference.active(times, START, hold_s, low, high)

    assert seen.get((HOUR, "d"), Activity(0, 0)) == Activity(observed, active)


@given(
    rates=st.lists(
        st.tuples(st.sampled_from(["accelerator", "ops"]), st.decimals("0", "100", places=9), offsets, offsets),
        max_size=5,
    ),
    gpus=st.integers(1, 100_000),
    ends=st.tuples(offsets, offsets),
)
def test_origin_is_the_references(
    reference: ModuleType, rates: list[tuple[str, Decimal, int, int]], gpus: int, ends: tuple[int, int]
) -> None:
    """An hour's cost agrees under rates that change and pools that come and go within it."""
    low, high = (START + timedelta(microseconds=us) for us in sorted(ends))
    dated = [
        (component, str(amount), *(START + timedelta(microseconds=us) for us in sorted(between)))
        for component, amount, *between in rates
    ]
    tables = [
        {"pool": "p", "component": component, "per_gpu_hour": amount, "effective_from": a, "effective_to": b}
        for component, amount, a, b in dated
    ]
    pool = {"id": "p", "gpus": gpus, "effective_from": low, "effective_to": high}

    cost = oracle.origin(fleet({"pools": [pool], "rates": tables}), "p", HOUR)

    assert cost == reference.origin(dated, gpus, START, low, high)


@settings(max_examples=200)
@given(
    utilization=st.sampled_from(["active", "capacity", "allocation"]),
    used=st.lists(
        st.tuples(
            st.sampled_from(["m", "n"]),
            st.sampled_from(["ä", "b", 'z"']),
            st.sampled_from(["", "gold"]),
            st.dictionaries(st.sampled_from(KINDS), st.integers(0, 10**9)),
        ),
        max_size=6,
    ),
    ratio=st.decimals("0", "1", places=6),
    observed_us=st.integers(0, HOUR_US),
    capacity=st.integers(1, 10**10),
    price=st.decimals("0", "1000", places=9),
    weights=st.fixed_dictionaries(dict.fromkeys(KINDS, st.decimals("0", "9", places=3))),
)
def test_hour_is_the_references(
    reference: ModuleType,
    utilization: str,
    used: Sequence[tuple[str, str, str, Mapping[str, int]]],
    ratio: Decimal,
    observed_us: int,
    capacity: int,
    price: Decimal,
    weights: dict[str, Decimal],
) -> None:
    """Charges of a deployment's hour agree line for line under every utilization."""
    policy = {"utilization": utilization, "weights": weights, "sample_hold_seconds": 3600}
    served = {"id": "d", "pool": "p", "gpus": 2, "models": ["m", "n"], "capacity_per_gpu_hour": capacity}
    rate = {"pool": "p", "component": "accelerator", "per_gpu_hour": str(price)}
    ours = fleet(document(policy=policy, deployments=[served], rates=[rate]))
    events = [
        {**event(n, principal, **kinds), "model": model, "tier": tier}
        for n, (model, principal, tier, kinds) in enumerate(used)
    ]
    unseen = START - timedelta(hours=1) + timedelta(microseconds=observed_us)
    rows = oracle.charges(ours, events, [sample("a", unseen, str(ratio))], [HOUR])

    tokens: dict[tuple[str, str, str, str], int] = {}
    for model, principal, tier, kinds in used:
        for kind, count in kinds.items():
            key = model, reference.caller("x", principal), tier, kind
            tokens[key] = tokens.get(key, 0) + count
    active = (round(ratio * 10**6) * observed_us, observed_us)
    expected = reference.deployment_hour(
        oracle.origin(ours, "p", HOUR), 2 * HOUR_US, *active, tokens, weights, utilization, capacity
    )

    assert {_named(key): row.nano for key, row in rows.items() if row.nano} == {
        key: c for key, c in expected.items() if c
    }
    assert {(*_named(key)[:3], key.token_kind): row.tokens for key, row in rows.items() if row.tokens is not None} == {
        (who, model, tier, kind): count for (model, who, tier, kind), count in tokens.items() if count
    }
    assert oracle.total(rows) == oracle.origin(ours, "p", HOUR)


def _named(key: oracle.Key) -> tuple[str, str, str, str, str, str]:
    system = {"idle": "__idle__", "unmeasured": "__unmeasured__", "workload": "__unattributed__"}
    # The reference has one cause for all work without weighted tokens.
    cause = key.cause.replace("zero_weight", "busy_no_tokens")
    return key.caller or system[key.cost_kind], key.model, key.tier, key.cost_kind, cause, key.token_kind


@given(
    tags=st.dictionaries(st.sampled_from(["project", "team", "other"]), st.text(max_size=3)),
    principal=st.text(max_size=5),
)
def test_callers_are_the_references(reference: ModuleType, tags: dict[str, str], principal: str) -> None:
    """The text of a caller agrees, tags in order and those off the allow-list left out."""
    ours = fleet({"directory": {"rules": [{"tag": {"team": "*"}, "team": "t"}]}})
    kept = {key: value for key, value in tags.items() if key != "other"}

    assert caller(ours, {"source": "s", "principal": principal, "tags": tags}) == reference.caller(
        "s", principal, "", kept
    )
