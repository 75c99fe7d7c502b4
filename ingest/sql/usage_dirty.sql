-- The hours of the batch must be metered (again).
INSERT INTO raw.dirty_hour
SELECT DISTINCT date_trunc('hour', occurred_at), getvariable('arrival')::TIMESTAMP
FROM raw.usage_event
WHERE batch_no = getvariable('batch_no')
ON CONFLICT DO NOTHING
