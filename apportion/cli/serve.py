"""`apportion serve`."""

from __future__ import annotations

import argparse

from apportion.config.load import load
from apportion.domain.clock import SystemClock
from apportion.pipeline import Pipeline
from apportion.service import serve


def run(options: argparse.Namespace) -> int:
    """Until SIGTERM: meter on a schedule, publish, answer scrapes."""
    with Pipeline.open(load(options.config), SystemClock(), path=options.ledger) as pipeline:
        serve(pipeline)
    return 0
