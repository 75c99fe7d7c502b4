-- Events that share a call's name with one that came or went: which of them is metered can be another now, so their hours must
-- be metered again. Names are compared within an hour and the hours beside it, as in metering.observed_event.
CREATE OR REPLACE TEMP TABLE renamed AS
SELECT DISTINCT name_key, told_in + INTERVAL 1 HOUR * unnest([-1, 0, 1]) AS heard_in
FROM (
    SELECT date_trunc('hour', occurred_at) AS told_in, unnest([response_key, call_key]) AS name_key
    FROM raw.usage_event WHERE batch_no = getvariable('batch_no')
    UNION
    SELECT date_trunc('hour', occurred_at), unnest([response_key, call_key]) FROM withdrawn WHERE getvariable('careful')
) AS changed
WHERE name_key IS NOT NULL;

SET VARIABLE named_start = (SELECT min(heard_in) FROM renamed);
SET VARIABLE named_end = (SELECT max(heard_in) + INTERVAL 1 HOUR FROM renamed);

-- A join for each name, so that those of a small batch are looked for while the events are read. Where engines are known, the
-- hours that a partner ran through are reconciled with it no longer, or again.
INSERT INTO raw.dirty_hour
WITH partner AS (
    SELECT event.occurred_at, event.duration_us
    FROM raw.usage_event AS event
    JOIN renamed ON renamed.name_key = event.response_key AND renamed.heard_in = date_trunc('hour', event.occurred_at)
    WHERE event.occurred_at >= getvariable('named_start') AND event.occurred_at < getvariable('named_end')
    UNION
    SELECT event.occurred_at, event.duration_us
    FROM raw.usage_event AS event
    JOIN renamed ON renamed.name_key = event.call_key AND renamed.heard_in = date_trunc('hour', event.occurred_at)
    WHERE event.occurred_at >= getvariable('named_start') AND event.occurred_at < getvariable('named_end')
)
SELECT DISTINCT charge_period_start, getvariable('arrival')::TIMESTAMP
FROM (
    SELECT date_trunc('hour', occurred_at) AS charge_period_start FROM partner
    UNION ALL
    SELECT unnest(range(date_trunc('hour', occurred_at - to_microseconds(least(duration_us, 86400000000))),
                        date_trunc('hour', occurred_at), INTERVAL 1 HOUR))
    FROM partner
    CROSS JOIN (SELECT 1 AS one FROM raw.engine_sample LIMIT 1) AS engines
    WHERE duration_us > epoch_us(occurred_at) % 3600000000
) AS reached
ON CONFLICT DO NOTHING
