"""The machine's clock is aware and in UTC."""

from __future__ import annotations

from datetime import UTC

from apportion.domain.clock import SystemClock


def test_the_system_clock_is_aware_and_ascending() -> None:
    """Times carry UTC and do not run backwards between two looks."""
    clock = SystemClock()
    first, second = clock.now(), clock.now()

    assert first.tzinfo is UTC
    assert first <= second
