"""The page that compares methods of splitting is what its command writes, and the product is one of the methods."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from tests.bench.simulator import page, product
from tests.bench.simulator.engine import simulate
from tests.bench.simulator.judged import Judged, judge
from tests.bench.simulator.recorded import recorded
from tests.bench.simulator.workloads import WORKLOADS


@pytest.fixture(scope="module")
def judged() -> list[Judged]:
    """Every workload with every method: what `make methods` computes."""
    return page.judged_all(WORKLOADS)


def test_the_page_is_what_the_command_writes(judged: list[Judged]) -> None:
    """`make methods` would change neither the page nor its picture; the product's money is the page's to the nano."""
    for name, text in page.written(judged).items():
        assert (page.HOME / name).read_bytes().decode() == text, f"{name} differs; run `make methods`, review the diff"


def test_the_ladder_keeps_its_order(judged: list[Judged]) -> None:
    """By the median workload a better rung splits phases better, and both wrong bases are worse than the weights."""
    phase = {
        name: page.middle([error.phase for one in judged if (error := one.errors[name]).phase is not None])
        for name in ("regression on steps", "throughput", "roofline", "weights", "blended", "mean taken as sum")
    }

    assert list(phase) == sorted(phase, key=lambda name: phase[name])
    assert page.middle([one.wall for one in judged]) > 10
    assert page.middle([one.understated for one in judged]) > 10


def test_the_product_divides_a_simulated_hour(tmp_path: Path) -> None:
    """Logs, samples and readings of a run land and are metered: the phases and teams add up to what the hour cost."""
    workload = WORKLOADS[0]
    run = simulate(workload.card, workload.requests(0.2), 1)

    (hour,) = product.metered([run], tmp_path)

    assert hour.prefill + hour.decode == sum(hour.teams.values()) == 4 * 2_490_000_000
    assert set(hour.teams) == {team.name for team in workload.teams}


def test_every_method_is_exact_where_there_is_one_team() -> None:
    """With nobody to share with, all methods agree with the truth."""
    workload = WORKLOADS[0]
    run = simulate(workload.card, [one for one in workload.requests(0.2) if one.team == "app"], 1)

    found = judge(workload, run, recorded(run))

    assert {error.distance for error in found.errors.values()} == {Fraction(0)}
