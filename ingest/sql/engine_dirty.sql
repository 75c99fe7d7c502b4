-- The hours of the batch must be metered (again), and those over which the increment of a counter changed. An increment reaches
-- from the reading before to the reading, or from the start of the process where no reading stands within a day before it; a
-- landed reading changes its own and that of the reading after it, which may have counted from the start until now.
CREATE OR REPLACE TEMP TABLE landed_engine AS
SELECT
    engine_no, min(sampled_at) AS first_at, max(sampled_at) AS last_at, -- and which counters were read, as bits
    bool_or(prompt_tokens IS NOT NULL)::INTEGER + 2 * bool_or(cache_read_tokens IS NOT NULL)::INTEGER
    + 4 * bool_or(output_tokens IS NOT NULL)::INTEGER + 8 * bool_or(requests IS NOT NULL)::INTEGER
    + 16 * bool_or(aborted_requests IS NOT NULL)::INTEGER + 32 * bool_or(prefill_us IS NOT NULL)::INTEGER
    + 64 * bool_or(decode_us IS NOT NULL)::INTEGER + 128 * bool_or(idle_us IS NOT NULL)::INTEGER
    + 256 * bool_or(estimated_flops IS NOT NULL)::INTEGER + 512 * bool_or(estimated_bytes IS NOT NULL)::INTEGER
    + 1024 * bool_or(cache_read_host_tokens IS NOT NULL)::INTEGER + 2048 * bool_or(cache_read_storage_tokens IS NOT NULL)::INTEGER AS counters
FROM raw.engine_sample
WHERE batch_no = getvariable('batch_no')
GROUP BY engine_no;

-- Where each counter has been read in the same hour before, as a live one has but once an hour, nobody needs to look further back.
SET VARIABLE readings_from = (SELECT date_trunc('hour', min(first_at)) FROM landed_engine);
SET VARIABLE readings_to = (SELECT max(last_at) + INTERVAL 24 HOUR FROM landed_engine);
SET VARIABLE readings_from = (
    SELECT CASE WHEN bool_and(coalesce(held.counters, 0) & landed.counters = landed.counters)
        THEN getvariable('readings_from') ELSE min(first_at) - INTERVAL 24 HOUR END
    FROM landed_engine AS landed
    LEFT JOIN ( -- NULL: nothing of this hour is held
        SELECT
            engine_no,
            bool_or(prompt_tokens IS NOT NULL)::INTEGER + 2 * bool_or(cache_read_tokens IS NOT NULL)::INTEGER
            + 4 * bool_or(output_tokens IS NOT NULL)::INTEGER + 8 * bool_or(requests IS NOT NULL)::INTEGER
            + 16 * bool_or(aborted_requests IS NOT NULL)::INTEGER + 32 * bool_or(prefill_us IS NOT NULL)::INTEGER
            + 64 * bool_or(decode_us IS NOT NULL)::INTEGER + 128 * bool_or(idle_us IS NOT NULL)::INTEGER
            + 256 * bool_or(estimated_flops IS NOT NULL)::INTEGER + 512 * bool_or(estimated_bytes IS NOT NULL)::INTEGER
            + 1024 * bool_or(cache_read_host_tokens IS NOT NULL)::INTEGER + 2048 * bool_or(cache_read_storage_tokens IS NOT NULL)::INTEGER AS counters
        FROM raw.engine_sample AS sample JOIN landed_engine USING (engine_no)
        WHERE sampled_at >= getvariable('readings_from') AND sampled_at >= date_trunc('hour', first_at) AND sampled_at < first_at
        GROUP BY engine_no
    ) AS held USING (engine_no)
);

