-- The careful landing, step one: every sound sample beside what is held for its engine and time, with a verdict.
-- Samples of one engine and time that contradict nothing said before complete each other: an exporter's batch may be split
-- between its metrics. What contradicts in any field is a conflict, and says nothing in any other field either.
CREATE OR REPLACE TEMP TABLE staged AS
SELECT
    decoded.record, decoded.claimed_at AS sampled_at, series.source_no AS engine_no, series.series_no AS engine_series_no,
    decoded.started AS started_at, decoded.prompt AS prompt_tokens, decoded.cache_read AS cache_read_tokens,
    decoded.output AS output_tokens, decoded.finished AS requests, decoded.aborted AS aborted_requests,
    decoded.prefill AS prefill_us, decoded.decode AS decode_us, decoded.idle AS idle_us, decoded.flops AS estimated_flops,
    decoded.bytes AS estimated_bytes, decoded.running AS requests_running, decoded.waiting AS requests_waiting,
    decoded.kv_cache AS kv_cache_ppm, decoded.host AS cache_read_host_tokens, decoded.storage AS cache_read_storage_tokens -- last, as held
FROM decoded_engine('numbered') AS decoded
JOIN known_series AS series ON series.series_key = decoded.series_key AND series.series_no IS NOT NULL
WHERE decoded.sound;

SET VARIABLE window_start = (SELECT min(sampled_at) FROM staged);
SET VARIABLE window_end = (SELECT max(sampled_at) + INTERVAL 1 MICROSECOND FROM staged);

CREATE OR REPLACE TEMP TABLE versions AS
SELECT * FROM staged
UNION ALL
SELECT 0, held.sampled_at, held.engine_no, held.* EXCLUDE (sampled_at, engine_no, batch_no)
FROM raw.engine_sample AS held JOIN (SELECT DISTINCT engine_no, sampled_at FROM staged) AS ids USING (engine_no, sampled_at)
WHERE held.sampled_at >= getvariable('window_start') AND held.sampled_at < getvariable('window_end');

-- What is said where not all say the same: one row per record and field that has a value, its place field by field.
CREATE OR REPLACE TEMP TABLE stated AS
WITH differing AS (
    SELECT engine_no, sampled_at
    FROM versions
    GROUP BY engine_no, sampled_at
    HAVING count(DISTINCT (engine_series_no, started_at, prompt_tokens, cache_read_tokens, output_tokens, requests, aborted_requests,
        prefill_us, decode_us, idle_us, estimated_flops, estimated_bytes, requests_running, requests_waiting, kv_cache_ppm,
        cache_read_host_tokens, cache_read_storage_tokens)) > 1
),
told AS (
    SELECT
        record, sampled_at, engine_no, nullif(software, '') AS software, nullif(cluster, '') AS cluster,
        nullif(node, '') AS node, nullif(deployment, '') AS deployment, nullif(namespace, '') AS namespace,
        nullif(pod, '') AS pod, nullif(replica, '') AS replica, started_at::VARCHAR AS started_at,
        prompt_tokens::VARCHAR AS prompt_tokens, cache_read_tokens::VARCHAR AS cache_read_tokens,
        output_tokens::VARCHAR AS output_tokens, requests::VARCHAR AS requests, aborted_requests::VARCHAR AS aborted_requests,
        prefill_us::VARCHAR AS prefill_us, decode_us::VARCHAR AS decode_us, idle_us::VARCHAR AS idle_us,
        estimated_flops::VARCHAR AS estimated_flops, estimated_bytes::VARCHAR AS estimated_bytes,
        requests_running::VARCHAR AS requests_running, requests_waiting::VARCHAR AS requests_waiting,
        kv_cache_ppm::VARCHAR AS kv_cache_ppm, cache_read_host_tokens::VARCHAR AS cache_read_host_tokens,
        cache_read_storage_tokens::VARCHAR AS cache_read_storage_tokens
    FROM versions
    JOIN differing USING (engine_no, sampled_at)
    JOIN raw.engine_series AS series USING (engine_series_no, engine_no)
)
UNPIVOT told ON COLUMNS(* EXCLUDE (record, sampled_at, engine_no)) INTO NAME field VALUE said;

-- Of each engine and time, what its records may add up to. A round takes what stands before the first contradiction as said,
-- and strikes out every record against it; each round settles one field more at least, so that there are never many.
CREATE OR REPLACE TEMP TABLE believed AS
WITH RECURSIVE rounds AS (
    SELECT 0 AS round_no, stated.* FROM stated
    UNION ALL
    SELECT round_no + 1, record, sampled_at, engine_no, field, said
    FROM (
        SELECT *, arg_min(said, record) FILTER (record < contradicted_at) OVER (PARTITION BY engine_no, sampled_at, field) AS settled
        FROM (
            SELECT *, min(record) FILTER (said <> first_said) OVER (PARTITION BY engine_no, sampled_at) AS contradicted_at
            FROM (
                SELECT *, first_value(said) OVER (PARTITION BY engine_no, sampled_at, field ORDER BY record) AS first_said
                FROM rounds
            )
        )
        WHERE contradicted_at IS NOT NULL
    )
    QUALIFY NOT bool_or(coalesce(said <> settled, false)) OVER (PARTITION BY engine_no, sampled_at, record)
)
SELECT engine_no, sampled_at, record, field, said, row_number() OVER (PARTITION BY engine_no, sampled_at, field ORDER BY record) = 1 AS is_new
FROM (SELECT * FROM rounds QUALIFY round_no = max(round_no) OVER (PARTITION BY engine_no, sampled_at));

CREATE OR REPLACE TEMP TABLE verdict AS
WITH ranked AS (
    SELECT record, row_number() OVER (PARTITION BY engine_no, sampled_at ORDER BY record) AS nth FROM versions
),
adding AS (
    SELECT record, bool_or(is_new) AS adds FROM believed WHERE record > 0 GROUP BY record
),
telling AS (
    SELECT DISTINCT record FROM stated WHERE record > 0
)
SELECT
    ranked.record,
    CASE
        WHEN nth = 1 THEN 'landed'
        WHEN telling.record IS NOT NULL AND adding.record IS NULL THEN 'conflict'
        WHEN adding.adds THEN 'superseded'
        ELSE 'duplicate'
    END AS outcome
FROM ranked
LEFT JOIN telling USING (record)  -- NULL: says what all others say, or nothing
LEFT JOIN adding USING (record)   -- NULL: nothing of it is believed
WHERE ranked.record > 0;
