"""metering.deployment_hourly: how much of a deployment's hour was work, idle or unseen."""

from __future__ import annotations

from typing import Any

import pytest

from tests.steps.metering.facts import HOUR, Coefficient, Deployment, Event, Facts, Pool, Rate, Sample, at

STEP = "metering.deployment_hourly"
COLUMNS = (
    "effective_cost_nano", "workload_nano", "idle_nano", "idle_cause", "unmeasured_nano", "prefill_nano", "decode_nano", "unattributed_nano",
    "low_coverage", "allocation_method", "confidence",
)  # fmt: skip
QUERY = f"SELECT {', '.join(COLUMNS)} FROM metering.deployment_hourly ORDER BY charge_period_start, deployment_no DESC"


def hour(
    stepped: Any, *, nano: int = 1000, gpus: int = 1, samples: Any = (), tokens: Any = (), **of: Any
) -> dict[str, Any]:
    """The row of one deployment's hour from 01:00."""
    policy = {name: of.pop(name) for name in ("weights", "weight_scale", "hold", "min_coverage_ppm") if name in of}
    start, end = of.pop("start", 0), of.pop("end", at("09:00"))
    facts = Facts(
        pools=(Pool(gpus=gpus, start=start, end=end),), rates=(Rate(nano=nano),), deployments=(Deployment(gpus=gpus, start=start, end=end, **of),),
        events=(Event(at=at("01:10"), tokens=tuple(dict(tokens).items())),) if tokens else (),
        samples=tuple(Sample(at=at("01:00") + after, ppm=ppm, gpu=gpu, deployment="d") for after, ppm, gpu in samples),
        **{"hold": HOUR, **policy})  # fmt: skip
    found = stepped(facts, STEP, at("01:00"), at("02:00"), QUERY)
    return dict(zip(COLUMNS, found[0], strict=True))


def parts(row: dict[str, Any]) -> tuple[int, int, int]:
    """Workload, idle and unmeasured, which always make the cost."""
    assert row["workload_nano"] + row["idle_nano"] + row["unmeasured_nano"] == row["effective_cost_nano"]
    return row["workload_nano"], row["idle_nano"], row["unmeasured_nano"]


def test_active_prices_busy_time(stepped) -> None:
    """Three quarters busy all hour long."""
    row = hour(stepped, samples=[(0, 750_000, "g")], tokens={"output": 1})

    assert parts(row) == (750, 250, 0)
    assert (row["idle_cause"], row["allocation_method"], row["confidence"]) == (
        "inactive",
        "active/1+weights/1",
        "assumed",
    )


