"""A fleet that buys in every way there is: 40 pools, 200 teams, 20 models, a month of requests and telemetry, straight in SQL.

Ten pools each are on the rate card in dollars, on one in euros, reserved, and owned. Every model is served by two
deployments; requests name theirs. One request in twenty goes to an external provider, and is priced by how long its prompt is.
How many lines a month has depends on how many keys call: each uses four deployments and the external provider.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import fleet
import ledgers
from measure import THREADS

from apportion.config.load import load
from apportion.ledger import book
from apportion.ledger.connection import Ledger
from apportion.prices import book as prices

POOLS = 40
MODELS = 20
TEAMS = 200
GPUS_PER_POOL = 8
RATE_DAYS = 29
TIERS = ("standard", "batch", "priority")
SAMPLE_EVERY_US = 60_000_000

_GROUP = f"((caller + caller // {TEAMS}) % {POOLS // 4})"
"""Of the deployments, which four a key calls; keys of one team call different ones."""

_SERIES_NO = f"(caller * {POOLS} + place) * 2 + external + 1"

_REQUESTS = f"""
    SELECT
        i, caller, CASE WHEN external = 1 THEN 0 ELSE {_GROUP} * 4 + b % 4 END::INTEGER AS place, external,
        (50 + c % 4000)::BIGINT AS uncached_input_tokens,
        CASE WHEN c % 3 = 0 THEN (c >> 12) % 20000 ELSE 0 END::BIGINT AS cache_read_tokens,
        (1 + (c >> 24) % 800)::BIGINT AS output_tokens,
        CASE WHEN c % 5 = 0 THEN (c >> 34) % 300 ELSE 0 END::BIGINT AS reasoning_tokens,
        (200000 + (b >> 34) % 30000000)::BIGINT AS duration_us
    FROM (
        SELECT i, (hash(i, 1) % $callers::BIGINT)::INTEGER AS caller, hash(i, 2) AS b, hash(i, 3) AS c,
            CASE WHEN hash(i, 4) % 20 = 0 THEN 1 ELSE 0 END AS external
        FROM range($events::BIGINT) AS number(i)
    ) AS drawn
