-- The hours of the batch must be metered (again), and the hour after where a hold, whose end is not part of it, reaches into it.
INSERT INTO raw.dirty_hour
SELECT DISTINCT charge_period_start, getvariable('arrival')::TIMESTAMP
FROM (
    SELECT date_trunc('hour', sampled_at) AS charge_period_start FROM raw.gpu_sample WHERE batch_no = getvariable('batch_no')
    UNION ALL
    SELECT date_trunc('hour', sampled_at + to_microseconds(greatest(getvariable('hold_us') - 1, 0)))
    FROM raw.gpu_sample WHERE batch_no = getvariable('batch_no')
) AS reached
ON CONFLICT DO NOTHING
