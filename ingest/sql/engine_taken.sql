-- The slice, decoded once: facts, series key and soundness of every record; learning and landing read this, not the bytes.
CREATE OR REPLACE TEMP TABLE taken AS
SELECT
    series_key, sound, claimed_at, started, prompt, cache_read, host, storage, output, finished, aborted, prefill, decode, idle, flops, bytes,
    running, waiting, kv_cache
FROM decoded_engine('incoming')
