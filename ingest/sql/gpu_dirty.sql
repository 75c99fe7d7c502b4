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
;

-- Where energy is paid for, also the hours over which the growth of an energy counter is spread: from the reading before a landed one,
-- at most a day, and to the one after it. Where each device has been read in the same hour before, nobody needs to look further back.
CREATE OR REPLACE TEMP TABLE landed_meter AS
SELECT device_no, min(sampled_at) AS first_at, max(sampled_at) AS last_at
FROM raw.gpu_sample
WHERE batch_no = getvariable('batch_no') AND energy_millijoules IS NOT NULL AND EXISTS (SELECT 1 FROM book.energy_rate)
GROUP BY device_no;

SET VARIABLE meters_from = (SELECT date_trunc('hour', min(first_at)) FROM landed_meter);
SET VARIABLE meters_to = (SELECT max(last_at) + INTERVAL 24 HOUR FROM landed_meter);
SET VARIABLE meters_from = (
    SELECT CASE WHEN bool_and(held.device_no IS NOT NULL) THEN getvariable('meters_from') ELSE min(first_at) - INTERVAL 24 HOUR END
    FROM landed_meter
    LEFT JOIN ( -- NULL: nothing of this hour is held
        SELECT DISTINCT device_no
        FROM raw.gpu_sample AS sample JOIN landed_meter USING (device_no)
        WHERE sampled_at >= getvariable('meters_from') AND sampled_at >= date_trunc('hour', first_at) AND sampled_at < first_at
            AND energy_millijoules IS NOT NULL
    ) AS held USING (device_no)
);

INSERT INTO raw.dirty_hour
WITH meter AS (
    SELECT
        sampled_at, batch_no = getvariable('batch_no') AS is_landed,
        lag(sampled_at) OVER earlier AS previous_at, lag(batch_no = getvariable('batch_no')) OVER earlier AS follows_landed
    FROM raw.gpu_sample AS sample JOIN landed_meter USING (device_no)
    WHERE sampled_at >= getvariable('meters_from') AND sampled_at <= getvariable('meters_to') AND energy_millijoules IS NOT NULL
    WINDOW earlier AS (PARTITION BY device_no ORDER BY sampled_at)
),
reach AS (
    SELECT DISTINCT date_trunc('hour', previous_at) AS from_hour, date_trunc('hour', sampled_at - INTERVAL 1 MICROSECOND) AS to_hour
    FROM meter
    WHERE (is_landed OR follows_landed) AND previous_at >= sampled_at - INTERVAL 24 HOUR
)
SELECT DISTINCT unnest(range(from_hour, to_hour + INTERVAL 1 HOUR, INTERVAL 1 HOUR)), getvariable('arrival')::TIMESTAMP
FROM reach
ON CONFLICT DO NOTHING
