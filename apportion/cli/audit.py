"""`apportion audit`."""

from __future__ import annotations

import argparse
from typing import Any

from apportion.cli import times
from apportion.cli.exclusive import opened
from apportion.cli.output import console, print_json
from apportion.config.load import load
from apportion.domain.clock import SystemClock
from apportion.domain.money import nano
from apportion.domain.money import text as money_text
from attribution.sharing import TeamShare, by_team
from exporters.amounts import percent
from exporters.columns import Column, show_columns
from metering import sharing

PPM = 1_000_000
NO_DURATIONS = (
    "no request of the day tells how long it took, so there is nothing to compare with; let events carry duration_ms, "
    "which gateways and engines know, or name another day"
)
ONLY_PROMPTS = (
    "no request of the day ran to its end here: prompts were read here for {names}, where the requests ran on and are timed, and "
    "no log tells how long the prompt alone took; audit --deployment {first}"
)


def run(options: argparse.Namespace) -> int:
    """A day's work by token weights beside processor sharing; a difference is no failure."""
    day = times.day(options.day, "--day")
    clock = SystemClock()
    with (
        opened(options, load(options.config), clock) as pipeline,
        sharing.undone(pipeline.ledger) as session,
    ):
        numbers = sharing.deployments_of(session, deployment=options.deployment, pool=options.pool)
        compared = sharing.compare(session, clock, day, numbers)
        teams = by_team(session, sharing.TABLE)
    found = _described(compared, teams, options)
    if options.json:
        print_json(found)
    else:
        _show(found)
    return 1 if found["failure"] else 0


def _described(compared: sharing.Compared, teams: list[TeamShare], options: argparse.Namespace) -> dict[str, Any]:
    whole = sum(team.tokens_nano for team in teams)
    moved = sum(abs(team.sharing_nano - team.tokens_nano) for team in teams) // 2
    return {
        "day": options.day,
        **({"pool": options.pool} if options.pool is not None else {"deployment": options.deployment}),
        "requests": compared.requests,
        "requests_at_once": _decimal(compared.ran_us, compared.busy_us),
        "deployment_hours": compared.hours,
        "failure": "" if compared.hours else _failure(compared),
        "compared_cost": money_text(whole),
        "left_out_cost": money_text(compared.left_out_nano),
        "moved_cost": money_text(moved),
        "moved_share": _decimal(moved, whole),
        "teams": [
            {
                "team": team.team,
                "by_tokens": money_text(team.tokens_nano),
                "by_sharing": money_text(team.sharing_nano),
                "difference": money_text(team.sharing_nano - team.tokens_nano),
            }
            for team in teams
        ],
    }


def _failure(compared: sharing.Compared) -> str:
    if compared.requests or not compared.decoded_by:
        return NO_DURATIONS
    return ONLY_PROMPTS.format(names=" and ".join(compared.decoded_by), first=compared.decoded_by[0])


def _decimal(part: int, whole: int) -> str | None:
    """A quotient with six decimals, cut; None of nothing."""
    return None if whole == 0 else f"{part // whole}.{part * PPM // whole % PPM:06d}"


def _show(found: dict[str, Any]) -> None:
    if found["failure"]:
        console().print(f"[red]nothing to compare[/red]: {found['failure']}")
        return
    teams = found["teams"]
    amounts = [
        Column(heading, [team[key] for team in teams], total=total, is_number=True)
        for heading, key, total in (
            ("by tokens (charged)", "by_tokens", found["compared_cost"]),
            ("by processor sharing", "by_sharing", found["compared_cost"]),
            ("difference", "difference", ""),
        )
    ]
    where = found.get("pool") or found["deployment"]
    screen = console()
    show_columns(
        f"Workload of {where} on {found['day']}", [Column("team", [t["team"] for t in teams]), *amounts], screen
    )
    moved = percent(nano(found["moved_cost"]), nano(found["compared_cost"])) or "0 %"
    screen.print(
        f"\n{found['requests']:,} requests, {found['requests_at_once'] or '0'} at once; {found['moved_cost']} "
        f"({moved} of it) would be on other teams. Processor sharing sees when a request ran, not how much it "
        "asked: where they differ by much, look whether teams run at different hours or bursts. Nothing is charged by it."
    )
    if found["left_out_cost"] != money_text(0):
        screen.print(
            f"{found['left_out_cost']} is left out: hours whose requests tell no duration or ran on elsewhere, and nobody's tokens."
        )