"""

_FILL = (
    "INSERT INTO raw.source VALUES (1, 'gateway')",
    """INSERT INTO raw.caller BY NAME
    SELECT
        caller + 1 AS caller_no, 'gateway' AS source, printf('key-%04d', caller) AS principal, '' AS namespace, '{}' AS tags,
        '["gateway","' || printf('key-%04d', caller) || '","",{}]' AS caller
    FROM range($callers::BIGINT) AS number(caller)""",
    "INSERT INTO book.model SELECT (SELECT max(model_no) FROM book.model) + 1, 'api-model' WHERE 'api-model' NOT IN (SELECT model_id FROM book.model)",
    f"""INSERT INTO raw.series BY NAME
    SELECT
        {_SERIES_NO} AS series_no, 1 AS source_no, model.model_no, caller + 1 AS caller_no,
        CASE WHEN external = 1 THEN 'api' ELSE 'self' END AS provider, '' AS cluster,
        CASE WHEN external = 1 THEN '' ELSE 'deployment-' || place END AS deployment, '' AS replica, 'success' AS status,
        'reported' AS usage_quality, ['{"', '".join(TIERS)}'][caller % {len(TIERS)} + 1] AS tier, '' AS language, '' AS region
    FROM range($callers::BIGINT) AS callers(caller)
    CROSS JOIN range({POOLS}) AS places(place)
    CROSS JOIN range(2) AS kinds(external)
    JOIN book.model AS model ON model.model_id = CASE WHEN external = 1 THEN 'api-model' ELSE 'model-' || place % {MODELS} END
    WHERE external = 0 AND place // 4 = {_GROUP} OR external = 1 AND place = 0""",
    f"""INSERT INTO raw.usage_event BY NAME
    SELECT
        1 AS source_no, {fleet.EVENT_ID} AS event_id, $start::TIMESTAMP + to_microseconds((i * $step_us)::BIGINT) AS occurred_at,
        {_SERIES_NO} AS series_no, 0 AS revision, uncached_input_tokens, cache_read_tokens, 0 AS cache_write_tokens, output_tokens,
        reasoning_tokens, 1 AS requests, duration_us, 1 AS batch_no
    FROM ({_REQUESTS}) AS request""",
    "INSERT INTO raw.batch VALUES (1, 'usage', 'usage', 'filled', 0, $events, $start, $events, $events, 0, 0, 0, 0, 0, 0)",
    f"INSERT INTO raw.gpu_device SELECT gpu + 1, 'GPU-' || gpu, '' FROM range({POOLS * GPUS_PER_POOL}) AS number(gpu)",
    f"""INSERT INTO raw.gpu_series
    SELECT gpu + 1, gpu + 1, 'H100_SXM', '', 'node-' || gpu // 8, 'deployment-' || gpu // {GPUS_PER_POOL}, '', '', ''
    FROM range({POOLS * GPUS_PER_POOL}) AS number(gpu)""",
    f"""INSERT INTO raw.gpu_sample BY NAME
    SELECT
        $start::TIMESTAMP + to_microseconds(tick * {SAMPLE_EVERY_US}) AS sampled_at, gpu + 1 AS device_no, gpu + 1 AS gpu_series_no,
        (hash(tick, gpu) % 1000001)::INTEGER AS active_ppm, 1 AS batch_no
    FROM range({fleet.MONTH_US // SAMPLE_EVERY_US}) AS ticks(tick) CROSS JOIN range({POOLS * GPUS_PER_POOL}) AS gpus(gpu)
    ORDER BY tick, gpu""",
    """INSERT INTO raw.dirty_hour
    SELECT unnest(range($start::TIMESTAMP, $end::TIMESTAMP, INTERVAL 1 HOUR)), $end::TIMESTAMP ON CONFLICT DO NOTHING""",
)


def config(directory: Path, callers: int, *, changed: bool = False) -> Path:
    """Write the fleet's config and its keys' teams; `changed` has another price in one pool's last week. Returns: the config."""
    directory.mkdir(parents=True, exist_ok=True)
    dates = f"effective_from = {fleet.START:%Y-%m-%dT%H:%M:%SZ}\neffective_to = {fleet.END:%Y-%m-%dT%H:%M:%SZ}\n"
    text = '[ledger]\npath = "apportion.duckdb"\nbilling_currency = "USD"\n'
    for day in range(1, RATE_DAYS + 2):
        end = f"2025-11-{day + 1:02d}" if day < RATE_DAYS + 1 else "2025-12-01"
        text += f'[[fx]]\ncurrency = "EUR"\nrate = "1.{80 + day}"\neffective_from = 2025-11-{day:02d}T00:00:00Z\neffective_to = {end}T00:00:00Z\n'
    for pool in range(POOLS):
        text += f'[[pools]]\nid = "pool-{pool}"\ngpu = "H100_SXM"\ngpus = {GPUS_PER_POOL}\n{dates}'
        text += f'[[deployments]]\nid = "deployment-{pool}"\npool = "pool-{pool}"\ngpus = {GPUS_PER_POOL}\nmodels = ["model-{pool % MODELS}"]\nthroughput = {{ prefill = 20000, decode = 1500 }}\n{dates}'
        text += _bought(pool, dates, changed=changed)
    text += f'[[discounts]]\npools = ["pool-0", "pool-1"]\npercent = "7.5"\n{dates}'
    text += f'[[credits]]\nid = "startup"\namount = "1000"\npools = ["pool-2"]\n{dates}'
    text += '[[prices.overrides]]\nprovider = "api"\nmodel = "api-model"\ninput = "2.5"\ncache_read = "0.25"\noutput = "10"\nreasoning = "10"\neffective_from = 2025-01-01T00:00:00Z\n'
    text += '[[prices.overrides]]\nprovider = "api"\nmodel = "api-model"\nabove_input_tokens = 16000\ninput = "5"\ncache_read = "0.5"\noutput = "15"\nreasoning = "15"\neffective_from = 2025-01-01T00:00:00Z\n'
    text += '[policy]\nphase_split = "auto"\ntiers = { batch = "0.5", priority = "1.5" }\nweights = { context = "0.0001" }\n'
    text += '[directory]\nfile = "teams.csv"\n'
    rows = [f"key-{caller:04d},team-{caller % TEAMS:03d},CC-{caller % TEAMS:03d}" for caller in range(callers)]
    (directory / "teams.csv").write_text("\n".join(["principal,team,cost_center", *rows]) + "\n", encoding="utf-8")
    path = directory / ("changed.toml" if changed else "apportion.toml")
    path.write_text(text, encoding="utf-8")
    return path


