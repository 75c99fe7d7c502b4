-- decoded_usage(relation): JSON text of the values of incoming usage records become typed columns, a series key and a fault.
-- `relation` is `incoming` (clean path) or `numbered` (the same with a record number). A fault is `reason: detail`, NULL
-- when the facts of the row are sound; dimensions are judged once per distinct series, in usage_series.sql.
CREATE OR REPLACE TEMP MACRO decoded_usage(relation) AS TABLE
WITH facts AS (
    SELECT
        raw.*,
        concat_ws(chr(31), coalesce(source::VARCHAR, ''), coalesce(model::VARCHAR, ''), coalesce(provider::VARCHAR, ''),
            coalesce(cluster::VARCHAR, ''), coalesce(deployment::VARCHAR, ''), coalesce(replica::VARCHAR, ''),
            coalesce(principal::VARCHAR, ''), coalesce(namespace::VARCHAR, ''), coalesce(tags::VARCHAR, ''),
            coalesce(status::VARCHAR, ''), coalesce(usage_quality::VARCHAR, ''), coalesce(tier::VARCHAR, ''),
            coalesce(language::VARCHAR, ''), coalesce(region::VARCHAR, '')) AS series_key,
        CASE WHEN contains(event_id, '\') THEN event_id->>'$' ELSE event_id[2:-2] END AS id,
        CASE WHEN contains(trace_id, '\') THEN trace_id->>'$' ELSE trace_id[2:-2] END AS trace,
        CASE WHEN contains(session_id, '\') THEN session_id->>'$' ELSE session_id[2:-2] END AS session,
        CASE WHEN regexp_full_match(occurred_at[2:-2], '\d{4}-\d\d-\d\d[T ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,12})?(Z|[+-]\d\d:?\d\d)')
            THEN make_timestamp(epoch_us(TRY_CAST(occurred_at[2:-2] AS TIMESTAMPTZ))) END AS claimed_at,
        coalesce(TRY_CAST(revision::VARCHAR AS INTEGER), 0) AS revised,
        coalesce(TRY_CAST(uncached_input_tokens::VARCHAR AS BIGINT), 0) AS uncached_input,
        coalesce(TRY_CAST(cache_read_tokens::VARCHAR AS BIGINT), 0) AS cache_read,
        coalesce(TRY_CAST(cache_write_tokens::VARCHAR AS BIGINT), 0) AS cache_write,
        coalesce(TRY_CAST(output_tokens::VARCHAR AS BIGINT), 0) AS output,
        coalesce(TRY_CAST(reasoning_tokens::VARCHAR AS BIGINT), 0) AS reasoning,
        coalesce(TRY_CAST(requests::VARCHAR AS INTEGER), 1) AS request_count,
        (TRY_CAST(ttft_ms::VARCHAR AS DECIMAL(18, 3)) * 1000)::BIGINT AS ttft,
        (TRY_CAST(duration_ms::VARCHAR AS DECIMAL(18, 3)) * 1000)::BIGINT AS duration,
        (TRY_CAST(queue_ms::VARCHAR AS DECIMAL(18, 3)) * 1000)::BIGINT AS queued,
        concat_ws(',', uncached_input_tokens::VARCHAR, cache_read_tokens::VARCHAR, cache_write_tokens::VARCHAR,
            output_tokens::VARCHAR, reasoning_tokens::VARCHAR, requests::VARCHAR, revision::VARCHAR) AS counts
    FROM query_table(relation) AS raw
),
judged AS (
    SELECT
        facts.*,
        event_id[1] = '"' AND length(id) BETWEEN 1 AND 512 AND NOT regexp_matches(event_id, '\\u00[01]|\\[bfnrt]|\x7f')
        AND claimed_at >= getvariable('oldest') AND claimed_at <= getvariable('ahead')
        AND regexp_full_match(counts, '[0-9,]*')
        AND (revision IS NULL OR TRY_CAST(revision::VARCHAR AS INTEGER) IS NOT NULL)
        AND (requests IS NULL OR TRY_CAST(requests::VARCHAR AS INTEGER) <= 1000000)
        AND (uncached_input_tokens IS NULL OR TRY_CAST(uncached_input_tokens::VARCHAR AS BIGINT) <= getvariable('tokens_max'))
        AND (cache_read_tokens IS NULL OR TRY_CAST(cache_read_tokens::VARCHAR AS BIGINT) <= getvariable('tokens_max'))
        AND (cache_write_tokens IS NULL OR TRY_CAST(cache_write_tokens::VARCHAR AS BIGINT) <= getvariable('tokens_max'))
        AND (output_tokens IS NULL OR TRY_CAST(output_tokens::VARCHAR AS BIGINT) <= getvariable('tokens_max'))
        AND (reasoning_tokens IS NULL OR TRY_CAST(reasoning_tokens::VARCHAR AS BIGINT) <= getvariable('tokens_max'))
        AND (trace_id IS NULL OR (trace_id[1] = '"' AND length(trace) <= 512))
        AND (session_id IS NULL OR (session_id[1] = '"' AND length(session) <= 512))
        AND (ttft_ms IS NULL OR (ttft_ms[1] <> '"' AND ttft >= 0))
        AND (duration_ms IS NULL OR (duration_ms[1] <> '"' AND duration >= 0))
        AND (queue_ms IS NULL OR (queue_ms[1] <> '"' AND queued >= 0)) AS sound
    FROM facts
)
SELECT * FROM judged;
