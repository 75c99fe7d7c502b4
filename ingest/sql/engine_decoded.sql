-- decoded_engine(relation): JSON text of the values of incoming engine samples become typed columns, a series key and soundness.
-- Seconds become microseconds and the ratio parts per million, half-even from the decimal text; absent stays NULL.
-- Bounds: 1e15 tokens or requests and 1e11 seconds, centuries of the largest engine, so that wrong readings of many engines still add
-- up in 64 bits and hold up no hour; 1e27 operations or bytes, so that a day of them interpolates in a HUGEINT.
CREATE OR REPLACE TEMP MACRO micros(raw) AS (round_even(TRY_CAST(raw::VARCHAR AS DECIMAL(38, 24)), 6) * 1000000)::BIGINT;
CREATE OR REPLACE TEMP MACRO seconds_sound(raw) AS raw IS NULL
    OR (raw[1] <> '"' AND coalesce(TRY_CAST(raw::VARCHAR AS DECIMAL(38, 24)) BETWEEN 0 AND 100000000000, false));
CREATE OR REPLACE TEMP MACRO counter_sound(counted) AS coalesce(counted <= 1000000000000000, false);
CREATE OR REPLACE TEMP MACRO decoded_engine(relation) AS TABLE
WITH facts AS (
    SELECT
        raw.*,
        concat_ws(chr(31), coalesce(instance::VARCHAR, ''), coalesce(engine::VARCHAR, ''), coalesce(model::VARCHAR, ''),
            coalesce(software::VARCHAR, ''), coalesce(cluster::VARCHAR, ''), coalesce(node::VARCHAR, ''),
            coalesce(deployment::VARCHAR, ''), coalesce(namespace::VARCHAR, ''), coalesce(pod::VARCHAR, ''),
            coalesce(replica::VARCHAR, '')) AS series_key,
        instant(sampled_at) AS claimed_at, -- of usage_decoded.sql
        instant(started_at) AS started,
        TRY_CAST(prompt_tokens::VARCHAR AS BIGINT) AS prompt,
        TRY_CAST(cache_read_tokens::VARCHAR AS BIGINT) AS cache_read,
        TRY_CAST(cache_read_host_tokens::VARCHAR AS BIGINT) AS host,
        TRY_CAST(cache_read_storage_tokens::VARCHAR AS BIGINT) AS storage,
        TRY_CAST(output_tokens::VARCHAR AS BIGINT) AS output,
        TRY_CAST(requests::VARCHAR AS BIGINT) AS finished,
        TRY_CAST(aborted_requests::VARCHAR AS BIGINT) AS aborted,
        TRY_CAST(estimated_flops::VARCHAR AS HUGEINT) AS flops,
        TRY_CAST(estimated_bytes::VARCHAR AS HUGEINT) AS bytes,
        TRY_CAST(requests_running::VARCHAR AS INTEGER) AS running,
        TRY_CAST(requests_waiting::VARCHAR AS INTEGER) AS waiting,
        concat_ws(',', prompt_tokens::VARCHAR, cache_read_tokens::VARCHAR, cache_read_host_tokens::VARCHAR,
            cache_read_storage_tokens::VARCHAR, output_tokens::VARCHAR, requests::VARCHAR, aborted_requests::VARCHAR, estimated_flops::VARCHAR, estimated_bytes::VARCHAR, requests_running::VARCHAR,
            requests_waiting::VARCHAR) AS counts
    FROM query_table(relation) AS raw
),
judged AS (
    SELECT
        facts.*,
        claimed_at >= getvariable('oldest') AND claimed_at <= getvariable('ahead')
        AND (started_at IS NULL OR started <= getvariable('ahead'))
        AND regexp_full_match(counts, '[0-9,]*')
        AND (prompt_tokens IS NULL OR counter_sound(prompt)) AND (cache_read_tokens IS NULL OR counter_sound(cache_read))
        AND (cache_read_host_tokens IS NULL OR counter_sound(host))
        AND (cache_read_storage_tokens IS NULL OR counter_sound(storage))
        AND (output_tokens IS NULL OR counter_sound(output)) AND (requests IS NULL OR counter_sound(finished))
        AND (aborted_requests IS NULL OR counter_sound(aborted))
        AND (estimated_flops IS NULL OR flops <= 1000000000000000000000000000)
        AND (estimated_bytes IS NULL OR bytes <= 1000000000000000000000000000)
        AND (requests_running IS NULL OR running IS NOT NULL) AND (requests_waiting IS NULL OR waiting IS NOT NULL)
        AND seconds_sound(prefill_seconds) AND seconds_sound(decode_seconds) AND seconds_sound(idle_seconds)
        AND ratio_sound(kv_cache_ratio) AS sound -- of gpu_decoded.sql
    FROM facts
)
SELECT
    judged.*,
    CASE WHEN sound THEN micros(prefill_seconds) END AS prefill,
    CASE WHEN sound THEN micros(decode_seconds) END AS decode,
    CASE WHEN sound THEN micros(idle_seconds) END AS idle,
    CASE WHEN sound THEN millionths(kv_cache_ratio) END AS kv_cache
FROM judged;
