"""What decides where events and samples belong: aliases, models served by several deployments, matches that compete."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from apportion.config.fleet import Deployment, ModelAlias
from apportion.config.fleet_reading import Fleet
from apportion.config.globs import pairs, share_a_text
from apportion.config.policy import Policy
from apportion.config.tables import Placed, Problems, listed
from apportion.config.values import span
from apportion.domain.effective import first_overlap
from apportion.domain.period import Period

EVENT_FIELDS: Final = ("cluster", "replica", "namespace")
"""What an event that names no deployment can be told apart by."""
SAMPLE_FIELDS: Final = ("cluster", "node", "gpu_uuid", "namespace", "pod")
"""The same of a GPU sample."""
NAMED_MAX: Final = 3
"""Of deployments that are taken for one another."""


def check(fleet: Fleet, policy: Policy, problems: Problems) -> None:
    """Note aliases that contradict one another, and warn of events and samples that no deployment will take."""
    _aliases(fleet.aliases, problems)
    _models_by_their_names(fleet, problems)
    _one_deployment_per_model(fleet.deployments, problems)
    _one_prefill_per_model(fleet.deployments, problems)
    _prefill_for_somebody(fleet.deployments, problems)
    _one_deployment_per_gpu(fleet.deployments, policy, problems)


def _aliases(aliases: list[Placed[ModelAlias]], problems: Problems) -> None:
    groups: defaultdict[str, list[Placed[ModelAlias]]] = defaultdict(list)
    for row in aliases:
        groups[row.item.alias].append(row)
    for name, group in groups.items():
        both = first_overlap([row.item for row in group])
        if both:
            one, other = (next(row for row in group if row.item is item) for item in both)
            problems.error(
                other.where,
                f"alias {name!r} stands for {other.item.model!r} {span(other.item.effective)}, and "
                f"at {one.where} for {one.item.model!r} {span(one.item.effective)}; set effective_to on the earlier",
            )
    for row in aliases:
        for further in groups.get(row.item.model, []):
            if further.item.effective.overlaps(row.item.effective):
                problems.error(
                    f"{row.where}.model",
                    f"{row.item.model!r} is an alias itself, of {further.item.model!r} at {further.where}, "
                    f'and aliases are followed once; write model = "{further.item.model}"',
                )


def _models_by_their_names(fleet: Fleet, problems: Problems) -> None:
    aliases: defaultdict[str, list[Placed[ModelAlias]]] = defaultdict(list)
    for row in fleet.aliases:
        aliases[row.item.alias].append(row)
    for deployment in fleet.deployments:
        for alias in (row for model in deployment.item.models for row in aliases.get(model, ())):
            if alias.item.effective.overlaps(deployment.item.effective):
                problems.warning(
                    f"{deployment.where}.models",
                    f"names {alias.item.alias!r}, which {alias.where} makes {alias.item.model!r}, "
                    f"so no event will find it; list {alias.item.model!r} instead",
                )


def _one_deployment_per_model(deployments: list[Placed[Deployment]], problems: Problems) -> None:
    for model, rows in _by_model(row for row in deployments if row.item.role != "prefill").items():
        found = _mistaken(rows, EVENT_FIELDS)
        if not found:
            continue
        other, both = rows[min(found)], found[min(found)][1]
        among = sorted({*found, *(one for one, _ in found.values())})
        names = [repr(rows[place].item.id) for place in among]
        if len(names) == 2:  # noqa: PLR2004 - a pair
            served, whom = f"{names[0]} and by {names[1]} {span(both)}", "the two"
        else:
            served, whom = f"{listed(names, NAMED_MAX)}, several of them at once", "them"
        problems.warning(
            f"{other.where}.models",
            f"{model!r} is served by {served}, so events that name none stay unplaced; tell {whom} apart by "
            "match = { cluster, replica or namespace }",
        )


def _by_model(rows: Iterable[Placed[Deployment]]) -> dict[str, list[Placed[Deployment]]]:
    serving: defaultdict[str, list[Placed[Deployment]]] = defaultdict(list)
    for row in rows:
        for model in row.item.models:
            serving[model].append(row)
    return serving


def _one_prefill_per_model(deployments: list[Placed[Deployment]], problems: Problems) -> None:
    """Prompts of a decode deployment belong to the one that reads them; where that is not one, they stay where they are."""
    prefill = _by_model(row for row in deployments if row.item.role == "prefill")
    for row in deployments:
        for model in row.item.models if row.item.role == "decode" else ():
            reading = [other.item for other in prefill.get(model, ()) if _together(row.item, other.item)]
            twice = first_overlap(reading)
            if twice or not reading:
                why = (
                    f"prompts of {model!r} are read by several deployments {_both(*twice)}, so that their tokens stay here "
                    "and what the readers cost is unplaced_prefill, which is nobody's"
                    if twice
                    else f"no deployment of role prefill serves {model!r}, so that their tokens stay here"
                )
                problems.warning(
                    f"{row.where}.role",
                    f'is decode, and {why}; have one [[deployments]] with role = "prefill" serve it',
                )


def _prefill_for_somebody(deployments: list[Placed[Deployment]], problems: Problems) -> None:
    """A deployment that only reads prompts takes no event by itself, and prompts only of those that only decode."""
    serving = _by_model(row for row in deployments if row.item.role != "prefill")
    for row in deployments:
        for model in row.item.models if row.item.role == "prefill" else ():
            roles = {other.item.role for other in serving.get(model, ()) if _together(row.item, other.item)}
            if not roles:
                problems.warning(
                    f"{row.where}.role",
                    f"is prefill, and no deployment of role decode or both serves {model!r}, so events that name none stay "
                    "unplaced; add the one that decodes",
                )
            elif "decode" not in roles:
                problems.warning(
                    f"{row.where}.role",
                    f"is prefill, and only deployments of role both serve {model!r} beside it, so no request's prompt counts "
                    'here unless it names this one; give the one that decodes for it role = "decode"',
                )


def _one_deployment_per_gpu(deployments: list[Placed[Deployment]], policy: Policy, problems: Problems) -> None:
    """Only where telemetry decides: a sample that two deployments claim counts for neither."""
    claiming = [row for row in deployments if any(getattr(row.item.match, name) is not None for name in SAMPLE_FIELDS)]
    read = {row.where for row in claiming if (row.item.utilization or policy.utilization) == "active"}
    found = _mistaken(claiming, SAMPLE_FIELDS, lambda one, other: bool({one.where, other.where} & read))
    for place, (earlier, both) in sorted(found.items()):
        one, other = claiming[earlier], claiming[place]
        problems.warning(
            f"{other.where}.match",
            f"a GPU sample may fit {other.item.id!r} and {one.item.id!r} {span(both)}, and counts for neither "
            "unless it names one; tell the two apart by match = { cluster, node, gpu_uuid, namespace or pod }",
        )


def _mistaken(
    rows: Sequence[Placed[Deployment]],
    fields: Sequence[str],
    matters: Callable[[Placed[Deployment], Placed[Deployment]], bool] = lambda _, __: True,
) -> dict[int, tuple[int, Period]]:
    """Place of a deployment -> an earlier one that nothing tells it apart from, and when; one each, however many there are."""
    ways = {name: [getattr(row.item.match, name) or "*" for row in rows] for name in fields}
    found: dict[int, tuple[int, Period]] = {}
    for earlier, place in pairs(max(ways.values(), key=lambda globs: len(set(globs)))):
        if place in found:
            continue
        one, other = rows[earlier], rows[place]
        both = _together(one.item, other.item)
        if both and matters(one, other) and not _told_apart(one.item, other.item, fields):
            found[place] = earlier, both
    return found


def _both(one: Deployment, other: Deployment) -> str:
    """When both are in force, in words; they are known to be at some time."""
    return span(Period(max(one.effective.start, other.effective.start), min(one.effective.end, other.effective.end)))


def _together(one: Deployment, other: Deployment) -> Period | None:
    """When two deployments are both in force."""
    start, end = max(one.effective.start, other.effective.start), min(one.effective.end, other.effective.end)
    return Period(start, end) if start < end else None


def _told_apart(one: Deployment, other: Deployment, fields: Sequence[str]) -> bool:
    """Whether nothing can match both."""
    for name in fields:
        left, right = getattr(one.match, name), getattr(other.match, name)
        if left is not None and right is not None and not share_a_text(left, right):
            return True
    return False