-- Of each engine the samples between the first and the last of the batch, and of each of its counters the reading before them
-- and the one after: all that can be a neighbour.
CREATE OR REPLACE TEMP TABLE neighbour AS
WITH nearby AS (
    SELECT sample.*, first_at, last_at
    FROM raw.engine_sample AS sample JOIN landed_engine USING (engine_no)
    WHERE sampled_at >= getvariable('readings_from') AND sampled_at <= getvariable('readings_to')
),
counted AS (
    SELECT engine_no, batch_no = getvariable('batch_no') AS is_landed, [
            if(prompt_tokens IS NULL, NULL, sampled_at), if(cache_read_tokens IS NULL, NULL, sampled_at), if(output_tokens IS NULL, NULL, sampled_at),
            if(requests IS NULL, NULL, sampled_at), if(aborted_requests IS NULL, NULL, sampled_at), if(prefill_us IS NULL, NULL, sampled_at),
            if(decode_us IS NULL, NULL, sampled_at), if(idle_us IS NULL, NULL, sampled_at), if(estimated_flops IS NULL, NULL, sampled_at),
            if(estimated_bytes IS NULL, NULL, sampled_at), if(cache_read_host_tokens IS NULL, NULL, sampled_at),
            if(cache_read_storage_tokens IS NULL, NULL, sampled_at)
        ] AS readings
    FROM nearby WHERE sampled_at >= first_at AND sampled_at <= last_at
    UNION ALL
    SELECT engine_no, false, [
            max(sampled_at) FILTER (prompt_tokens IS NOT NULL), max(sampled_at) FILTER (cache_read_tokens IS NOT NULL),
            max(sampled_at) FILTER (output_tokens IS NOT NULL), max(sampled_at) FILTER (requests IS NOT NULL),
            max(sampled_at) FILTER (aborted_requests IS NOT NULL), max(sampled_at) FILTER (prefill_us IS NOT NULL),
            max(sampled_at) FILTER (decode_us IS NOT NULL), max(sampled_at) FILTER (idle_us IS NOT NULL),
            max(sampled_at) FILTER (estimated_flops IS NOT NULL), max(sampled_at) FILTER (estimated_bytes IS NOT NULL),
            max(sampled_at) FILTER (cache_read_host_tokens IS NOT NULL), max(sampled_at) FILTER (cache_read_storage_tokens IS NOT NULL)
        ]
    FROM nearby WHERE sampled_at < first_at GROUP BY engine_no
    UNION ALL
    SELECT engine_no, false, [
            min(sampled_at) FILTER (prompt_tokens IS NOT NULL), min(sampled_at) FILTER (cache_read_tokens IS NOT NULL),
            min(sampled_at) FILTER (output_tokens IS NOT NULL), min(sampled_at) FILTER (requests IS NOT NULL),
            min(sampled_at) FILTER (aborted_requests IS NOT NULL), min(sampled_at) FILTER (prefill_us IS NOT NULL),
            min(sampled_at) FILTER (decode_us IS NOT NULL), min(sampled_at) FILTER (idle_us IS NOT NULL),
            min(sampled_at) FILTER (estimated_flops IS NOT NULL), min(sampled_at) FILTER (estimated_bytes IS NOT NULL),
            min(sampled_at) FILTER (cache_read_host_tokens IS NOT NULL), min(sampled_at) FILTER (cache_read_storage_tokens IS NOT NULL)
        ]
    FROM nearby WHERE sampled_at > last_at GROUP BY engine_no
)
SELECT engine_no, is_landed, generate_subscripts(readings, 1) AS counter, unnest(readings) AS sampled_at
FROM counted;

INSERT INTO raw.dirty_hour
WITH placed AS (
    SELECT
        engine_no, sampled_at, is_landed,
        lag(sampled_at) OVER earlier AS previous_at,
        lag(is_landed) OVER earlier AS follows_landed,
        max(sampled_at) FILTER (NOT is_landed) OVER (earlier ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS held_at
    FROM neighbour
    WHERE sampled_at IS NOT NULL
    WINDOW earlier AS (PARTITION BY engine_no, counter ORDER BY sampled_at)
),
changed AS (
    -- as it counts now, and as it counted before the batch
    SELECT DISTINCT engine_no, sampled_at, unnest([previous_at, held_at]) AS earlier_at
    FROM placed
    WHERE is_landed OR follows_landed
),
reach AS (
    SELECT
        sampled_at,
        CASE WHEN earlier_at >= sampled_at - INTERVAL 24 HOUR THEN earlier_at
            WHEN started_at >= sampled_at - INTERVAL 24 HOUR THEN started_at END AS from_at
    FROM changed JOIN raw.engine_sample AS sample USING (engine_no, sampled_at)
    WHERE sample.sampled_at >= getvariable('readings_from') AND sample.sampled_at <= getvariable('readings_to')
)
SELECT DISTINCT charge_period_start, getvariable('arrival')::TIMESTAMP
FROM (
    SELECT date_trunc('hour', sampled_at) AS charge_period_start FROM raw.engine_sample WHERE batch_no = getvariable('batch_no')
    UNION ALL
    SELECT unnest(range(date_trunc('hour', from_at), sampled_at, INTERVAL 1 HOUR)) FROM reach WHERE from_at < sampled_at
) AS reached
ON CONFLICT DO NOTHING
