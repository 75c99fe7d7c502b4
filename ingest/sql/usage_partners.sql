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

-- A join for each name, so that those of a small batch are looked for while the events are read.
INSERT INTO raw.dirty_hour
SELECT heard_in, getvariable('arrival')::TIMESTAMP
FROM (
    SELECT renamed.heard_in
    FROM raw.usage_event AS event
    JOIN renamed ON renamed.name_key = event.response_key AND renamed.heard_in = date_trunc('hour', event.occurred_at)
    WHERE event.occurred_at >= getvariable('named_start') AND event.occurred_at < getvariable('named_end')
    UNION
    SELECT renamed.heard_in
    FROM raw.usage_event AS event
    JOIN renamed ON renamed.name_key = event.call_key AND renamed.heard_in = date_trunc('hour', event.occurred_at)
    WHERE event.occurred_at >= getvariable('named_start') AND event.occurred_at < getvariable('named_end')
) AS partner
ON CONFLICT DO NOTHING
