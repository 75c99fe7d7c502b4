-- decoded_usage(relation): JSON text of the values of incoming usage records become typed columns, a series key and a fault.
-- `relation` is `incoming` (clean path) or `numbered` (the same with a record number). A fault is `reason: detail`, NULL
-- when the facts of the row are sound; dimensions are judged once per distinct series, in usage_series.sql.
-- A text with a backslash is unescaped, the others only lose their quotes; what is no text is judged by its first character.
CREATE OR REPLACE TEMP MACRO unquoted(raw) AS
    CASE WHEN contains(raw, '\') THEN CASE WHEN raw[1] = '"' THEN raw->>'$' END ELSE substring(raw, 2, length(raw) - 2) END;
-- Control characters below 32 can only come escaped in JSON, so that a look for the backslash settles it for nearly all.
CREATE OR REPLACE TEMP MACRO clean(raw, unquoted_) AS
    NOT contains(raw, chr(127)) AND NOT (contains(raw, '\') AND regexp_matches(unquoted_, '[\x00-\x1f]'));
CREATE OR REPLACE TEMP MACRO optional_sound(raw, unquoted_) AS
    raw IS NULL OR (raw[1] = '"' AND length(unquoted_) <= 512 AND clean(raw, unquoted_));
CREATE OR REPLACE TEMP MACRO instant(raw) AS
    CASE WHEN regexp_full_match(raw,
        '"\d{4}-\d\d-\d\d[T ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,12})?(Z|[+-]([01]\d|2[0-3]):?[0-5]\d)"')
    THEN make_timestamp(epoch_us(TRY_CAST(substring(raw, 2, length(raw) - 2) AS TIMESTAMPTZ))) END;
CREATE OR REPLACE TEMP MACRO decoded_usage(relation) AS TABLE
WITH facts AS (
    SELECT
        raw.*,
        concat_ws(chr(31), coalesce(source::VARCHAR, ''), coalesce(model::VARCHAR, ''), coalesce(provider::VARCHAR, ''),
            coalesce(cluster::VARCHAR, ''), coalesce(deployment::VARCHAR, ''), coalesce(replica::VARCHAR, ''),
            coalesce(principal::VARCHAR, ''), coalesce(namespace::VARCHAR, ''), coalesce(tags::VARCHAR, ''),
            coalesce(status::VARCHAR, ''), coalesce(usage_quality::VARCHAR, ''), coalesce(tier::VARCHAR, ''),
            coalesce(language::VARCHAR, ''), coalesce(region::VARCHAR, '')) AS series_key,
        unquoted(event_id) AS id,
        nullif(unquoted(trace_id), '') AS trace,
        nullif(unquoted(session_id), '') AS session,
        nullif(unquoted(response_id), '') AS response,
        nullif(unquoted(call_id), '') AS called,
        instant(occurred_at) AS claimed_at,
        CASE WHEN revision IS NULL THEN 0 ELSE TRY_CAST(revision::VARCHAR AS INTEGER) END AS revised,
        CASE WHEN uncached_input_tokens IS NULL THEN 0 ELSE TRY_CAST(uncached_input_tokens::VARCHAR AS BIGINT) END AS uncached_input,
        CASE WHEN cache_read_tokens IS NULL THEN 0 ELSE TRY_CAST(cache_read_tokens::VARCHAR AS BIGINT) END AS cache_read,
        CASE WHEN cache_write_tokens IS NULL THEN 0 ELSE TRY_CAST(cache_write_tokens::VARCHAR AS BIGINT) END AS cache_write,
        CASE WHEN output_tokens IS NULL THEN 0 ELSE TRY_CAST(output_tokens::VARCHAR AS BIGINT) END AS output,
        CASE WHEN reasoning_tokens IS NULL THEN 0 ELSE TRY_CAST(reasoning_tokens::VARCHAR AS BIGINT) END AS reasoning,
        CASE WHEN requests IS NULL THEN 1 ELSE TRY_CAST(requests::VARCHAR AS INTEGER) END AS request_count,
        (TRY_CAST(ttft_ms::VARCHAR AS DECIMAL(15, 3)) * 1000)::BIGINT AS ttft,
        (TRY_CAST(duration_ms::VARCHAR AS DECIMAL(15, 3)) * 1000)::BIGINT AS duration,
        (TRY_CAST(queue_ms::VARCHAR AS DECIMAL(15, 3)) * 1000)::BIGINT AS queued,
        concat_ws(',', uncached_input_tokens::VARCHAR, cache_read_tokens::VARCHAR, cache_write_tokens::VARCHAR,
            output_tokens::VARCHAR, reasoning_tokens::VARCHAR, requests::VARCHAR, revision::VARCHAR) AS counts
    FROM query_table(relation) AS raw
),
judged AS (
    SELECT
        facts.*,
        event_id[1] = '"' AND length(id) BETWEEN 1 AND 512 AND clean(event_id, id)
        AND claimed_at >= getvariable('oldest') AND claimed_at <= getvariable('ahead')
        AND regexp_full_match(counts, '[0-9,]*')
        AND revised IS NOT NULL
        AND request_count <= 1000000
        AND uncached_input <= getvariable('tokens_max')
        AND cache_read <= getvariable('tokens_max')
        AND cache_write <= getvariable('tokens_max')
        AND output <= getvariable('tokens_max')
        AND reasoning <= getvariable('tokens_max')
        AND optional_sound(trace_id, coalesce(trace, '')) AND optional_sound(session_id, coalesce(session, ''))
        AND optional_sound(response_id, coalesce(response, '')) AND optional_sound(call_id, coalesce(called, ''))
        AND (ttft_ms IS NULL OR (ttft_ms[1] <> '"' AND ttft >= 0))
        AND (duration_ms IS NULL OR (duration_ms[1] <> '"' AND duration >= 0))
        AND (queue_ms IS NULL OR (queue_ms[1] <> '"' AND queued >= 0)) AS sound
    FROM facts
)
-- Names of calls are kept as 128-bit digests: they are only ever compared.
SELECT judged.*, md5_number(response) AS response_key, md5_number(called) AS call_key FROM judged;

-- Names that a careful landing took back, for usage_dirty.sql.
CREATE TEMP TABLE IF NOT EXISTS withdrawn (occurred_at TIMESTAMP, response_key UHUGEINT, call_key UHUGEINT);
