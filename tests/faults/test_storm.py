"""A few rounds of the storm: real processes, everything sent while everything goes wrong, and then the ledger is what was sent.

`python -m tests.faults.storm.run --seed N --rounds 50` is more of the same; the seed of a failed round repeats it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.component.broker import Broker, lacking, real_broker
from tests.faults.storm.fleet import clockwork
from tests.faults.storm.run import seeds, weather

pytestmark = [pytest.mark.component, pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")]

SEED = int(os.environ.get("SEED", "4"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that may be killed."""
    with real_broker(tmp_path_factory.mktemp("storm-broker")) as started:
        yield started


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What lets clocks jump."""
    return clockwork(tmp_path_factory.mktemp("clock")) or lacking(
        "no C compiler; on Debian: apt-get install gcc libc6-dev"
    )


@pytest.mark.parametrize("seed", seeds(SEED, ROUNDS))
def test_the_ledger_is_what_was_sent(tmp_path: Path, broker: Broker, library: Path, seed: int) -> None:
    """No more and no less, its money the oracle's, no counter ever down: after kills, restarts, rebalances and full disks."""
    print(f"SEED={SEED}; this round: {seed}")
    print(weather(seed, tmp_path / "round", broker, library))
