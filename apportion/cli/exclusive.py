"""Commands that ask the ledger itself, and so cannot run beside `serve`."""

from __future__ import annotations

import argparse
from pathlib import Path

from apportion.config.model import Config
from apportion.domain.clock import Clock
from apportion.domain.errors import LedgerError
from apportion.pipeline import Pipeline


def opened(options: argparse.Namespace, config: Config, clock: Clock) -> Pipeline:
    """The ledger of the options or the config. Raises: LedgerError, with what to do where `serve` holds it."""
    path: Path = options.ledger or config.ledger.path
    try:
        return Pipeline.open(config, clock, path=path)
    except LedgerError as held:
        if not held.holder:
            raise
        raise LedgerError(
            f"{path}: {held.holder} has this ledger open, as `apportion serve` does while it runs, and `apportion "
            f"{options.command}` asks the ledger itself; stop that process, run this, and start it again (what goes through "
            "`apportion relay` waits meanwhile)."
        ) from None
