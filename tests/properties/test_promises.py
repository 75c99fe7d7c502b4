"""The promises that the product is held to, by name, black-box: config text and files in, published statement out.

Those that need the counters of serving engines are in `test_engine_promises`. Not here yet, because what they speak of comes
with later releases: MIG slices add up to the GPU, time-sliced GPUs never count twice, re-pricing never touches a closed month, a
late event into a closed month is a correction.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.properties.fleet_of_one import (
    HOUR_COST,
    ON_ONE_NODE,
    START,
    UNIT,
    Fleet,
    config,
    entitlement,
    event,
    rate,
    sample,
    some_events,
)
from tests.thorough import times

ACTIVE, CAPACITY = 'utilization = "active"', 'utilization = "capacity"'
POLICIES = ("separate", "proportional", "even", "entitlement")
NIGHT_END = "2026-10-05T14:00:00Z"

Open = Callable[..., Fleet]


@pytest.fixture
def fleet_of(tmp_path: Path) -> Iterator[Open]:
    """Opens fleets, each in a folder of its own, and closes them."""
    opened: list[Fleet] = []

    def fleet(text: str, **options: datetime) -> Fleet:
        opened.append(Fleet(tmp_path / f"fleet-{len(opened)}", text, **options))
        return opened[-1]

    yield fleet
    for one in opened:
        one.pipeline.close()


def test_a_lost_log_is_never_idle(fleet_of: Open) -> None:
    """GPUs that were busy while no request was logged are unattributed work, and no idle line takes it."""
    fleet = fleet_of(config(policy=ACTIVE))
    fleet.ingest([sample("GPU-0", 1.0), sample("GPU-1", 1.0)], "gpu")
    found = fleet.meter().costs("team_id", "cost_kind", "cause")
    assert found == {("__unattributed__", "workload", "busy_no_tokens"): HOUR_COST}


def test_a_telemetry_gap_never_raises_a_teams_bill(fleet_of: Open) -> None:
    """Time that nobody measured is taken off the team that worked, and stands on a line of its own."""
    bills = []
    for seen in (2, 1, 0):
        fleet = fleet_of(config(policy=ACTIVE))
        fleet.ingest([event("1", "search")])
        fleet.ingest([sample(f"GPU-{number}", 0.75) for number in range(seen)], "gpu")
        bills.append(fleet.meter().costs("team_id"))
    assert bills == [
        {"search": 4_500_000_000, "__idle__": 1_500_000_000},
        {"search": 2_250_000_000, "__idle__": 750_000_000, "__unmeasured__": 3 * UNIT},
        {"__unmeasured__": HOUR_COST},
    ]


def test_an_entitled_team_that_used_its_reservation_pays_nobodys_idle(fleet_of: Open) -> None:
    """Who worked as much as it had reserved bears none of the idle; who reserved and did not, bears it."""
    reserved = entitlement("search", 1) + entitlement("ads", 1)
    fleet = fleet_of(config(policy=f'{CAPACITY}\nidle = "entitlement"', more=reserved))
    fleet.ingest([event("1", "search", 1_000_000)])
    assert fleet.meter().costs("team_id", "cost_kind") == {("search", "workload"): 3 * UNIT, ("ads", "idle"): 3 * UNIT}


def test_a_lone_job_at_night_does_not_carry_the_night(fleet_of: Open) -> None:
    """Weighed over the month, a small job in an empty hour bears idle as a small job does; weighed by the hour, all of it."""
    events = [event("1", "search", 2_000_000), event("2", "ads", 20_000, "2026-10-05T13:30:00Z")]
    borne = {}
    for over in ("month", "hour"):
        fleet = fleet_of(config(policy=f'{CAPACITY}\nidle = "proportional"\nover = "{over}"', end=NIGHT_END))
        fleet.ingest(events)
        borne[over] = fleet.meter().costs("team_id", cost_kind="idle")
    assert borne == {"month": {"ads": 58_811_881, "search": 5_881_188_119}, "hour": {"ads": 5_940_000_000}}


def test_two_gpu_models_on_one_node_both_conserve(fleet_of: Open) -> None:
    """GPUs of two pools in one machine: each pool's lines add up to that pool's own cost."""
    fleet = fleet_of(
        config(
            policy=ACTIVE,
            pools=ON_ONE_NODE,
            rates=rate("3.000000001", START, pool="big") + rate("0.999999997", START, pool="small"),
        )
    )
    fleet.ingest([event("1", "search", model="big-llm"), event("2", "ads", 7, model="small-llm")])
    fleet.ingest(
        [sample("GPU-0", 0.333333, deployment="on-big"), sample("GPU-1", 0.9, gpu="L40S", deployment="on-small")], "gpu"
    )
    assert fleet.meter().costs("pool_id") == {"big": 3_000_000_001, "small": 999_999_997}
    assert fleet.costs("pool_id", team_id="search") == {"big": 999_999_000}
    assert fleet.costs("pool_id", team_id="ads") == {"small": 899_999_997}


def test_two_gpu_models_on_one_node_settle_all_of_their_idle(fleet_of: Open) -> None:
    """70 idle on one GPU model and 30 on the other, one team on both: it bears 100, where a shared-out maximum would lose 30."""
    fleet = fleet_of(
        config(
            policy=f'{ACTIVE}\nidle = "proportional"',
            pools=ON_ONE_NODE,
            rates=rate("140", START, pool="big") + rate("60", START, pool="small"),
        )
    )
    fleet.ingest([event("1", "search", model="big-llm"), event("2", "search", model="small-llm")])
    fleet.ingest(
        [sample("GPU-0", 0.5, deployment="on-big"), sample("GPU-1", 0.5, gpu="L40S", deployment="on-small")], "gpu"
    )
    assert fleet.meter().costs("pool_id", team_id="search", cost_kind="idle") == {"big": 70 * UNIT, "small": 30 * UNIT}
    assert fleet.costs("team_id") == {"search": 200 * UNIT}


@pytest.mark.parametrize(
    ("utilization", "cause"), [("active", "inactive"), ("capacity", "no_requests"), ("allocation", "no_requests")]
)
def test_a_zero_usage_hour_is_all_idle_not_lost(fleet_of: Open, utilization: str, cause: str) -> None:
    """An hour in which nothing ran costs what it costs, as idle with a cause."""
    fleet = fleet_of(config(policy=f'utilization = "{utilization}"'))
    fleet.ingest([sample("GPU-0", 0), sample("GPU-1", 0)], "gpu")
    assert fleet.meter().costs("team_id", "cost_kind", "cause") == {("__idle__", "idle", cause): HOUR_COST}


@pytest.mark.parametrize("idle", POLICIES)
@pytest.mark.parametrize("utilization", ["active", "capacity"])
def test_no_negative_idle(fleet_of: Open, utilization: str, idle: str) -> None:
    """More tokens than the capacity and more devices than were paid for leave idle at nothing, never below, in any policy."""
    policy = f'utilization = "{utilization}"\nidle = "{idle}"'
    fleet = fleet_of(config(policy=policy, more=entitlement("ads", 2), end=NIGHT_END))
    fleet.ingest([event("1", "search", 900_000_000), event("2", "ads", 1, "2026-10-05T13:30:00Z")])
    fleet.ingest([sample(f"GPU-{number}", 1.0) for number in range(5)], "gpu")
    left = fleet.meter().costs("pool_id", team_id="__idle__")
    assert all(cost > 0 for cost in left.values())
    assert all(cost > 0 for cost in fleet.costs("team_id", cost_kind="workload").values())
    assert sum(fleet.costs("team_id").values()) == 2 * HOUR_COST


def test_mid_month_price_change_prices_each_hour_at_its_own_rate(fleet_of: Open) -> None:
    """Hours before a change cost the old price, those after it the new one, and an hour with both its share of each."""
    change = "2026-10-05T13:30:00Z"
    fleet = fleet_of(config(rates=rate("3.00", START, change) + rate("5.00", change), end="2026-10-05T15:00:00Z"))
    found = fleet.meter().costs("charge_period_start", period="hour")
    assert found == {f"2026-10-05T{hour}:00:00Z": cost * UNIT for hour, cost in ((12, 6), (13, 8), (14, 10))}


def test_an_event_from_1969_or_next_year_is_rejected_not_billed(fleet_of: Open) -> None:
    """Times that cannot be are refused with the reason, and nothing of them is on a line."""
    fleet = fleet_of(config())
    outcome = fleet.ingest(
        [event("1", "search", at="1969-12-31T23:59:59Z"), event("2", "ads", at="2027-10-05T12:30:00Z")]
    )
    assert (outcome.landed, dict(outcome.rejections)) == (0, {"too_old": 1, "too_far_ahead": 1})
    assert fleet.meter().costs("team_id") == {"__idle__": HOUR_COST}


def test_same_id_on_two_sources_stays_two_events(fleet_of: Open) -> None:
    """An id is its source's own business."""
    fleet = fleet_of(config())
    assert fleet.ingest([event("1", "search"), event("1", "search", source="engine")]).landed == 2
    assert [line["consumed_quantity"] for line in fleet.meter().lines()] == ["2000"]


