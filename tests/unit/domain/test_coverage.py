"""Who covers which GPUs: in order, no more than there are, and nothing is lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from apportion.domain.coverage import UNUSED, Cover, Covered, Plan, Saved, cover, uncovered
from apportion.domain.period import Period

START = datetime(2026, 10, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Bought:
    """GPUs of a pool."""

    id: str
    gpus: int
    effective: Period


def days(first: int, last: int) -> Period:
    """A range of days of October."""
    return Period(START + timedelta(days=first), START + timedelta(days=last))


def test_covers_take_in_order_and_pools_give_in_order() -> None:
    """Five GPUs for q, then p: q's three go first; the second cover finds what is left of p, and one of its own in vain."""
    bought = [Bought("p", 4, days(0, 9)), Bought("q", 3, days(0, 9))]
    covers = [
        Cover(evidence="a", gpus=5, pools=("q", "p"), effective=days(0, 9)),
        Cover(evidence="b", gpus=3, pools=("p",), effective=days(0, 9)),
    ]

    assert cover(bought, covers, [])[0] == [
        Covered(evidence=evidence, pool=pool, gpus=gpus, effective=days(0, 9))
        for evidence, pool, gpus in (("a", "q", 3), ("a", "p", 2), ("b", "p", 2), ("b", UNUSED, 1))
    ]


def test_edges_of_others_do_not_cut_what_stays_the_same() -> None:
    """A resize that a cover does not feel leaves one row; one that it feels makes two."""
    bought = [Bought("p", 4, days(0, 3)), Bought("p", 5, days(3, 6)), Bought("p", 1, days(6, 9))]
    covered, _ = cover(bought, [Cover(evidence="a", gpus=2, pools=("p",), effective=days(1, 9))], [])

    assert [(row.pool, row.gpus, row.effective) for row in covered] == [
        ("p", 2, days(1, 6)), ("p", 1, days(6, 9)), (UNUSED, 1, days(6, 9)),
    ]  # fmt: skip


def test_a_plan_saves_on_what_nothing_covers() -> None:
    """Two of four GPUs are covered; ten an hour at four each use eight, and two are promised in vain."""
    bought, at = [Bought("p", 4, days(0, 9))], days(0, 9)
    covers = [Cover(evidence="a", gpus=2, pools=("p",), effective=at)]
    plan = Plan(id="s", per_hour=10, pools=("p",), rates={"p": 4}, effective=at)

    assert cover(bought, covers, [plan])[1] == [
        Saved(id="s", pool="p", gpus=2, rate=4, used=8, rest=0, effective=at),
        Saved(id="s", pool=UNUSED, gpus=0, rate=0, used=2, rest=0, effective=at),
    ]


def test_the_card_is_due_while_anything_is_uncovered() -> None:
    """A plan with a rest leaves its GPUs to the card, one without does not; a pool without covers is due as a whole."""
    bought = [Bought("p", 2, days(0, 9)), Bought("q", 1, days(2, 4))]
    covered = [Covered(evidence="a", pool="p", gpus=1, effective=days(0, 5))]
    saved = [
        Saved(id="s", pool="p", gpus=1, rate=4, used=4, rest=0, effective=days(1, 3)),
        Saved(id="s", pool="p", gpus=1, rate=4, used=3, rest=1, effective=days(3, 9)),
    ]

    assert uncovered(bought, covered, saved) == {"p": [days(0, 1), days(3, 9)], "q": [days(2, 4)]}


RANGE = st.tuples(st.integers(0, 20), st.integers(1, 9)).map(lambda pair: days(pair[0], pair[0] + pair[1]))
POOLS = st.permutations(["p", "q", "r"]).flatmap(lambda names: st.integers(1, 3).map(lambda most: tuple(names[:most])))
COVERS = st.lists(st.tuples(st.integers(1, 6), POOLS, RANGE), max_size=4)
PLANS = st.lists(st.tuples(st.integers(0, 30), POOLS, RANGE), max_size=2)


@given(st.lists(st.integers(0, 5), min_size=3, max_size=3), COVERS, PLANS)
def test_nothing_is_covered_twice_or_lost(
    sizes: list[int],
    promised: list[tuple[int, tuple[str, ...], Period]],
    plans: list[tuple[int, tuple[str, ...], Period]],
) -> None:
    """On every day: no pool gives more than it has, each cover accounts for all of its GPUs, each plan for all it promised."""
    bought = [Bought(name, gpus, days(0, 30)) for name, gpus in zip("pqr", sizes, strict=True)]
    covers = [
        Cover(evidence=str(number), gpus=gpus, pools=pools, effective=at)
        for number, (gpus, pools, at) in enumerate(promised)
    ]
    saving = [
        Plan(id=str(number), per_hour=amount, pools=pools, rates=dict.fromkeys(pools, 3), effective=at)
        for number, (amount, pools, at) in enumerate(plans)
    ][:1]
    covered, saved = cover(bought, covers, saving)
    for day in range(30):
        now = START + timedelta(days=day)
        mine = [row for row in covered if row.effective.start <= now < row.effective.end]
        kept = [row for row in saved if row.effective.start <= now < row.effective.end]
        for pool in bought:
            assert sum(row.gpus for row in (*mine, *kept) if row.pool == pool.id) <= pool.gpus
        for row in covers:
            total = row.gpus if row.effective.start <= now < row.effective.end else 0
            assert sum(part.gpus for part in mine if part.evidence == row.evidence) == total
        for plan in saving:
            total = plan.per_hour if plan.effective.start <= now < plan.effective.end else 0
            assert sum(part.used for part in kept if part.id == plan.id) == total
        assert all(part.used + part.rest == part.gpus * part.rate for part in kept if part.pool)