def _bought(pool: int, dates: str, *, changed: bool) -> str:
    """How a pool is paid for, and what else it costs."""
    host = f'[[rates]]\npool = "pool-{pool}"\ncomponent = "host"\nper_gpu_hour = "0.31"\n{dates}'
    network = f'[[rates]]\npool = "pool-{pool}"\ncomponent = "network"\nper_month = "1250.50"\n{dates}'
    card = f'[[rates]]\npool = "pool-{pool}"\ncomponent = "accelerator"\n'
    if pool % 4 == 0:
        if changed and pool == 0:
            middle = "2025-11-24T00:00:00Z"
            first, last = dates.splitlines()
            return (
                host + network + f'{card}per_gpu_hour = "2.49"\n{first}\neffective_to = {middle}\n'
                f'{card}per_gpu_hour = "2.59"\neffective_from = {middle}\n{last}\n'
            )
        return host + network + f'{card}per_gpu_hour = "2.49"\n{dates}'
    if pool % 4 == 1:
        return host + network + f'{card}per_gpu_hour = "2.31"\ncurrency = "EUR"\n{dates}'
    if pool % 4 == 2:
        reserved = f'[[commitments]]\nid = "reserved-{pool}"\nkind = "reserved"\npools = ["pool-{pool}"]\ngpus = 6\nupfront = "3000"\nper_gpu_hour = "1.10"\n{dates}'
        return host + network + reserved + f'{card}per_gpu_hour = "2.49"\n{dates}'
    owned = f'[[assets]]\nid = "owned-{pool}"\npool = "pool-{pool}"\ngpus = {GPUS_PER_POOL}\neffective_from = {fleet.START:%Y-%m-%dT%H:%M:%SZ}\ncapex = "833806"\nresidual = "83380"\nlife_months = 48\nmethod = "annuity"\nannual_rate = "0.08"\nmaintenance_per_year = "25014"\n'
    return host + network + owned


def filled(path: Path, config: Path, events: int, callers: int) -> Path:
    """A ledger with a month of events and samples and the prices of what they name, unless it is there."""
    if path.exists():
        return path
    unfinished = path.with_suffix(".part")
    ledgers.empty(unfinished, config).close()
    connection = duckdb.connect(str(unfinished), config={"threads": THREADS, "memory_limit": "1GB"})
    values = {
        "events": events, "callers": callers, "step_us": fleet.MONTH_US / events,
        "start": fleet.START.replace(tzinfo=None), "end": fleet.END.replace(tzinfo=None),
    }  # fmt: skip
    for statement in _FILL:
        connection.execute(
            statement, {name: value for name, value in values.items() if f"${name}" in statement} or None
        )
    connection.close()
    with Ledger(unfinished, threads=THREADS) as ledger:
        synced(ledger, config)
    return unfinished.rename(path)


def synced(ledger: Ledger, config: Path) -> None:
    """Bring a config and its prices into the book, as the pipeline does."""
    with ledger.transaction() as session:
        book.sync(session, load(config), fleet.END)
        prices.refresh(session, load(config), fleet.END)
