-- The slice, decoded once: facts, series key and soundness of every record; learning and landing read this, not the bytes.
CREATE OR REPLACE TEMP TABLE taken AS
SELECT
    series_key, sound, id, claimed_at, revised, trace, session, uncached_input, cache_read, cache_write, output, reasoning,
    request_count, ttft, duration, queued, response_key, call_key
FROM decoded_usage('incoming')