def test_a_coverage_gap_is_nobodys_cost(stepped) -> None:
    """Half the hour unseen: half the cost is unmeasured, and the seen half is split by what was seen."""
    row = hour(stepped, samples=[(HOUR // 2, 500_000, "g")], tokens={"output": 1})

    assert parts(row) == (250, 250, 500)


@pytest.mark.parametrize("nano", [0, 1, 1000])
@pytest.mark.parametrize(
    ("of", "expected"),
    [
        ({"samples": [(HOUR // 2, 500_000, "g")], "tokens": {"output": 1}}, (HOUR // 4, HOUR // 2)),
        ({"tokens": {"output": 1}}, (0, HOUR)),
        ({"utilization": "capacity", "capacity": 2400, "tokens": {"output": 100}}, (HOUR // 4, 0)),
        ({"utilization": "capacity", "capacity": 2400, "tokens": {"output": 500}}, (HOUR, 0)),
        ({"utilization": "allocation", "tokens": {"output": 1}}, (HOUR, 0)),
        ({"utilization": "allocation"}, (0, 0)),
    ],
)
def test_gpu_time_divides_whatever_it_costs(stepped, ledger, nano: int, of: Any, expected: tuple[int, int]) -> None:
    """A free hour is worked, idle or unseen as a dear one is: time by utilization, and no nano of it decides."""
    hour(stepped, nano=nano, **of)

    assert ledger.session().rows(
        "SELECT workload_us, unmeasured_us FROM metering.deployment_hourly WHERE deployment_no > 0"
    ) == [expected]


def test_no_sample_at_all_is_all_unmeasured(stepped) -> None:
    """Tokens or none, nothing is charged to anybody and nothing is idle."""
    assert parts(hour(stepped, tokens={"output": 1})) == (0, 0, 1000)


def test_more_samples_than_gpus_do_not_raise_the_cost(stepped) -> None:
    """Three devices report for two that are paid: the mean of what they say counts, and coverage is full."""
    row = hour(stepped, gpus=2, samples=[(0, 10**6, "a"), (0, 10**6, "b"), (0, 0, "c")], tokens={"output": 1})

    assert parts(row) == (1333, 667, 0)


@pytest.mark.parametrize(("observed", "flagged"), [(HOUR * 9 // 10, False), (HOUR * 9 // 10 - 1, True)])
def test_low_coverage_is_flagged_below_the_limit(stepped, observed: int, flagged: bool) -> None:
    """Exactly nine tenths are enough, a microsecond less is not."""
    assert hour(stepped, samples=[(HOUR - observed, 0, "g")])["low_coverage"] is flagged


def test_capacity_prices_weighted_tokens(stepped) -> None:
    """A quarter of the capacity used; other work than this needs no telemetry, so coverage is no concern."""
    row = hour(stepped, utilization="capacity", capacity=2400, tokens={"output": 100})

    assert parts(row) == (250, 750, 0)
    assert (row["idle_cause"], row["low_coverage"], row["allocation_method"]) == (
        "below_capacity",
        False,
        "capacity/1+weights/1",
    )


def test_capacity_caps_at_the_whole_cost(stepped) -> None:
    """Beyond the service level nothing more is charged; without requests all is idle."""
    assert parts(hour(stepped, utilization="capacity", capacity=1, tokens={"output": 100})) == (1000, 0, 0)
    row = hour(stepped, utilization="capacity", capacity=1)
    assert (parts(row), row["idle_cause"]) == ((0, 1000, 0), "no_requests")


def test_capacity_is_exact_beyond_128_bits(stepped) -> None:
    """Nine decimals in the weights, a part of an hour to the microsecond, a large fleet: cost x used alone has 139 bits."""
    used, able = 3_333_333_333 * 5_999_999_999, 40_000_001
    paid = 4096 * (HOUR - 1)
    row = hour(
        stepped, gpus=4096, nano=2_490_000_001, start=at("01:00") + 1, utilization="capacity", capacity=able,
        weights={"uncached_input": 1, "cache_read": 1, "cache_write": 1, "output": 5_999_999_999, "reasoning": 1}, weight_scale=10**9,
        tokens={"output": 3_333_333_333})  # fmt: skip
    cost = row["effective_cost_nano"]

    assert cost * used * HOUR > 2**127
    assert row["workload_nano"] == cost * min(used * HOUR, able * paid * 10**9) // (able * paid * 10**9)
    assert 0 < row["workload_nano"] < cost


def test_allocation_charges_all_or_nothing(stepped) -> None:
    """Any token makes the whole hour work."""
    assert parts(hour(stepped, utilization="allocation", tokens={"cache_read": 1})) == (1000, 0, 0)
    row = hour(stepped, utilization="allocation")
    assert (parts(row), row["idle_cause"]) == ((0, 1000, 0), "no_requests")


def test_work_without_tokens_is_kept_apart(stepped) -> None:
    """Busy GPUs and no log: neither idle nor anybody's; tokens that weigh nothing explain nothing either."""
    busy = [(0, 400_000, "g")]
    weightless = {"weights": dict.fromkeys(("uncached_input", "cache_read", "cache_write", "output", "reasoning"), 0)}
    for row in (hour(stepped, samples=busy), hour(stepped, samples=busy, tokens={"output": 5}, **weightless)):
        assert parts(row) == (400, 600, 0)
        assert (row["unattributed_nano"], row["prefill_nano"], row["decode_nano"]) == (400, 0, 0)


def test_phases_split_by_weighted_tokens(stepped) -> None:
    """One third prefill, two thirds decode; a phase without tokens has no cost."""
    row = hour(stepped, samples=[(0, 900_000, "g")], tokens={"uncached_input": 900, "output": 300})
    assert (row["prefill_nano"], row["decode_nano"], row["unattributed_nano"]) == (300, 600, 0)

    row = hour(stepped, samples=[(0, 900_000, "g")], tokens={"uncached_input": 1})
    assert (row["prefill_nano"], row["decode_nano"]) == (900, 0)


def test_phases_are_exact_beyond_128_bits(stepped) -> None:
    """Picoseconds of billions of tokens on a large fleet: cost x time alone has more bits than a number of the ledger."""
    prefill, decode, paid = (
        3_333_333_333 * 999_999_999_999_989,
        9_999_999_999 * 999_999_999_999_937,
        8192 * 2_490_000_001,
    )
    facts = Facts(
        pools=(Pool(gpus=8192),), rates=(Rate(nano=2_490_000_001),),
        deployments=(Deployment(gpus=8192, utilization="allocation", phase_split="regression"),),
        events=(Event(at=at("01:10"), tokens=(("uncached_input", 3_333_333_333), ("output", 9_999_999_999))),),
        coefficients=(Coefficient(ps=(999_999_999_999_989, 0, 0, 999_999_999_999_937, 0)),),
    )  # fmt: skip
    (found,) = stepped(
        facts, STEP, at("01:00"), at("02:00"), "SELECT prefill_nano, decode_nano FROM metering.deployment_hourly"
    )

    assert paid * decode > 2**127
    assert found[1] == (2 * paid * decode + prefill + decode) // (2 * (prefill + decode))
    assert sum(found) == paid


def test_a_tie_of_the_phases_goes_to_decode(stepped) -> None:
    """An odd nano between equal phases."""
    row = hour(stepped, nano=1, utilization="allocation", tokens={"uncached_input": 6, "output": 1})

    assert (row["prefill_nano"], row["decode_nano"]) == (0, 1)


def test_unscheduled_gpus_are_idle(stepped) -> None:
    """The row of deployment 0 says so, and needs no telemetry."""
    facts = Facts(pools=(Pool(),), rates=(Rate(nano=1000),))
    (row,) = stepped(facts, STEP, at("01:00"), at("02:00"), QUERY)

    assert row == (1000, 0, 1000, "unscheduled", 0, 0, 0, 0, False, "inventory/1", "measured")
