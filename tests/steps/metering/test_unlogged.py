"""What engines did and no log explains, from its tokens to its lines: named promises, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.steps.metering import pencil
from tests.steps.metering.engine_facts import Count
from tests.steps.metering.facts import HOUR, Deployment, Event, Facts, Pool, Rate, Sample, at, caller
from tests.steps.metering.reading import charges, money

ONE, TWO = at("01:00"), at("02:00")
NANO = 10**9
BUSY = tuple(Sample(at=ONE + n * HOUR // 2, ppm=600_000, deployment="d") for n in (0, 1))
"""Six tenths of an hour that costs 3.00: a workload of 1.80."""
FLEET = Facts(
    pools=(Pool(),), rates=(Rate(nano=3 * NANO),), deployments=(Deployment(),), hold=HOUR, samples=BUSY, tolerance_ppm=0,
)  # fmt: skip


def engine(prompt: int, output: int, **where: str) -> tuple[Count, Count]:
    """An engine that counted this much in the hour."""
    return Count(at=ONE, prompt=0, output=0, **where), Count(at=TWO, prompt=prompt, output=output, **where)


def lines(session) -> dict[tuple[str, ...], tuple[int | None, int | None]]:
    """Tokens and nano of each line of the hour by caller, model, cost kind, cause and token kind."""
    return {(key[5], key[4], *key[7:]): measure for key, measure in charges(session).items()}


@pytest.mark.parametrize(
    ("utilization", "workload"), [("active", 18 * NANO // 10), ("capacity", 3 * NANO), ("allocation", 3 * NANO)]
)
def test_a_lost_log_is_never_idle(metered, utilization: str, workload: int) -> None:
    """Without one log, what the engine did is unattributed work by token kind, by every way to tell how busy the GPUs were."""
    facts = replace(
        FLEET, deployments=(Deployment(utilization=utilization, capacity=80),), counts=engine(prompt=20, output=10)
    )
    found = lines(metered(facts, ONE, TWO))
    spent = {key: nano for key, (tokens, nano) in found.items() if tokens is not None}

    assert spent == {
        ("", "m", "workload", "unlogged", "uncached_input"): workload // 4,
        ("", "m", "workload", "unlogged", "output"): workload * 3 // 4,
    }
    assert {key[3] for key in found} <= {"unlogged", "inactive"}
    assert sum(nano or 0 for _, nano in found.values()) == 3 * NANO


def test_the_logged_part_pays_its_own_share_only(metered) -> None:
    """Half the tokens were logged: half the work is the team's, the other half is nobody's, and nobody's idle grew."""
    events = (Event(at=ONE, principal="k", tokens=(("uncached_input", 10), ("output", 5))),)
    logged = money(metered(replace(FLEET, events=events), ONE, TWO))
    found = money(metered(replace(FLEET, events=events, counts=engine(prompt=20, output=10)), ONE, TWO))

    assert logged["k", "workload", ""] == 18 * NANO // 10
    assert (found["k", "workload", ""], found["", "workload", "unlogged"]) == (9 * NANO // 10, 9 * NANO // 10)
    assert found["", "idle", "inactive"] == logged["", "idle", "inactive"]


def test_unlogged_tokens_of_several_models_are_of_none(metered) -> None:
    """Engines of two models on one deployment: what they are ahead of the logs by has no model."""
    counts = (*engine(0, 10), *engine(0, 30, engine="f", model="n", deployment="d"))
    found = lines(metered(replace(FLEET, counts=counts), ONE, TWO))

    assert found["", "", "workload", "unlogged", "output"] == (40, 18 * NANO // 10)


def test_replica_restart_loses_no_tokens(metered) -> None:
    """A replica that begins again within the hour counted 30 and then 50: with 80 in the logs, nothing is missing on either side."""
    counts = (
        Count(at=ONE, output=1000),
        Count(at=at("01:20"), output=1030),
        Count(at=at("01:40"), output=20, started=at("01:25")),
        Count(at=TWO, output=50, started=at("01:25")),
    )
    events = (Event(at=ONE, tokens=(("output", 80),)),)
    session = metered(replace(FLEET, counts=counts, events=events), ONE, TWO)

    assert session.rows("SELECT output_tokens, resets FROM metering.engine_usage_hourly") == [(80, 1)]
    assert session.rows("SELECT cause, unlogged_output_tokens FROM metering.reconciliation_hourly") == [("agreed", 0)]


def test_what_a_replica_did_before_it_died_unread_is_only_what_was_read(metered) -> None:
    """Counted by the last reading before a restart and the first one after it; nothing is made up in between."""
    counts = (Count(at=ONE, output=0), Count(at=at("01:20"), output=30), Count(at=TWO, output=50, started=at("01:50")))

    assert metered(replace(FLEET, counts=counts), ONE, TWO).rows(
        "SELECT output_tokens, observed_us FROM metering.engine_usage_hourly"
    ) == [(80, HOUR // 2)]


def test_a_missing_engine_reading_is_absent_not_zero(metered) -> None:
    """Logs of an hour that no engine told of are not compared with nothing; neither are kinds of tokens that it does not tell."""
    events = (Event(at=ONE, tokens=(("uncached_input", 10), ("output", 5))),)
    unknown = "SELECT engine_input_tokens, engine_output_tokens, cause FROM metering.reconciliation_hourly"

    assert metered(replace(FLEET, events=events), ONE, TWO).rows(unknown) == []
    silent = (Count(at=ONE, idle_us=0), Count(at=TWO, idle_us=5))
    assert metered(replace(FLEET, events=events, counts=silent), ONE, TWO).rows(unknown) == [
        (None, None, "no_telemetry")
    ]
    counts = (Count(at=ONE, output=0), Count(at=TWO, output=5))
    assert metered(replace(FLEET, events=events, counts=counts), ONE, TWO).rows(unknown) == [(None, 5, "agreed")]


def test_engines_that_agree_change_no_line(metered) -> None:
    """With telemetry that says what the logs say, every line is the pencil's, which knows of no engine."""
    events = tuple(
        Event(at=ONE + n, principal=f"k{n}", tokens=(("uncached_input", n), ("output", 2 * n))) for n in range(9)
    )
    facts = replace(FLEET, events=events, counts=engine(prompt=36, output=72))

    assert charges(metered(facts, ONE, TWO)) == pencil.charges(facts, [ONE])


def test_engines_nobody_takes_change_no_line(metered) -> None:
    """An engine in no deployment is shown and costs nothing."""
    facts = replace(FLEET, counts=engine(prompt=36, output=72, model="other"))

    assert charges(metered(facts, ONE, TWO)) == pencil.charges(facts, [ONE])


def test_remainders_of_unlogged_tokens_go_by_text(metered) -> None:
    """Nobody's line is the first of its kind: its caller is the empty text."""
    events = (Event(at=ONE, principal="k", tokens=(("output", 1),)),)
    facts = replace(
        FLEET,
        rates=(Rate(nano=3),),
        events=events,
        counts=engine(prompt=0, output=2),
        samples=(replace(BUSY[0], ppm=10**6),),
    )
    found = lines(metered(facts, ONE, TWO))

    assert found == {
        ("", "m", "workload", "unlogged", "output"): (1, 2),
        (caller("k"), "m", "workload", "", "output"): (1, 1),
    }


MINUTELY = tuple(
    Count(at=at("00:00") - 20_000_000 + n * 60_000_000, prompt=40 * n, cache_read=9 * n, output=9 * n)
    for n in range(200)
)
"""Read at :40 of every minute; each minute holds one request of 40 prompt tokens, of them 9 cached, and 9 of output."""
VERDICT = """SELECT unlogged_uncached_input_tokens + unlogged_cache_read_tokens, unlogged_output_tokens, cause
FROM metering.reconciliation_hourly"""


def minutely(lost: range = range(0), second: int = 20) -> tuple[Event, ...]:
    """A request at this second of each minute of three hours, but of those that are lost."""
    tokens = (("uncached_input", 31), ("cache_read", 9), ("output", 9))
    return tuple(Event(at=at("00:00") + (n * 60 + second) * 10**6, tokens=tokens) for n in range(180) if n not in lost)


@pytest.mark.parametrize("second", [0, 20, 39, 41, 59])
def test_complete_logs_are_never_unlogged_for_where_a_reading_lies(metered, second: int) -> None:
    """Whatever the second that readings and requests have, with no tolerance at all: a border's minute is of either hour."""
    grown = MINUTELY if second < 40 else tuple(replace(count, at=count.at + 60_000_000) for count in MINUTELY)
    facts = replace(FLEET, counts=grown, events=minutely(second=second), hold=120_000_000)
    found = metered(facts, at("00:00"), at("03:00")).rows(VERDICT)

    assert [row[:2] for row in found] == [(0, 0)] * 3
    assert {row[2] for row in found} <= {"agreed", "crossing"}


def test_a_log_lost_beyond_the_borders_is_unlogged_whole(metered) -> None:
    """Half an hour of them: of the 30 x 40 and 30 x 9 tokens nothing is forgiven, since their hour is ahead by more than borders hold."""
    facts = replace(FLEET, counts=MINUTELY, events=minutely(lost=range(70, 100)), hold=120_000_000)

    assert metered(facts, ONE, TWO).rows(VERDICT) == [(1200, 270, "unlogged")]


def test_a_hole_of_telemetry_forgives_nothing(metered) -> None:
    """Readings farther apart than a sample holds: what grew between them is spread evenly and held against the logs of each hour."""
    counts = (Count(at=at("00:30"), output=0), Count(at=at("01:30"), output=600), Count(at=TWO, output=600))
    lost = replace(FLEET, counts=counts, hold=HOUR - 1)

    assert metered(lost, at("00:00"), TWO).rows(VERDICT) == [(0, 300, "no_logs")] * 2
    assert metered(replace(lost, hold=HOUR), ONE, TWO).rows(VERDICT) == [(0, 0, "crossing")]
