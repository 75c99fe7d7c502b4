-- The careful landing, step one: every sound record of the batch beside what is already held under its id, with a verdict.
CREATE OR REPLACE TEMP TABLE staged AS
SELECT
    decoded.record, series.source_no, decoded.id AS event_id, least(decoded.claimed_at, getvariable('arrival')) AS occurred_at,
    series.series_no, decoded.revised AS revision, decoded.trace AS trace_id, decoded.session AS session_id,
    decoded.uncached_input AS uncached_input_tokens, decoded.cache_read AS cache_read_tokens,
    decoded.cache_write AS cache_write_tokens, decoded.output AS output_tokens, decoded.reasoning AS reasoning_tokens,
    decoded.request_count AS requests, decoded.ttft AS ttft_us, decoded.duration AS duration_us, decoded.queued AS queue_us,
    decoded.response_key, decoded.call_key,
    decoded.claimed_at
FROM decoded_usage('numbered') AS decoded
JOIN known_series AS series ON series.series_key = decoded.series_key AND series.series_no IS NOT NULL
WHERE decoded.sound;

SET VARIABLE window_start = (SELECT date_trunc('hour', min(occurred_at)) - INTERVAL 1 HOUR FROM staged);
SET VARIABLE window_end = (SELECT date_trunc('hour', max(claimed_at)) + INTERVAL 2 HOUR FROM staged);

CREATE OR REPLACE TEMP TABLE held AS
WITH ids AS (
    SELECT DISTINCT source_no, event_id FROM staged
),
live AS (
    SELECT event.rowid AS row_no, event.* FROM raw.usage_event AS event JOIN ids USING (source_no, event_id)
    WHERE event.occurred_at >= getvariable('window_start') AND event.occurred_at < getvariable('window_end')
    UNION
    SELECT event.rowid AS row_no, event.* FROM raw.usage_event AS event
    JOIN raw.skewed_event AS skewed USING (source_no, event_id, occurred_at) JOIN ids USING (source_no, event_id)
)
SELECT true AS is_live, live.*, coalesce(skewed.reported_at, live.occurred_at) AS claimed_at
FROM live LEFT JOIN raw.skewed_event AS skewed USING (source_no, event_id, occurred_at) -- NULL: the clock was right
UNION ALL BY NAME
SELECT false AS is_live, -1 AS row_no, history.*, coalesce(skewed.reported_at, history.occurred_at) AS claimed_at
FROM raw.superseded_event AS history JOIN ids USING (source_no, event_id)
LEFT JOIN raw.skewed_event AS skewed USING (source_no, event_id, occurred_at);

CREATE OR REPLACE TEMP TABLE verdict AS
WITH versions AS (
    SELECT record, source_no, event_id, revision,
        (series_no, claimed_at, trace_id, session_id, uncached_input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
            reasoning_tokens, requests, ttft_us, duration_us, queue_us, response_key, call_key) AS content
    FROM staged
    UNION ALL
    SELECT 0, source_no, event_id, revision,
        (series_no, claimed_at, trace_id, session_id, uncached_input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
            reasoning_tokens, requests, ttft_us, duration_us, queue_us, response_key, call_key)
    FROM held
),
ranked AS (
    SELECT
        record, source_no, event_id, revision, content,
        first_value(content) OVER same_revision AS first_content,
        row_number() OVER same_revision AS nth,
        min(record) OVER same_id = 0 AS is_held,
        max(revision) OVER same_id AS top_revision
    FROM versions
    WINDOW same_revision AS (PARTITION BY source_no, event_id, revision ORDER BY record),
        same_id AS (PARTITION BY source_no, event_id)
)
SELECT
    record, source_no, event_id, revision,
    CASE
        WHEN nth > 1 AND content IS NOT DISTINCT FROM first_content THEN 'duplicate'
        WHEN nth > 1 THEN 'conflict'
        WHEN is_held OR revision < top_revision THEN 'superseded'
        ELSE 'landed'
    END AS outcome,
    nth = 1 AND revision = top_revision AS is_live
FROM ranked
WHERE record > 0;
