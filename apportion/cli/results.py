"""Where reading commands read: the published results, also while `serve` holds the ledger."""

from __future__ import annotations

import argparse
from pathlib import Path

from apportion.config.load import load
from apportion.ledger.connection import Session, read_only, results_path


def published(options: argparse.Namespace) -> Session:
    """The results of the ledger that the options or the config name."""
    ledger: Path = options.ledger or load(options.config).ledger.path
    return read_only(results_path(ledger))
