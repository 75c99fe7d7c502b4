"""What callers write about who is to pay: never believed, but counted.

Gateways and providers repeat what a request's body said: tags, metadata. Where it names a team, a project or a cost center,
the record is marked by a tag that no allow-list needs: the value that was claimed never gets further than this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ingest.formats import conversions as to

MARK: Final = "claimed in the request"
"""The tag. Landing counts it and drops it."""

_WHO: Final = "team|project|cost[_-]?cent(er|re)|business[_-]?unit|department|tenant|organi[sz]ation|principal"
_CLAIM: Final = rf'["\\](x-)?({_WHO})([_-]?(id|name|alias))?\\*"?\s*[:=]'
"""A member of an object, also of one inside a text, or a text `team:name` or `team=name`."""


def found(values: Sequence[str]) -> str:
    """SQL: whether one of some JSON texts names who is to pay, as a text; NULL where none does."""
    claims = " OR ".join(f"coalesce(regexp_matches(lower({value}), {to.text(_CLAIM)}), false)" for value in values)
    return f"CASE WHEN {claims} THEN 'true' END"
