-- What the batch put down: rows, first and last time, rows ahead of the clock (kept at the time they claim, since two of one engine must not meet).
SELECT count(*), min(sampled_at), max(sampled_at), count(*) FILTER (WHERE sampled_at > getvariable('arrival'))
FROM raw.engine_sample
WHERE batch_no = getvariable('batch_no')
