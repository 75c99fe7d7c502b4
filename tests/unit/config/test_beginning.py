"""What begins before its pool is said with the dates: all of those hours are metered, and nothing uses them."""

from __future__ import annotations

import pytest

from tests.unit.config.conftest import LEDGER, Loaded

POOL = '[[pools]]\nid = "{}"\ngpu = "L4"\ngpus = 8\neffective_from = {}\n'
RATE = '[[rates]]\npool = "{}"\ncomponent = "accelerator"\nper_gpu_hour = "1"\neffective_from = 2020-01-01T00:00:00Z\n'
P = POOL.format("p", "2026-10-01T00:30:00Z") + RATE.format("p")
Q = POOL.format("q", "2025-10-01T00:00:00Z") + RATE.format("q")
ASSET = '[[assets]]\nid = "a"\npool = "p"\ngpus = 8\ncapex = "1"\nlife_months = 1\neffective_from = {}\n'
TERM = '[[commitments]]\nid = "r"\nkind = "reserved"\npools = {}\ngpus = 1\nupfront = "1"\neffective_from = {}\neffective_to = {}\n'
CUT = "if that is not meant, correct the dates, or set ledger.metered_from = 2026-10-01T00:00:00Z to leave them out"


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        (P + ASSET.format("2025-10-01T00:00:00Z"), [f"assets[0].effective_from: asset 'a' is in service since 2025-10-01T00:00:00Z, and its pool exists from 2026-10-01T00:30:00Z; until then it is metered as unused, 8760 hours of it; {CUT}"]),
        (P + ASSET.format("2026-09-30T23:45:00Z"), [f"assets[0].effective_from: asset 'a' is in service since 2026-09-30T23:45:00Z, and its pool exists from 2026-10-01T00:30:00Z; until then it is metered as unused, 1 hour of it; {CUT}"]),
        (P + ASSET.format("2026-10-01T00:00:00Z"), []),
        (P + Q + TERM.format('["p"]', "2026-09-01T00:00:00Z", "2027-09-01T00:00:00Z"), ["commitments[0].effective_from: commitment 'r' begins 2026-09-01T00:00:00Z, and its pool exists from 2026-10-01T00:30:00Z; until then it is metered as unused, 720 hours of it; if that is not meant, correct the dates"]),
        (P + TERM.format('["p"]', "2026-09-01T00:00:00Z", "2026-09-02T00:00:00Z"), [f"commitments[0].effective_from: commitment 'r' begins 2026-09-01T00:00:00Z, and its pool exists from 2026-10-01T00:30:00Z; until then it is metered as unused, 24 hours of it; {CUT}"]),
        (P + Q + TERM.format('["p", "q"]', "2025-10-01T00:00:00Z", "2027-09-01T00:00:00Z"), []),
        (P + Q + TERM.format('["p", "q"]', "2025-09-30T00:00:00Z", "2027-09-01T00:00:00Z"), ["commitments[0].effective_from: commitment 'r' begins 2025-09-30T00:00:00Z, and the first of its pools exists from 2025-10-01T00:00:00Z; until then it is metered as unused, 24 hours of it; if that is not meant, correct the dates, or set ledger.metered_from = 2025-10-01T00:00:00Z to leave them out"]),
    ],
)  # fmt: skip
def test_hours_before_a_pool_are_warned_about(text: str, warnings: list[str], loaded: Loaded) -> None:
    """From the whole hour of its beginning to that of its first pool, or to its own end; `metered_from` helps where nothing else began."""
    assert loaded(text).warnings == tuple(f"apportion.toml:{sentence}" for sentence in warnings)


def test_hours_that_are_never_metered_are_not_warned_about(loaded: Loaded) -> None:
    """`metered_from` leaves out what is before it, and the rest is counted."""
    text, set_to = P + ASSET.format("2025-10-01T00:00:00Z"), LEDGER + "metered_from = {}\n"
    (said,) = loaded(text, ledger=set_to.format("2026-09-30T00:00:00Z")).warnings

    assert loaded(text, ledger=set_to.format("2026-10-01T00:00:00Z")).warnings == ()
    assert "metered as unused, 24 hours of it" in said
