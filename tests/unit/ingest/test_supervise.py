"""Supervision: a source that fails is tried again after ever longer pauses, and the others never notice."""

from __future__ import annotations

import threading
from collections.abc import Callable

from apportion.domain.errors import InputError
from ingest.outcome import Outcome
from ingest.supervise import BACKOFF_SECONDS_MAX, NOTES_MAX, Health, Supervisor
from tests.frozen import FrozenClock


class Scripted:
    """A collector that does what each of its turns says, and then waits to be stopped."""

    collector = "kafka"

    def __init__(self, name: str, *turns: Callable[[Health], None]) -> None:
        self.name, self.turns = name, list(turns)
        self.waiting = threading.Event()

    def run(self, health: Health, stop: threading.Event) -> None:
        while self.turns:
            self.turns.pop(0)(health)
        self.waiting.set()
        stop.wait()


def fail(error: Exception) -> Callable[[Health], None]:
    """A turn that raises."""

    def turn(health: Health) -> None:
        del health
        raise error

    return turn


def supervised(clock: FrozenClock, *collectors: Scripted) -> tuple[Supervisor, list[float]]:
    """Collectors at work until each of them waits; the pauses between attempts take no time."""
    pauses: list[float] = []
    supervisor = Supervisor(collectors, clock, pause=lambda seconds: bool(pauses.append(seconds)))
    supervisor.start()
    for one in collectors:
        assert one.waiting.wait(30)
    return supervisor, pauses


def test_a_failing_source_backs_off_and_the_others_go_on(clock: FrozenClock) -> None:
    """Pauses double; the last error stays to be seen; the source beside it runs all the while."""
    broken = Scripted("broken", *[fail(InputError("no broker answers"))] * 3)
    sound = Scripted("sound", Health.alive)
    supervisor, pauses = supervised(clock, broken, sound)
    conditions = supervisor.conditions()
    supervisor.stop()

    assert pauses == [1.0, 2.0, 4.0]
    assert (conditions[0].state, conditions[0].failures, conditions[0].last_error) == (
        "failing",
        3,
        "no broker answers",
    )
    assert (conditions[1].state, conditions[1].failures, conditions[1].last_success_at) == ("running", 0, clock.now())
    assert [condition.state for condition in supervisor.conditions()] == ["stopped", "stopped"]


def test_the_first_success_starts_the_backoff_over(clock: FrozenClock) -> None:
    """After records landed, the next failure waits a second again."""
    source = Scripted(
        "s",
        *[fail(ValueError("x"))] * 2,
        lambda health: health.landed(Outcome(received=1, landed=1)),
        fail(ValueError("y")),
    )
    supervisor, pauses = supervised(clock, source)
    condition = supervisor.conditions()[0]
    supervisor.stop()

    assert pauses == [1.0, 2.0, 1.0]
    assert condition.last_error == "ValueError: y"
    assert condition.failures == 3


def test_pauses_are_bounded(clock: FrozenClock) -> None:
    """However often it fails, it is tried again within a minute."""
    health = Health("s", "files", clock)

    assert [health.failed(ValueError()) for _ in range(40)][-1] == BACKOFF_SECONDS_MAX


def test_notes_are_bounded_and_never_repeated(clock: FrozenClock) -> None:
    """The newest few sentences are kept, the same one once."""
    health = Health("s", "files", clock)
    for number in range(2 * NOTES_MAX):
        health.note(f"note {number}")
        health.note(f"note {number}")

    assert health.condition().notes == tuple(f"note {number}" for number in range(NOTES_MAX, 2 * NOTES_MAX))


def test_lag_is_known_or_unknown(clock: FrozenClock) -> None:
    """What waits at the source is a count, or None, never a made-up zero."""
    health = Health("s", "kafka", clock)
    unknown = health.condition().lag_records
    health.lag(5)

    assert (unknown, health.condition().lag_records) == (None, 5)
