"""DuckDB and nothing else: checks nothing, keeps nothing, takes a line twice if it comes twice.

Usage: duckdb_table.py EVENTS TEAMS OUT
"""

from __future__ import annotations

import sys

import duckdb

TABLE = """
COPY (
    WITH usage AS (
        SELECT
            date_trunc('hour', occurred_at) AS hour, coalesce(team, 'unmapped') AS team, model,
            sum(uncached_input_tokens + cache_read_tokens + cache_write_tokens + output_tokens + reasoning_tokens) AS tokens,
            sum(10 * uncached_input_tokens + cache_read_tokens + 10 * cache_write_tokens + 60 * output_tokens + 60 * reasoning_tokens) AS weight
        FROM read_ndjson('{events}', columns = {{
            occurred_at: 'TIMESTAMP', principal: 'VARCHAR', model: 'VARCHAR', uncached_input_tokens: 'BIGINT', cache_read_tokens: 'BIGINT',
            cache_write_tokens: 'BIGINT', output_tokens: 'BIGINT', reasoning_tokens: 'BIGINT'}})
        LEFT JOIN read_csv('{teams}') USING (principal)
        GROUP BY ALL
    )
    SELECT hour, team, model, tokens, 8 * 2.49 * weight / sum(weight) OVER (PARTITION BY hour, model) AS cost
    FROM usage ORDER BY hour, team, model
) TO '{out}' (FORMAT csv, HEADER)
"""


def main(events: str, teams: str, out: str) -> None:
    """Hourly cost by team and model, as CSV."""
    duckdb.sql(TABLE.format(events=events, teams=teams, out=out))


if __name__ == "__main__":
    main(*sys.argv[1:])
