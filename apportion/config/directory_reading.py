"""Read `[directory]`: rules in the config, then those of its CSV file; no two may map one caller twice at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from apportion.config import teams, values
from apportion.config.directory import SYSTEM_TEAMS, Directory, DirectoryRule
from apportion.config.tables import Problems, Table, each, unknown
from apportion.domain.effective import first_overlap


def read(table: Table, beside: Path) -> Directory:
    """The directory, with the rows of its file behind the rules of the config."""
    rules = [placed.item for placed in each(table, "rules", _rule)]
    file = beside / table.text("file") if table.has("file") else None
    if file:
        rules += teams.read(file, table.place("file"), table.problems)
    _each_selector_once(rules, table.problems)
    return Directory(
        rules=tuple(rules), file=file, cost_centers=_cost_centers(table.table("cost_centers")), tags=table.names("tags")
    )


def _rule(table: Table) -> DirectoryRule:
    tag = table.raw("tag")
    team_tag = table.text("tag") if isinstance(tag, str) else ""
    rule = DirectoryRule(
        principal=table.pattern("principal"),
        namespace=table.pattern("namespace"),
        source=table.pattern("source"),
        tags=() if isinstance(tag, str) else _tags(table.table("tag")),
        team=table.name("team", ""),
        team_tag=team_tag,
        team_name=table.text("team_name", ""),
        project=table.text("project", ""),
        cost_center=table.text("cost_center", ""),
        effective=table.period(start_optional=True),
        where=table.where,
    )
    if not (table.has("team") or team_tag):
        table.wrong("team", 'is missing; name who pays, or write tag = "team" to take the tag\'s value')
    if rule.team and team_tag:
        table.wrong("team", f'stands beside tag = "{team_tag}", which takes the tag\'s value as the team; keep one')
    if not any(table.has(selector) for selector in ("principal", "namespace", "source")) and not tag:
        table.wrong("", 'has no selector (principal, namespace, source, tag); write principal = "*" for every caller')
    return rule


def _tags(table: Table) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, table.text(key)) for key in table.written()))


def _cost_centers(table: Table) -> Mapping[str, str]:
    for team in table.written():
        if team.startswith("__") and team not in SYSTEM_TEAMS:
            table.wrong(team, unknown("system team", team, SYSTEM_TEAMS))
    return {team: table.text(team) for team in table.written()}


def _each_selector_once(rules: Sequence[DirectoryRule], problems: Problems) -> None:
    alike: defaultdict[tuple[Any, ...], list[DirectoryRule]] = defaultdict(list)
    for rule in rules:
        alike[rule.principal, rule.namespace, rule.source, rule.tags, rule.team_tag].append(rule)
    for group in alike.values():
        both = first_overlap(group) if len(group) > 1 else None
        if both:
            first, second = sorted(both, key=group.index)
            problems.error(
                second.where,
                f"maps {_selectors(second)} twice: {first.where} does so {values.span(first.effective)}, this "
                f"{values.span(second.effective)}; remove one, or set effective_to on the earlier",
            )


def _selectors(rule: DirectoryRule) -> str:
    named = [
        ("principal", rule.principal),
        ("namespace", rule.namespace),
        ("source", rule.source),
        *rule.tags,
        ("tag", rule.team_tag or None),
    ]
    return " and ".join(f"{key} {glob!r}" for key, glob in named if glob is not None)
