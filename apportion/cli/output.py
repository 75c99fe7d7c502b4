"""What commands print: figures on stdout, everything else on stderr."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from apportion.domain.errors import ApportionError

if TYPE_CHECKING:
    from rich.console import Console

LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


def log_to_stderr(verbosity: int) -> None:
    """Send the program's log to stderr."""
    logging.basicConfig(
        level=LEVELS[min(verbosity, len(LEVELS) - 1)],
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    if not verbosity:  # what its client says at every attempt, supervision says once, with the next step
        logging.getLogger("kafka").setLevel(logging.CRITICAL)


def complain(error: ApportionError, *, json_wanted: bool) -> None:
    """Say what went wrong, as a sentence or as JSON."""
    if json_wanted:
        print(json.dumps({"error": type(error).__name__, "message": str(error)}))
    print(f"apportion: {error}", file=sys.stderr)


def print_json(value: Mapping[str, object]) -> None:
    """One JSON object on one line."""
    print(json.dumps(value, ensure_ascii=False, default=str))


def console(*, stderr: bool = False) -> Console:
    """A terminal that wraps to its width, or plain text where there is none."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)
