-- What the batch put down: rows, first and last time, rows ahead of the clock (kept at the time they claim, since two of one device must not meet).
SELECT count(*), min(sampled_at), max(sampled_at), count(*) FILTER (WHERE sampled_at > getvariable('arrival'))
FROM raw.gpu_sample
WHERE batch_no = getvariable('batch_no')