def test_same_id_with_other_content_is_a_conflict(fleet_of: Open) -> None:
    """The first that landed stays, within a file and across files; the others are counted and billed to nobody."""
    fleet = fleet_of(config())
    first = fleet.ingest([event("1", "search", 1000), event("1", "search", 9000)])
    later = fleet.ingest([event("1", "ads", 1000)])
    assert (first.landed, first.conflicts, later.landed, later.conflicts) == (1, 1, 0, 1)
    assert [(line["team_id"], line["consumed_quantity"]) for line in fleet.meter().lines()] == [("search", "1000")]


def test_duplicate_delivery_changes_nothing(fleet_of: Open) -> None:
    """Everything delivered again, in one file twice and in another file, leaves every line as it was."""
    fleet = fleet_of(config())
    fleet.ingest(some_events())
    before = fleet.meter().lines()
    again = fleet.ingest(some_events() * 2)
    assert (again.landed, again.conflicts, again.received) == (0, 0, 66)
    assert fleet.meter().lines() == before


@pytest.mark.parametrize("seed", range(times(1)))
def test_shuffled_delivery_of_conflict_free_input_changes_nothing(fleet_of: Open, seed: int) -> None:
    """In whatever order events and samples come, within files and between them, the statement is the same."""
    statements = []
    for order in (None, random.Random(seed)):
        fleet = fleet_of(config(policy=ACTIVE))
        events = some_events()
        minutes = range(0, 50, 5)
        samples = [sample(f"GPU-{at % 2}", at / 50, f"2026-10-05T12:{at:02d}:00Z") for at in minutes]
        if order:
            order.shuffle(events)
            order.shuffle(samples)
        half = order.randrange(1, len(events)) if order else 0
        fleet.ingest(events[half:])
        fleet.ingest(samples[5:], "gpu")
        fleet.meter()  # what was metered in between must not show
        fleet.ingest(events[:half])
        fleet.ingest(samples[:5], "gpu")
        statements.append(fleet.meter().lines())
    assert statements[0] == statements[1]


