-- The hours of the batch must be metered (again); where engines are known, so must those before that its requests ran through:
-- what an engine counted of them there has its log now.
INSERT INTO raw.dirty_hour
SELECT DISTINCT charge_period_start, getvariable('arrival')::TIMESTAMP
FROM (
    SELECT date_trunc('hour', occurred_at) AS charge_period_start FROM raw.usage_event WHERE batch_no = getvariable('batch_no')
    UNION ALL
    SELECT unnest(range(date_trunc('hour', occurred_at - to_microseconds(least(duration_us, 86400000000))),
                        date_trunc('hour', occurred_at), INTERVAL 1 HOUR))
    FROM raw.usage_event
    CROSS JOIN (SELECT 1 AS one FROM raw.engine_sample LIMIT 1) AS engines
    WHERE batch_no = getvariable('batch_no') AND duration_us > epoch_us(occurred_at) % 3600000000
) AS reached
ON CONFLICT DO NOTHING
