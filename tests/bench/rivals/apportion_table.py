"""The product as its user runs it, three commands in one process: everything checked, landed, settled and published.

Usage: apportion_table.py EVENTS CONFIG OUT
"""

from __future__ import annotations

import sys

from apportion.cli import main as apportion

SINCE, UNTIL, MONTH = "2025-11-01T00:00Z", "2025-12-01T00:00Z", "2025-11"


def main(events: str, config: str, out: str) -> int:
    """Hourly cost by team and model, as CSV. Returns: the first exit code that is not 0."""
    return (
        apportion(["--config", config, "ingest", events])
        or apportion(["--config", config, "meter", "--since", SINCE, "--until", UNTIL])
        or apportion(
            ["--config", config, "report", "--month", MONTH, "--by", "hour,team,model", "--format", "csv", "--out", out]
        )
    )


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
