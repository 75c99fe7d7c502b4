"""How long a person waits for `--help`, against an interpreter that does nothing."""

from __future__ import annotations

import statistics
import subprocess
import sys
from functools import partial

from measure import Result, Setting, clocked, ratio, rounds

from apportion.cli import COMMANDS

MILLISECONDS_MAX = 300


def run(setting: Setting) -> list[Result]:
    """The program's own help, and that of every command."""
    asked = {
        "apportion --help": ["--help"],
        **{f"apportion {command} --help": [command, "--help"] for command in COMMANDS},
    }
    cases = {"bare": partial(waited, ["-c", "pass"])}
    cases |= {name: partial(waited, ["-m", "apportion", *arguments]) for name, arguments in asked.items()}
    seconds = rounds(cases, setting.rounds)
    return [line(name, seconds[name], seconds["bare"]) for name in asked]


def waited(arguments: list[str]) -> float:
    """Seconds of a whole process."""
    return clocked(lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True))


def line(name: str, ours: list[float], floor: list[float]) -> Result:
    """The ratio to an interpreter that does nothing; the target is in milliseconds."""
    met = statistics.median(ours) * 1000 <= MILLISECONDS_MAX
    return Result(
        key=name,
        name=f"{name}: bare interpreter → help",
        floor=floor,
        ours=ours,
        figure=ratio(ours, floor),
        target=f"≤ {MILLISECONDS_MAX} ms",
        met=met,
    )
