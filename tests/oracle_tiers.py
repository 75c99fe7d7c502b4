"""What a cached token weighs where engines tell which tier of the cache it came from.

Part of the oracle (see `oracle.py`): the standard library only, nothing of the product.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction

from tests.oracle_engines import TIERS, TOKENS, by_engine
from tests.oracle_fleet import Fleet
from tests.oracle_tokens import MIX_SCALE, role
from tests.oracle_units import split
from tests.oracle_usage import Record

CACHED = TOKENS[1]


def reads(fleet: Fleet, readings: Iterable[Record]) -> dict[tuple[int, str], Counter[str]]:
    """Cache reads by hour and deployment, all of them and by tier, of engines that tell both them and a tier.

    What an engine that only decodes got from the one that read the prompt came from no cache.
    """
    found: dict[tuple[int, str], Counter[str]] = {}
    for place, engines in by_engine(fleet, readings).items():
        if place.deployment and role(fleet, place.deployment, place.hour) != "decode":
            for parts in engines:
                if CACHED in parts and any(tier in parts for tier in TIERS):
                    counted = found.setdefault((place.hour, place.deployment), Counter())
                    counted.update({name: parts[name].growth for name in (CACHED, *TIERS) if name in parts})
    return found


def shares(counted: Counter[str]) -> dict[str, int]:
    """Parts of ten thousand by tier. What came from neither host nor storage was in a GPU, and parts may be more than the whole."""
    host, storage = (counted[tier] for tier in TIERS)
    return split(MIX_SCALE, {"device": max(0, counted[CACHED] - host - storage), "host": host, "storage": storage})


def cache_reads(fleet: Fleet, readings: Iterable[Record]) -> dict[tuple[int, str], Fraction]:
    """What a cache read weighs by hour and deployment, where engines tell."""
    weights = dict(fleet.cache_tiers)
    return {
        where: sum((weights[tier] * part for tier, part in shares(counted).items()), Fraction(0)) / MIX_SCALE
        for where, counted in reads(fleet, readings).items()
        if counted[CACHED]
    }
