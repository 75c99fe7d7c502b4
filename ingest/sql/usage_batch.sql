-- What the batch put down: rows, first and last time, rows placed at arrival time.
SELECT count(*), min(occurred_at), max(occurred_at), count(*) FILTER (WHERE occurred_at = getvariable('arrival'))
FROM raw.usage_event
WHERE batch_no = getvariable('batch_no')
