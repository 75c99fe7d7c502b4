"""Who pays for whom: dated rules, first match wins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from apportion.domain.period import Period

SYSTEM_TEAMS: Final = ("__idle__", "__overhead__", "__unmeasured__", "__unattributed__", "__unmapped__")
PROJECT_TAG: Final = "project"
"""The tag that is always on the allow-list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryRule:
    """Who pays for which callers; every selector given must match.

    Attributes:
        principal: glob, or None for any.
        namespace: glob, or None for any.
        source: glob, or None for any.
        tags: (tag, glob) pairs by tag.
        team: who pays, or empty where `team_tag` says.
        team_tag: tag whose value is the team, or empty.
        team_name: for people; may be empty.
        project: may be empty.
        cost_center: may be empty.
        effective: when.
        where: `file:key` or `file:line` it was read from; not part of its value.
    """

    principal: str | None
    namespace: str | None
    source: str | None
    tags: tuple[tuple[str, str], ...]
    team: str
    team_tag: str
    team_name: str
    project: str
    cost_center: str
    effective: Period
    where: str = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Who pays for whom.

    Attributes:
        rules: first match wins; those of the file come after those of the config.
        file: the CSV they come from, if any.
        cost_centers: team -> cost center, for lines that no rule places.
        tags: keys to keep on the allow-list though no rule uses them.
    """

    rules: tuple[DirectoryRule, ...]
    file: Path | None
    cost_centers: Mapping[str, str]
    tags: tuple[str, ...]
