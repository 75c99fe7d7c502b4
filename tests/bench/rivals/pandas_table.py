"""What most people would write first: chunks of read_json, one groupby.

Usage: pandas_table.py EVENTS TEAMS OUT
"""

from __future__ import annotations

import sys

import pandas as pd

GPUS_PER_MODEL, PER_GPU_HOUR = 8, 2.49
WEIGHTS = {
    "uncached_input_tokens": 1,
    "cache_read_tokens": 0.1,
    "cache_write_tokens": 1,
    "output_tokens": 6,
    "reasoning_tokens": 6,
}


def main(events: str, teams: str, out: str) -> None:
    """Hourly cost by team and model, as CSV."""
    team_of = pd.read_csv(teams).set_index("principal")["team"]
    wanted = ["event_id", "occurred_at", "principal", "model", *WEIGHTS]
    chunks = pd.read_json(events, lines=True, chunksize=100_000)
    usage = pd.concat([chunk[wanted] for chunk in chunks]).drop_duplicates("event_id")
    usage["hour"] = pd.to_datetime(usage["occurred_at"], utc=True).dt.floor("h")
    usage["team"] = usage["principal"].map(team_of).fillna("unmapped")
    usage["tokens"] = usage[list(WEIGHTS)].sum(axis=1)
    usage["weight"] = sum(usage[kind] * weight for kind, weight in WEIGHTS.items())
    table = usage.groupby(["hour", "team", "model"], as_index=False)[["tokens", "weight"]].sum()
    whole = table.groupby(["hour", "model"])["weight"].transform("sum")
    table["cost"] = GPUS_PER_MODEL * PER_GPU_HOUR * table["weight"] / whole
    table[["hour", "team", "model", "tokens", "cost"]].to_csv(out, index=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
