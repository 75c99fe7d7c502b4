"""How often a test that tries things at random tries them."""

from __future__ import annotations

import os


def times(count: int) -> int:
    """A number of random fleets, rounds or examples; `THOROUGH=10 make test` tries ten times as many."""
    return count * int(os.environ.get("THOROUGH", "1"))
