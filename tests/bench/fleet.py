"""A fleet that is large enough to time: its config, a month of its requests as a gateway writes them, and the same month in SQL.

Every event is a function of its number, so files, ledgers and rivals all speak of the same events. 800 callers of 20 teams,
five models on a deployment each, four replicas per deployment; three callers in ten use a second model now and then.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb
from measure import THREADS

START = datetime(2025, 11, 1, tzinfo=UTC)
END = datetime(2025, 12, 1, tzinfo=UTC)
MONTH = "2025-11"
HOURS = 720
MONTH_US = HOURS * 3_600_000_000

CALLERS = 800
TEAMS = 20
DEPLOYMENTS = 5
REPLICAS = 4
GPUS = 40
GPUS_PER_DEPLOYMENT = GPUS // DEPLOYMENTS
PER_GPU_HOUR = "2.49"
WEIGHTS = {"uncached_input": "1", "cache_read": "0.1", "cache_write": "1", "output": "6", "reasoning": "6"}

LINES_AT_ONCE = 50_000

REQUESTS = f"""
    SELECT
        i, caller, ((caller // 3 + CASE WHEN caller % 10 < 3 AND b % 5 = 0 THEN 1 ELSE 0 END) % {DEPLOYMENTS})::INTEGER AS place,
        ((b >> 8) % {REPLICAS})::INTEGER AS replica_no,
        least((b >> 16) % 100, 2)::INTEGER AS status_no,
        (50 + c % 4000)::BIGINT AS uncached_input_tokens,
        CASE WHEN c % 3 = 0 THEN (c >> 12) % 2000 ELSE 0 END::BIGINT AS cache_read_tokens,
        0::BIGINT AS cache_write_tokens,
        (1 + (c >> 24) % 800)::BIGINT AS output_tokens,
        CASE WHEN c % 5 = 0 THEN (c >> 34) % 300 ELSE 0 END::BIGINT AS reasoning_tokens,
        (20000 + (b >> 24) % 1500000)::BIGINT AS ttft_us,
        (200000 + (b >> 34) % 30000000)::BIGINT AS duration_us,
        ((c >> 44) % 50000)::BIGINT AS queue_us
    FROM (
        SELECT i, least(hash(i, 1) % {CALLERS}, hash(i, 4) % {CALLERS})::INTEGER AS caller, hash(i, 2) AS b, hash(i, 3) AS c
        FROM range($first::BIGINT, $last::BIGINT) AS number(i)
    ) AS drawn
"""
"""Requests by their numbers: who, where, how much."""

EVENT_ID = "md5('event' || i)::UUID::VARCHAR"
DIMENSIONS = {
    "source": "'gateway'",
    "model": "'model-' || place",
    "provider": "'self'",
    "cluster": "'eu-central-1a'",
    "deployment": "'deployment-' || place",
    "replica": "'deployment-' || place || '-' || replica_no",
    "principal": "printf('key-%03d', caller)",
    "namespace": "'namespace-' || caller % 40",
    "status": "['failed', 'cancelled', 'success'][status_no + 1]",
    "usage_quality": "'reported'",
    "tier": "CASE WHEN caller % 4 = 0 THEN 'priority' ELSE 'standard' END",
    "language": "CASE WHEN caller % 3 = 0 THEN 'de' ELSE 'en' END",
    "region": "'eu-central-1'",
}
"""What an event says, in SQL over REQUESTS; a caller's tags are below."""

TAGS = {"env": "CASE WHEN caller % 8 = 0 THEN 'staging' ELSE 'production' END", "project": "'project-' || caller % 60"}

OBJECT = f"""to_json(struct_pack(
    event_id := {EVENT_ID}, source := {DIMENSIONS["source"]},
    occurred_at := strftime($start::TIMESTAMP + to_microseconds((i * $step_us)::BIGINT), '%Y-%m-%dT%H:%M:%S.%fZ'),
    {", ".join(f"{name} := {DIMENSIONS[name]}" for name in ("model", "provider", "cluster", "deployment", "replica", "principal", "namespace"))},
    tags := struct_pack({", ".join(f"{key} := {value}" for key, value in TAGS.items())}),
    revision := 0, trace_id := md5('trace' || i), session_id := md5('session' || caller || '-' || i // 20000)::UUID::VARCHAR,
    uncached_input_tokens := uncached_input_tokens, cache_read_tokens := cache_read_tokens,
    cache_write_tokens := cache_write_tokens, output_tokens := output_tokens, reasoning_tokens := reasoning_tokens,
    requests := 1, ttft_ms := ttft_us / 1000, duration_ms := duration_us / 1000, queue_ms := queue_us / 1000,
    {", ".join(f"{name} := {DIMENSIONS[name]}" for name in ("status", "usage_quality", "tier", "language", "region"))}
))::VARCHAR"""

SPOILS = (
    "line[: length(line) // 2]",
    "'[' || line || ']'",
    'replace(line, \'"event_id":"\', \'"request_id":"\')',
    'replace(line, \'Z","model"\', \'","model"\')',
    'replace(line, \'"occurred_at":"2025\', \'"occurred_at":"1969\')',
    "regexp_replace(line, '\"output_tokens\":', '\"output_tokens\":-')",
    "regexp_replace(line, '\"output_tokens\":(\\d+)', '\"output_tokens\":\\1.5')",
    'regexp_replace(line, \'"output_tokens":(\\d+)\', \'"output_tokens":"\\1"\')',
    "regexp_replace(line, '\"uncached_input_tokens\":', '\"uncached_input_tokens\":99999999999999')",
    'replace(line, \'"status":"\', \'"status":"un\')',
)
"""Ten ways for a line to be bad: torn, no object, no id, no zone, too old, negative, fractional, text, absurd, unknown value."""

BAD_EVERY = 200


def events(path: Path, count: int, *, first: int = 0, step_us: float | None = None, spoilt: bool = False) -> Path:
    """Write numbered events as NDJSON, unless the file is there.

    Args:
        path: the file.
        count: how many.
        first: number of the first.
        step_us: time between two; the default spreads `count` over the month.
        spoilt: whether one in BAD_EVERY is bad, in each way in turn.
    """
    if path.exists():
        return path
    line = "line"
    if spoilt:
        ways = " ".join(f"WHEN {number} THEN {spoil}" for number, spoil in enumerate(SPOILS))
        line = f"CASE WHEN i % {BAD_EVERY} = 7 THEN CASE i // {BAD_EVERY} % {len(SPOILS)} {ways} END ELSE line END"
    sql = f"""SELECT string_agg({line}, chr(10) ORDER BY i) || chr(10)
        FROM (SELECT i, {OBJECT} AS line FROM ({REQUESTS}) AS request) AS written"""
    connection = duckdb.connect(config={"threads": THREADS})
    unfinished = path.with_suffix(".part")
    with unfinished.open("w", encoding="utf-8") as file:
        for start in range(first, first + count, LINES_AT_ONCE):
            found = connection.execute(
                sql,
                {
                    "first": start,
                    "last": min(start + LINES_AT_ONCE, first + count),
                    "start": START.replace(tzinfo=None),
                    "step_us": step_us or MONTH_US / count,
                },
            ).fetchone()
            file.write(found[0] if found else "")
    connection.close()
    return unfinished.rename(path)


def config(directory: Path, *, utilization: str = "active") -> Path:
    """Write the fleet's config and directory of teams. Returns: the config."""
    directory.mkdir(parents=True, exist_ok=True)
    dates = f"effective_from = {START:%Y-%m-%dT%H:%M:%SZ}\neffective_to = {END:%Y-%m-%dT%H:%M:%SZ}\n"
    text = '[ledger]\npath = "apportion.duckdb"\nbilling_currency = "USD"\n'
    text += f'[[pools]]\nid = "pool"\ngpu = "H100_SXM"\ngpus = {GPUS}\n{dates}'
    text += f'[[rates]]\npool = "pool"\ncomponent = "accelerator"\nper_gpu_hour = "{PER_GPU_HOUR}"\n{dates}'
    for number in range(DEPLOYMENTS):
        text += f'[[deployments]]\nid = "deployment-{number}"\npool = "pool"\ngpus = {GPUS_PER_DEPLOYMENT}\nmodels = ["model-{number}"]\n{dates}'
    weights = ", ".join(f"{kind} = {weight}" for kind, weight in WEIGHTS.items())
    text += f'[policy]\nutilization = "{utilization}"\nweights = {{ {weights} }}\n'
    text += '[directory]\nfile = "teams.csv"\ntags = ["env"]\n'
    (directory / "teams.csv").write_text(teams(), encoding="utf-8")
    path = directory / "apportion.toml"
    path.write_text(text, encoding="utf-8")
    return path


def teams() -> str:
    """`teams.csv`: which key is whose."""
    rows = [f"key-{caller:03d},team-{caller % TEAMS:02d},CC-{caller % TEAMS:02d}" for caller in range(CALLERS)]
    return "\n".join(["principal,team,cost_center", *rows]) + "\n"
