-- The optimistic landing: every sound record whose series is known, in one INSERT.
INSERT INTO raw.usage_event BY NAME
SELECT
    series.source_no AS source_no,
    decoded.id AS event_id,
    least(decoded.claimed_at, getvariable('arrival')) AS occurred_at,
    series.series_no AS series_no,
    decoded.revised AS revision,
    decoded.trace AS trace_id,
    decoded.session AS session_id,
    decoded.response_key AS response_key,
    decoded.call_key AS call_key,
    decoded.uncached_input AS uncached_input_tokens,
    decoded.cache_read AS cache_read_tokens,
    decoded.cache_write AS cache_write_tokens,
    decoded.output AS output_tokens,
    decoded.reasoning AS reasoning_tokens,
    decoded.request_count AS requests,
    decoded.ttft AS ttft_us,
    decoded.duration AS duration_us,
    decoded.queued AS queue_us,
    getvariable('batch_no') AS batch_no
FROM taken AS decoded
JOIN known_series AS series ON series.series_key = decoded.series_key AND series.series_no IS NOT NULL
WHERE decoded.sound
