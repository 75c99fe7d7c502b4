-- step:   metering.gpu_activity_hourly
-- grain:  charge_period_start, pool_no, deployment_no
-- reads:  raw.gpu_sample, raw.gpu_device, metering.gpu_place
-- params: period_start, period_end, sample_hold_us
-- why:    a sample holds until its device's next one but no longer than the hold, so silence stays unknown; a hold is at most an
--         hour and so touches at most two; the readings of an hour stay one sorted list until the end, since to order and to place
--         them one by one takes half as long again
WITH told AS (  -- of a reading one number: its microsecond in the hour times 2^24, and 0 where it is unknown, else its ppm and 1
    SELECT
        epoch_us(sampled_at) // 3600000000 AS hour_no, device_no, gpu_series_no,
        list_sort(list((epoch_us(sampled_at) - epoch_us(sampled_at) // 3600000000 * 3600000000) * 16777216 + COALESCE(active_ppm + 1, 0)))
            AS readings
    FROM raw.gpu_sample
    WHERE sampled_at >= $period_start::TIMESTAMP - to_microseconds($sample_hold_us::BIGINT)
        AND sampled_at < $period_end::TIMESTAMP
    GROUP BY hour_no, device_no, gpu_series_no
),
device_hour AS (  -- the device's next reading, of whatever series: more than two hours away is as good as none
    SELECT
        hour_no, device_no, COUNT(*) AS series, MAX(readings[-1]) AS last_reading, MAX_BY(gpu_series_no, readings[-1]) AS last_series_no,
        LEAST(7200000000, (LEAD(hour_no, 1, hour_no + 2) OVER later - hour_no) * 3600000000 + (LEAD(MIN(readings[1]), 1, 0) OVER later >> 24))
            AS next_us
    FROM told
    GROUP BY hour_no, device_no
    WINDOW later AS (PARTITION BY device_no ORDER BY hour_no)
),
crossing AS (  -- what the last reading of an hour holds of the hour after
    SELECT
        hour_no + 1 AS hour_no, device_no, last_series_no AS gpu_series_no, [last_reading & 16777215] AS readings,
        LEAST((last_reading >> 24) + $sample_hold_us::BIGINT, next_us) - 3600000000 AS next_us
    FROM device_hour
    WHERE LEAST((last_reading >> 24) + $sample_hold_us::BIGINT, next_us) > 3600000000
),
turn AS (
    SELECT told.hour_no, gpu_series_no, readings, next_us
    FROM told
    JOIN device_hour ON device_hour.hour_no = told.hour_no AND device_hour.device_no = told.device_no AND device_hour.series = 1
    UNION ALL  -- several series of a device, as of pods that share it, end one another's holds
    SELECT
        hour_no, gpu_series_no, [reading],
        COALESCE(LEAD(reading) OVER (PARTITION BY hour_no, device_no ORDER BY reading) >> 24, next_us)
    FROM (
        SELECT told.hour_no, told.device_no, gpu_series_no, next_us, unnest(readings) AS reading
        FROM told
        JOIN device_hour ON device_hour.hour_no = told.hour_no AND device_hour.device_no = told.device_no AND device_hour.series > 1
    )
    UNION ALL
    SELECT hour_no, gpu_series_no, readings, next_us FROM crossing
),
told_slice AS (  -- hours of which a slice tells; without its name, since DuckDB 2.0.0 may fail on text that goes from a join through an unnest
    SELECT DISTINCT hour_no, device_no
    FROM (
        SELECT hour_no, device_no, unnest(readings) AS reading
        FROM (SELECT hour_no, device_no, readings FROM told UNION ALL SELECT hour_no, device_no, readings FROM crossing) AS told
        WHERE device_no IN (SELECT device_no FROM raw.gpu_device WHERE mig_profile <> '')
    )
    WHERE reading & 16777215 > 0
),
shadowed AS (  -- where slices of a GPU tell of an hour, its whole says the same again
    SELECT DISTINCT told_slice.hour_no, device.gpu_uuid
    FROM told_slice
    JOIN raw.gpu_device AS device USING (device_no)
),
place AS (
    SELECT *, epoch_us(effective_from) AS from_us, epoch_us(effective_to) AS to_us
    FROM metering.gpu_place
    WHERE effective_from < $period_end::TIMESTAMP AND effective_to > $period_start::TIMESTAMP
),
contested AS (  -- time that two deployments claim: counting a GPU twice would be worse than not knowing
    SELECT one.gpu_series_no, GREATEST(one.from_us, other.from_us) AS from_us, LEAST(one.to_us, other.to_us) AS to_us
    FROM place AS one
    JOIN place AS other
        ON other.gpu_series_no = one.gpu_series_no AND other.deployment_no > one.deployment_no
        AND other.from_us < one.to_us AND other.to_us > one.from_us
),
charge_hour AS (
    SELECT unnest(range(epoch_us($period_start::TIMESTAMP) // 3600000000, epoch_us($period_end::TIMESTAMP) // 3600000000)) AS hour_no
),
placement AS (
    SELECT
        charge_hour.hour_no, place.gpu_series_no, place.pool_no, place.deployment_no, place.weight,
        GREATEST(place.from_us - charge_hour.hour_no * 3600000000, 0)        AS placed_from,
        LEAST(place.to_us - charge_hour.hour_no * 3600000000, 3600000000) AS placed_to
    FROM charge_hour
    JOIN place ON place.from_us < (charge_hour.hour_no + 1) * 3600000000 AND place.to_us > charge_hour.hour_no * 3600000000
    LEFT JOIN shadowed  -- NULL, as wanted, as below
        ON shadowed.gpu_uuid = place.gpu_uuid AND shadowed.hour_no = charge_hour.hour_no AND place.is_whole
    LEFT JOIN contested  -- NULL, as wanted: nobody else claims the series in this hour's part
        ON contested.gpu_series_no = place.gpu_series_no
        AND contested.from_us < LEAST(place.to_us, (charge_hour.hour_no + 1) * 3600000000)
        AND contested.to_us > GREATEST(place.from_us, charge_hour.hour_no * 3600000000)
    WHERE shadowed.gpu_uuid IS NULL AND contested.gpu_series_no IS NULL
),
observed AS (  -- an unknown reading ended the hold before it; of its own time it says nothing
    SELECT
        hour_no, pool_no, deployment_no, weight, (reading & 16777215) - 1 AS active_ppm,
        GREATEST(0, LEAST((reading >> 24) + $sample_hold_us::BIGINT, later_us, placed_to) - GREATEST(reading >> 24, placed_from)) AS held_us
    FROM (
        SELECT
            hour_no, pool_no, deployment_no, weight, placed_from, placed_to,
            unnest(readings) AS reading, COALESCE(unnest(readings[2:]) >> 24, next_us) AS later_us
        FROM turn
        JOIN placement USING (hour_no, gpu_series_no)
    )
    WHERE reading & 16777215 > 0
),
weighed AS (
    SELECT
        hour_no, pool_no, deployment_no,
        SUM(weight * held_us) // 28 AS observed_us, SUM(active_ppm * held_us * weight) // 28 AS active_ppm_us
    FROM observed
    GROUP BY hour_no, pool_no, deployment_no
)
SELECT
    make_timestamp(hour_no * 3600000000) AS charge_period_start, pool_no, deployment_no,
    observed_us::BIGINT                                  AS observed_us,
    LEAST(active_ppm_us, observed_us * 1000000)::HUGEINT AS active_ppm_us  -- parts of a microsecond may be lost to one sum alone
FROM weighed
WHERE observed_us > 0
