-- The optimistic landing: every sound sample whose series is known, in one INSERT.
INSERT INTO raw.engine_sample BY NAME
SELECT
    decoded.claimed_at AS sampled_at,
    series.source_no AS engine_no,
    series.series_no AS engine_series_no,
    decoded.started AS started_at,
    decoded.prompt AS prompt_tokens,
    decoded.cache_read AS cache_read_tokens,
    decoded.host AS cache_read_host_tokens,
    decoded.storage AS cache_read_storage_tokens,
    decoded.output AS output_tokens,
    decoded.finished AS requests,
    decoded.aborted AS aborted_requests,
    decoded.prefill AS prefill_us,
    decoded.decode AS decode_us,
    decoded.idle AS idle_us,
    decoded.flops AS estimated_flops,
    decoded.bytes AS estimated_bytes,
    decoded.running AS requests_running,
    decoded.waiting AS requests_waiting,
    decoded.kv_cache AS kv_cache_ppm,
    getvariable('batch_no') AS batch_no
FROM taken AS decoded
JOIN known_series AS series ON series.series_key = decoded.series_key AND series.series_no IS NOT NULL
WHERE decoded.sound
