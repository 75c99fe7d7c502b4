"""metering.charge_hourly: every nano and every token on one line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from metering.meter import meter
from tests.steps.metering import pencil
from tests.steps.metering.facts import (
    HOUR,
    Deployment,
    Event,
    Facts,
    Pool,
    Rate,
    Sample,
    Shared,
    at,
    caller,
    load,
    moment,
)
from tests.steps.metering.reading import charges, money, nothing

USD = 10**9
NOON = at("12:00")


def used(
    principal: str, moment: int = NOON, *, model: str = "m", tier: str = "", provider: str = "self", **tokens: int
) -> Event:
    """Usage of a key."""
    return Event(
        at=moment, principal=principal, model=model, tier=tier, provider=provider, tokens=tuple(tokens.items())
    )


def dedicated(nano: int, *events: Event, **policy: object) -> Facts:
    """One GPU, all of whose cost is work if there are tokens."""
    return Facts(
        pools=(Pool(),),
        rates=(Rate(nano=nano),),
        deployments=(Deployment(utilization="allocation"),),
        events=events,
        **policy,
    )


WORKED_EXAMPLE = Facts(
    pools=(Pool(gpus=2),), rates=(Rate(nano=3 * USD),), deployments=(Deployment(gpus=2),),
    samples=tuple(Sample(at=NOON, ppm=750_000, gpu=gpu, deployment="d") for gpu in ("gpu-0", "gpu-1")), hold=HOUR,
    events=(
        used("search", uncached_input=600_000, output=100_000), used("ads", uncached_input=300_000, output=150_000), used("ads", NOON + HOUR - 1, output=50_000),
    ))  # fmt: skip


def test_the_worked_example(metered) -> None:
    """Six dollars an hour at three quarters: search 2.00, ads 2.50, idle 1.50."""
    session = metered(WORKED_EXAMPLE, NOON, NOON + HOUR)
    place, work = (NOON, "p", "d", "self"), ("workload", "")

    assert charges(session) == {
        (*place, "m", caller("search"), "", *work, "uncached_input"): (600_000, 1 * USD),
        (*place, "m", caller("search"), "", *work, "output"): (100_000, 1 * USD),
        (*place, "m", caller("ads"), "", *work, "uncached_input"): (300_000, USD // 2),
        (*place, "m", caller("ads"), "", *work, "output"): (200_000, 2 * USD),
        (*place, "", "", "", "idle", "inactive", ""): (None, 3 * USD // 2),
    }
    assert money(session) == {
        ("search", *work): 2 * USD,
        ("ads", *work): 5 * USD // 2,
        ("", "idle", "inactive"): 3 * USD // 2,
    }
    assert session.rows("SELECT DISTINCT cost_kind, allocation_method, confidence FROM metering.charge_hourly ORDER BY ALL") == [
        ("idle", "active/1", "measured"), ("workload", "active/1+weights/1", "assumed"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "sure"), [("declared", "assumed"), ("load_tested", "measured"), ("learned", "calibrated")]
)
def test_idle_below_a_capacity_is_as_sure_as_the_capacity(metered, source: str, sure: str) -> None:
    """What a deployment could have done is assumed, measured or calibrated, as the figure behind it is."""
    deployments = tuple(
        replace(d, utilization="capacity", capacity=10**9, capacity_source=source) for d in WORKED_EXAMPLE.deployments
    )
    session = metered(replace(WORKED_EXAMPLE, deployments=deployments), NOON, NOON + HOUR)

    assert session.rows(
        "SELECT DISTINCT allocation_method, confidence::VARCHAR FROM metering.charge_hourly WHERE cost_kind = 'idle'"
    ) == [("capacity/1", sure)]


def test_the_pencil_agrees_with_the_worked_example(metered) -> None:
    """So that it can be trusted with other fleets."""
    assert pencil.charges(WORKED_EXAMPLE, [NOON]) == charges(metered(WORKED_EXAMPLE, NOON, NOON + HOUR))


def test_doubling_all_weights_changes_no_share(metered) -> None:
    """Shares know ratios only."""
    before = charges(metered(WORKED_EXAMPLE, NOON, NOON + HOUR))
    doubled = replace(WORKED_EXAMPLE, weights={kind: 2 * weight for kind, weight in WORKED_EXAMPLE.weights.items()})

    assert charges(metered(doubled, NOON, NOON + HOUR)) == before


def test_a_zero_usage_hour_is_all_idle(metered) -> None:
    """Idle GPUs that report are idle, and no line but that is there."""
    facts = replace(WORKED_EXAMPLE, events=(), samples=tuple(replace(s, ppm=0) for s in WORKED_EXAMPLE.samples))

    assert money(metered(facts, NOON, NOON + HOUR)) == {("", "idle", "inactive"): 6 * USD}


def test_a_lost_log_is_never_idle(metered) -> None:
    """Busy GPUs whose events are missing are a line of their own, with nobody's name on it."""
    facts = replace(WORKED_EXAMPLE, events=())
    session = metered(facts, NOON, NOON + HOUR)

    assert money(session) == {("", "workload", "busy_no_tokens"): 9 * USD // 2, ("", "idle", "inactive"): 3 * USD // 2}
    assert session.rows(
        "SELECT caller_no, model_no, consumed_tokens FROM metering.charge_hourly WHERE cause = 'busy_no_tokens'"
    ) == [(0, 0, None)]


def test_a_telemetry_gap_never_raises_a_bill(metered) -> None:
    """Without the second GPU's samples each pays for what the first one saw, half of what it was."""
    session = metered(replace(WORKED_EXAMPLE, samples=WORKED_EXAMPLE.samples[:1]), NOON, NOON + HOUR)

    assert money(session) == {
        ("search", "workload", ""): USD, ("ads", "workload", ""): 5 * USD // 4, ("", "idle", "inactive"): 3 * USD // 4, ("", "unmeasured", ""): 3 * USD,
    }  # fmt: skip
    assert session.rows(
        "SELECT cost_kind::VARCHAR, confidence::VARCHAR FROM metering.charge_hourly WHERE cost_kind <> 'workload' ORDER BY ALL"
    ) == [("idle", "measured"), ("unmeasured", "assumed")]


def test_what_is_left_over_goes_to_the_largest_remainders_then_by_text(metered) -> None:
    """Equal remainders: model, caller, tier and token kind decide, each as UTF-8 text, numbers never."""
    events = (
        used("é", uncached_input=1), used("b", uncached_input=1), used("Z", uncached_input=1), used("a", tier="x", uncached_input=1),
        used("a", uncached_input=1), used("a", cache_write=1), used("0", model="n", uncached_input=1),
    )  # fmt: skip
    facts = replace(dedicated(4, *events), deployments=(Deployment(utilization="allocation", models=("m", "n")),))
    found = charges(metered(facts, NOON, NOON + HOUR))
    ones = [key[4:7] + key[9:] for key, (_, nano) in found.items() if nano]

    assert sorted(ones) == [
        ("m", caller("Z"), "", "uncached_input"), ("m", caller("a"), "", "cache_write"), ("m", caller("a"), "", "uncached_input"),
        ("m", caller("a"), "x", "uncached_input"),
    ]  # fmt: skip
    assert len(found) == 7


def test_the_larger_remainder_goes_before_the_smaller_name(metered) -> None:
    """Ten over weights of one and two: 3 1/3 and 6 2/3."""
    found = money(metered(dedicated(10, used("a", output=1), used("b", output=2)), NOON, NOON + HOUR))

    assert found == {("a", "workload", ""): 3, ("b", "workload", ""): 7}


def test_every_token_has_a_line_even_one_that_costs_nothing(metered) -> None:
    """Kinds that weigh nothing, and hours without work: the tokens are there at a cost of 0, and no zero count is."""
    weights = {"uncached_input": 1, "cache_read": 0, "cache_write": 0, "output": 0, "reasoning": 0}
    found = charges(
        metered(
            dedicated(7, used("a", uncached_input=5, cache_read=50, output=500, reasoning=0), weights=weights),
            NOON,
            NOON + HOUR,
        )
    )
    assert {key[9]: value for key, value in found.items()} == {
        "uncached_input": (5, 7),
        "cache_read": (50, 0),
        "output": (500, 0),
    }

    idle = replace(WORKED_EXAMPLE, samples=tuple(replace(s, ppm=0) for s in WORKED_EXAMPLE.samples))
    found = charges(metered(idle, NOON, NOON + HOUR))
    assert sum(tokens or 0 for tokens, _ in found.values()) == 1_200_000
    assert {nano for key, (_, nano) in found.items() if key[9]} == {0}


@pytest.mark.parametrize("weight", [10**8, 5_999_999_999])
def test_shares_are_exact_beyond_64_bits(metered, weight: int) -> None:
    """Billions of tokens at nine decimals: products, and with the larger weight even the sum of weights, need 128 bits."""
    counts = {"a": 9_999_999_999, "b": 8_888_888_887, "c": 7_777_777_771, "d": 1}
    facts = dedicated(9_123_456_789_123, *(used(name, output=n) for name, n in counts.items()), weights=dict.fromkeys(
        ("uncached_input", "cache_read", "cache_write", "output", "reasoning"), weight), weight_scale=10**9)  # fmt: skip
    found = money(metered(facts, NOON, NOON + HOUR))

    assert weight * sum(counts.values()) > 2**63 or weight == 10**8
    assert {key[0]: nano for key, nano in found.items()} == pencil.split(9_123_456_789_123, counts)


@pytest.mark.parametrize("above", [-1, 0, 1])
@pytest.mark.parametrize("cost", [9_123_456_789_123, 2**46 - 1, 2**46 + 12_345])
def test_shares_are_exact_where_wider_integers_take_over(metered, above: int, cost: int) -> None:
    """Weights that add up to 2^46 tokens, one less and one more; costs below and above them."""
    counts = {"a": 2**45 + 2**31 - 7, "b": 65_535, "c": 65_536, "d": 1}
    counts["e"] = 2**46 + above - sum(counts.values())
    kinds = ("uncached_input", "cache_read", "cache_write", "output", "reasoning")
    facts = dedicated(cost, *(used(name, output=n) for name, n in counts.items()), weights=dict.fromkeys(kinds, 1))
    found = money(metered(facts, NOON, NOON + HOUR))

    assert {key[0]: nano for key, nano in found.items()} == pencil.split(cost, counts)


def test_unplaced_usage_is_a_line_without_a_price(metered) -> None:
    """Unpriced is not free: NULL, with its cause, beside the idle pool that did not take it."""
    session = metered(
        Facts(pools=(Pool(),), rates=(Rate(nano=5),), events=(used("a", uncached_input=3, output=4),)),
        NOON,
        NOON + HOUR,
    )

    assert charges(session) == {
        (NOON, "", "", "self", "m", caller("a"), "", "workload", "unplaced", "output"): (4, None),
        (NOON, "", "", "self", "m", caller("a"), "", "workload", "unplaced", "uncached_input"): (3, None),
        (NOON, "p", "", "self", "", "", "", "idle", "unscheduled", ""): (None, 5),
    }
    assert session.rows(
        "SELECT DISTINCT allocation_method, confidence FROM metering.charge_hourly WHERE cause = 'unplaced'"
    ) == [("", "")]


def test_external_usage_is_a_line_without_a_price(metered) -> None:
    """By provider, model, caller, tier and token kind; it takes no share of any GPU."""
    facts = dedicated(
        9,
        used("a", output=1),
        used("a", provider="openai", output=7),
        used("a", provider="openai", tier="batch", cache_read=2),
    )
    found = charges(metered(facts, NOON, NOON + HOUR))

    assert {key: value for key, value in found.items() if key[7] == "external"} == {
        (NOON, "", "", "openai", "m", caller("a"), "", "external", "no_price", "output"): (7, None),
        (NOON, "", "", "openai", "m", caller("a"), "batch", "external", "no_price", "cache_read"): (2, None),
    }
    assert found[NOON, "p", "d", "self", "m", caller("a"), "", "workload", "", "output"] == (1, 9)


def test_shared_costs_are_overhead_of_no_pool(metered) -> None:
    """One line an hour and cost, and none where an hour's part is nothing."""
    shared = (Shared(id="platform", nano=744 * 5), Shared(id="tiny", nano=1))
    found = charges(metered(Facts(shared=shared), NOON, NOON + HOUR))

    assert found == {(NOON, "", "", "", "", "", "", "overhead", "platform", ""): (None, 5)}


def test_two_gpu_models_on_one_node_both_conserve(metered) -> None:
    """Each pool's hour is on its own lines, to the nano, whatever ran on the other."""
    facts = Facts(
        pools=(Pool(id="a100", gpus=3), Pool(id="h100", gpus=2)), rates=(Rate(pool="a100", nano=1_490_000_007), Rate(pool="h100", nano=2_490_000_011)),
        deployments=(Deployment(id="x", pool="a100", gpus=2, models=("m",)), Deployment(id="y", pool="h100", models=("n",), utilization="capacity", capacity=999)),
        events=tuple(used(name, model=model, output=n, cache_read=7 * n) for n, (name, model) in enumerate([("a", "m"), ("b", "m"), ("a", "n"), ("c", "n")], 1)),
        samples=tuple(Sample(at=NOON + 1, ppm=333_333, gpu=g, node="node-1", deployment="x") for g in ("g1", "g2")), hold=HOUR)  # fmt: skip
    session = metered(facts, NOON, NOON + HOUR)
    rows = session.rows(
        "SELECT pool_id, SUM(effective_cost_nano)::BIGINT FROM metering.charge_hourly JOIN book.pool_key USING (pool_no) GROUP BY ALL ORDER BY ALL"
    )

    assert rows == [("a100", 3 * 1_490_000_007), ("h100", 2 * 2_490_000_011)]
    assert charges(session) == pencil.charges(facts, [NOON])


def test_each_hour_is_priced_at_its_own_rate(metered) -> None:
    """A price that changes at half past counts half in that hour; the hours around it know one price each."""
    rates = (Rate(nano=100, end=NOON + HOUR + HOUR // 2), Rate(nano=300, start=NOON + HOUR + HOUR // 2))
    events = tuple(used("a", NOON + n * HOUR, output=1) for n in range(3))
    found = charges(metered(replace(dedicated(0, *events), rates=rates), NOON, NOON + 3 * HOUR))

    assert {(key[0] - NOON) // HOUR: nano for key, (_, nano) in found.items()} == {0: 100, 1: 200, 2: 300}


def test_a_day_on_which_clocks_change_has_24_hours(metered) -> None:
    """Hours are UTC: 2026-10-25 in Europe is a day like any other."""
    day = at("2026-10-25")
    session = metered(Facts(pools=(Pool(),), rates=(Rate(nano=1),)), day, day + 24 * HOUR)

    assert session.rows("SELECT COUNT(*), SUM(effective_cost_nano)::BIGINT FROM metering.charge_hourly") == [(24, 24)]


def test_metering_hour_by_hour_or_at_once_is_the_same(ledger, clock) -> None:
    """An hour is a function of its inputs: neither its neighbours nor the order of runs change it."""
    start, end = at("2026-02-28 22:00"), at("2026-03-01 02:00")
    events = tuple(
        used(name, start + n * 1_234_567_891, output=n, uncached_input=1000 - n)
        for n, name in enumerate("abcabcabcab", 1)
    )
    samples = tuple(Sample(at=start + n * 110_000_000, ppm=90_000 * n % 10**6, deployment="d") for n in range(120))
    facts = Facts(
        pools=(Pool(gpus=2),),
        rates=(Rate(nano=2_490_000_000),),
        deployments=(Deployment(),),
        events=events,
        samples=samples,
    )
    clock.set(moment(end))
    with ledger.transaction() as session:
        load(session, facts)
    meter(ledger, clock, settle=nothing, since=moment(start))
    at_once = charges(ledger.session())
    with ledger.transaction() as session:
        load(session, facts)
    for hour in reversed(range(start, end, HOUR)):
        meter(ledger, clock, settle=nothing, since=moment(hour), until=moment(hour + HOUR))

    assert charges(ledger.session()) == at_once
    assert at_once == pencil.charges(facts, range(start, end, HOUR))
