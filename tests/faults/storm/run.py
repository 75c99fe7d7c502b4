"""Rounds of faults: `python -m tests.faults.storm.run --seed 7 --rounds 50`; each round's own seed repeats it.

The seed decides what is sent, in which order, by whom, and what goes wrong when. What the machine makes of it in between
differs from run to run, so a failure that hides is looked for with `--again`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import pytest

from tests.component.broker import Broker, real_broker
from tests.faults.storm.fleet import clockwork
from tests.faults.storm.round import Round

COMMAND = "python -m tests.faults.storm.run --rounds 1 --seed"


def seeds(seed: int, rounds: int) -> list[int]:
    """The seeds of rounds. The first is the seed itself, so that a round is repeated by its own."""
    chance = Random(seed)
    return [seed, *(chance.randrange(1, 10**6) for _ in range(rounds - 1))]


def weather(seed: int, folder: Path, broker: Broker, library: Path | None) -> str:
    """Run one round. Returns: what it was like. Raises: AssertionError with everything needed to look at it again."""
    folder.mkdir()
    one = Round(seed, folder, broker, library)
    fates = ", ".join(f"{fault.fate} at {fault.at:.1f}" for fault in one.plan.faults)
    began = time.monotonic()
    try:
        one.run()
    except Exception as error:
        log = folder / "serve.log"
        said = log.read_text(errors="replace")[-6000:] if log.exists() else ""
        raise AssertionError(
            f"seed {seed} ({fates}): {error}\n--- serve said\n{said}\n--- again: {COMMAND} {seed}   files: {folder}"
        ) from error
    laps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in one.took.items())
    return f"{time.monotonic() - began:5.1f} s ({laps}); {fates}"


def main(arguments: list[str]) -> int:
    """Run rounds until the last, or until `--keep-going` is not given and one fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--again", type=int, default=1, help="how often each round is run")
    parser.add_argument("--folder", type=Path, help="where files stay; by default those of good rounds are removed")
    parser.add_argument("--keep-going", action="store_true", help="run the rounds after one that failed, too")
    options = parser.parse_args(arguments)
    print(f"SEED={options.seed} ROUNDS={options.rounds}", flush=True)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="storm-"))
    folder.mkdir(parents=True, exist_ok=True)
    library = clockwork(folder)
    if library is None:
        print("WARNING: no C compiler (Debian: gcc), so no clock jumps", file=sys.stderr)
    failed: list[int] = []
    try:
        with real_broker(folder / "broker") as broker:
            for number, seed in enumerate(seeds(options.seed, options.rounds) * options.again, 1):
                here = folder / f"round-{number}-{seed}"
                try:
                    print(f"{number:3} seed {seed:<8} {weather(seed, here, broker, library)}", flush=True)
                except AssertionError as error:
                    failed.append(seed)
                    print(f"{number:3} FAILED {error}", flush=True)
                    if not options.keep_going:
                        break
                else:
                    if not options.folder:
                        shutil.rmtree(here)
    except (pytest.skip.Exception, pytest.fail.Exception) as absent:
        print(f"cannot run: {absent}", file=sys.stderr)
        return 2
    print(f"{len(failed)} rounds failed{': ' if failed else ''}{', '.join(map(str, failed))}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
