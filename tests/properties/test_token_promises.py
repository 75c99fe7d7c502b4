"""Promises about which token caused a cost, black-box: config text and files in, published statement out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.properties.fleet_of_one import END, HOUR_COST, START, UNIT, Fleet, config, event, rate, sample

Open = Callable[[str], Fleet]
SPAN = f"effective_from = {START}\neffective_to = {END}"
APART = "".join(
    f'[[pools]]\nid = "{name}"\ngpu = "H100_SXM"\ngpus = 1\n{SPAN}\n'
    f'[[deployments]]\nid = "{name}"\npool = "{name}"\ngpus = 1\nmodels = ["m"]\nrole = "{name}"\n{SPAN}\n'
    for name in ("prefill", "decode")
)
"""Instead of the fleet's pool: one that reads prompts and one that answers."""


@pytest.fixture
def fleet_of(tmp_path: Path) -> Iterator[Open]:
    """Opens fleets, each in a folder of its own, and closes them."""
    opened: list[Fleet] = []

    def fleet(text: str) -> Fleet:
        opened.append(Fleet(tmp_path / f"fleet-{len(opened)}", text))
        return opened[-1]

    yield fleet
    for one in opened:
        one.pipeline.close()


def test_a_request_reaches_prefill_and_decode(fleet_of: Open) -> None:
    """Its input stands on the lines of the deployment that read it, its output on those of the other; nothing is lost."""
    rates = rate("3", START, pool="prefill") + rate("1", START, pool="decode")
    fleet = fleet_of(config(pools=APART, rates=rates))
    fleet.ingest([event("1", "search", 1000, cache_read_tokens=500, output_tokens=200)])
    found = fleet.meter().lines()

    assert sorted((line["deployment_id"], line["token_kind"], line["consumed_quantity"]) for line in found) == [
        ("decode", "output", "200"), ("prefill", "cache_read", "500"), ("prefill", "uncached_input", "1000")]  # fmt: skip
    assert fleet.costs("deployment_id", team_id="search") == {"prefill": 3 * UNIT, "decode": UNIT}


def test_weights_of_models_tiers_and_context_move_cost_and_make_none(fleet_of: Open) -> None:
    """Weighed or not, teams pay the hour together; what weighs more pays more of it."""
    requests = [
        event("1", "search", 100_000, output_tokens=1000),
        event("2", "ads", 100, output_tokens=1000, tier="batch"),
        event("3", "ads", 100, output_tokens=1000, model="lora-sql"),
    ]
    plain = fleet_of(config(more='[[models]]\nid = "m"\nadapters = ["lora-*"]\n'))
    plain.ingest(requests)
    weighed = fleet_of(
        config(
            policy='utilization = "allocation"\ntiers = { batch = "0.5" }\nweights = { context = "0.001" }',
            more='[[models]]\nid = "lora-sql"\nweight = "0.25"\n[[models]]\nid = "m"\nadapters = ["lora-*"]\n',
        )
    )
    weighed.ingest(requests)
    before, after = plain.meter().costs("team_id"), weighed.meter().costs("team_id")

    assert sum(before.values()) == sum(after.values()) == HOUR_COST
    assert after["search"] > before["search"]


def test_a_change_of_weights_meters_the_month_again(fleet_of: Open) -> None:
    """What tokens weigh is policy: hours that were metered are due again, and come back when it does."""
    tiers = 'utilization = "allocation"\ntiers = { batch = "0.5" }'
    fleet = fleet_of(config())
    fleet.ingest([event("1", "search", tier="batch"), event("2", "ads")])
    first = fleet.meter().costs("team_id")

    assert fleet.configure(config(policy=tiers)).meter().costs("team_id") == {"search": 2 * UNIT, "ads": 4 * UNIT}
    assert fleet.configure(config()).meter().costs("team_id") == first == {"search": 3 * UNIT, "ads": 3 * UNIT}


def test_downtime_is_idle_with_its_cause_and_no_teams_bill(fleet_of: Open) -> None:
    """A GPU that loads for the whole hour is half of the cost, and what it did not do raises nobody's share."""
    down = f'[[downtime]]\ndeployment = "one"\ngpus = 1\ncause = "loading"\n{SPAN}\n'
    fleet = fleet_of(config(policy='utilization = "active"', more=down))
    fleet.ingest([event("1", "search")])
    fleet.ingest([sample("GPU-0", 0.75)], "gpu")

    assert fleet.meter().costs("team_id", "cause") == {
        ("__idle__", "loading"): 3 * UNIT, ("search", ""): 2_250_000_000, ("__idle__", "inactive"): 750_000_000}  # fmt: skip