def test_splitting_a_batch_changes_nothing(fleet_of: Open) -> None:
    """A file for each event comes to the same as one file for all."""
    whole, split = fleet_of(config()), fleet_of(config())
    landed = whole.ingest(some_events()).landed
    assert sum(split.ingest([one]).landed for one in some_events()) == landed == 30
    assert whole.meter().lines() == split.meter().lines()


def test_an_unmapped_key_is_a_visible_line(fleet_of: Open) -> None:
    """What no rule knows is charged like anyone else, under a name that says so."""
    fleet = fleet_of(config())
    fleet.ingest([event("1", "search"), event("2", "a-key-nobody-knows")])
    found = {line["team_id"]: (line["consumed_quantity"], line["effective_cost"]) for line in fleet.meter().lines()}
    assert found == {"search": ("1000", "3.000000000"), "__unmapped__": ("1000", "3.000000000")}


def test_an_unpriced_model_is_a_visible_line(fleet_of: Open) -> None:
    """Bought tokens without a price have a line with their count, a cause, and no amount: not zero."""
    fleet = fleet_of(config())
    fleet.ingest([event("1", "search", provider="openai", model="gpt-unheard-of")])
    found = [line for line in fleet.meter().lines() if line["team_id"] == "search"]
    columns = ("cost_kind", "cause", "consumed_quantity", "effective_cost")
    assert [tuple(line[name] for name in columns) for line in found] == [("external", "no_price", "1000", "")]


def test_dst_and_leap_days_do_not_matter(fleet_of: Open) -> None:
    """A day has 24 hours where clocks change too, an hour that clocks show twice is two, and a leap February is paid once."""
    october = config(start="2026-10-25T00:00:00Z", end="2026-10-26T00:00:00Z")
    fleet = fleet_of(october, now=datetime(2026, 10, 26, tzinfo=UTC))
    twice = "2026-10-25T02:30:00"
    fleet.ingest([event("1", "search", at=f"{twice}+02:00"), event("2", "ads", at=f"{twice}+01:00")])
    found = fleet.meter().costs("charge_period_start", period="hour", cost_kind="workload")
    assert found == {"2026-10-25T00:00:00Z": HOUR_COST, "2026-10-25T01:00:00Z": HOUR_COST}
    assert fleet.costs("cost_kind") == {"workload": 2 * HOUR_COST, "idle": 22 * HOUR_COST}
    shared = '[[shared_costs]]\nid = "team"\nper_month = "12000.00"\npolicy = "even"\neffective_from = 2028-02-01T00:00:00Z\n'
    february = config(start="2028-02-29T00:00:00Z", end="2028-03-01T00:00:00Z", more=shared)
    leap = fleet_of(february, now=datetime(2028, 3, 1, tzinfo=UTC))
    leap.ingest([event("1", "search", at="2028-02-29T23:59:59.999999Z")])
    found = leap.meter().costs("cost_kind", billing_period="2028-02")
    assert found == {"workload": HOUR_COST, "idle": 23 * HOUR_COST, "overhead": 12_000 * UNIT}


def test_32_bit_sums_do_not_overflow(fleet_of: Open) -> None:
    """Tokens of single events, of an hour and of a month may each exceed what 32 bits hold."""
    fleet = fleet_of(config(rates=rate("999999.999999999", START), end=NIGHT_END))
    hours = ["2026-10-05T12:10:00Z", "2026-10-05T13:10:00Z"]
    fleet.ingest([event(f"{number} {at}", "search", 2**32 + number, at) for number in range(2) for at in hours])
    found = [(line["consumed_quantity"], line["effective_cost"]) for line in fleet.meter().lines()]
    assert found == [(str(4 * 2**32 + 2), "3999999.999999996")]
