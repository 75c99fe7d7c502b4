-- step:   metering.gpu_activity_hourly
-- grain:  charge_period_start, pool_no, deployment_no
-- reads:  raw.gpu_sample, raw.gpu_series, raw.gpu_device, metering.gpu_place
-- params: period_start, period_end, sample_hold_us
-- why:    a sample holds until its device's next one but no longer than the hold, so silence stays unknown; a hold is at most an
--         hour and so touches at most two; the readings of an hour stay one sorted list until the end, since to order and to place
--         them one by one costs twice as much; a MIG slice weighs what it has of its GPU's compute, in 28ths: a seventh, or a
--         quarter where a GPU has four
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
device_hour AS (
    SELECT
        hour_no, device_no, COUNT(*) AS series,
        -- the device's next reading, of whatever series; more than two hours away is as good as none
        LEAST(7200000000, (LEAD(hour_no, 1, hour_no + 2) OVER later - hour_no) * 3600000000 + LEAD(MIN(readings[1]), 1, 0) OVER later // 16777216)
            * 16777216 AS next_reading
    FROM told
    GROUP BY hour_no, device_no
    WINDOW later AS (PARTITION BY device_no ORDER BY hour_no)
),
turn AS (  -- several series of a device, as of pods that share it, end one another's holds
    SELECT hour_no, gpu_series_no, readings, next_reading
    FROM told
    JOIN device_hour USING (hour_no, device_no)
    WHERE series = 1
    UNION ALL
    SELECT hour_no, gpu_series_no, [reading], LEAD(reading, 1, next_reading) OVER (PARTITION BY hour_no, device_no ORDER BY reading)
    FROM (
        SELECT hour_no, device_no, gpu_series_no, next_reading, unnest(readings) AS reading
        FROM told
        JOIN device_hour USING (hour_no, device_no)
        WHERE series > 1
    )
),
stretch AS (
    SELECT * FROM turn
    UNION ALL  -- what a last reading holds of the hour after
    SELECT
        hour_no + 1, gpu_series_no, [readings[-1] % 16777216],
        (LEAST(readings[-1] // 16777216 + $sample_hold_us::BIGINT, next_reading // 16777216) - 3600000000) * 16777216
    FROM turn
    WHERE LEAST(readings[-1] // 16777216 + $sample_hold_us::BIGINT, next_reading // 16777216) > 3600000000
),
shadowed AS (  -- where slices of a GPU tell of an hour, its whole says the same again
    SELECT DISTINCT hour_no, gpu_series_no
    FROM (
        SELECT stretch.hour_no, whole_series.gpu_series_no, unnest(readings) AS reading
        FROM stretch
        JOIN raw.gpu_series AS series USING (gpu_series_no)
        JOIN raw.gpu_device AS slice ON slice.device_no = series.device_no AND slice.mig_profile <> ''
        JOIN raw.gpu_device AS whole ON whole.gpu_uuid = slice.gpu_uuid AND whole.mig_profile = ''
        JOIN raw.gpu_series AS whole_series ON whole_series.device_no = whole.device_no
    )
    WHERE reading % 16777216 > 0
),
place AS (
    SELECT
        place.gpu_series_no, place.pool_no, place.deployment_no,
        epoch_us(place.effective_from) AS from_us, epoch_us(place.effective_to) AS to_us,
        CASE WHEN device.mig_profile = '' THEN 28
            ELSE LEAST(28, CASE WHEN series.gpu LIKE '%A30%' OR series.gpu LIKE '%RTX PRO 6000%' THEN 7 ELSE 4 END
                * GREATEST(1, COALESCE(TRY_CAST(NULLIF(regexp_extract(device.mig_profile, '^([0-9]{1,2})[cg]', 1), '') AS BIGINT), 1)))
            END AS weight
    FROM metering.gpu_place AS place
    JOIN raw.gpu_series AS series USING (gpu_series_no)
    JOIN raw.gpu_device AS device USING (device_no)
    WHERE place.effective_from < $period_end::TIMESTAMP AND place.effective_to > $period_start::TIMESTAMP
),
contested AS (  -- time that two deployments claim: counting a GPU twice would be worse than not knowing
    SELECT one.gpu_series_no, GREATEST(one.from_us, other.from_us) AS from_us, LEAST(one.to_us, other.to_us) AS to_us
    FROM place AS one
    JOIN place AS other
        ON other.gpu_series_no = one.gpu_series_no AND other.deployment_no > one.deployment_no
        AND other.from_us < one.to_us AND other.to_us > one.from_us
),
placed AS (
    SELECT
        stretch.hour_no, place.pool_no, place.deployment_no, place.weight, readings, next_reading,
        GREATEST(place.from_us - stretch.hour_no * 3600000000, 0) AS placed_from,
        LEAST(place.to_us - stretch.hour_no * 3600000000, 3600000000) AS placed_to
    FROM stretch
    JOIN place
        ON place.gpu_series_no = stretch.gpu_series_no
        AND place.from_us < (stretch.hour_no + 1) * 3600000000 AND place.to_us > stretch.hour_no * 3600000000
    LEFT JOIN shadowed  -- NULL, as wanted, as below
        ON shadowed.gpu_series_no = stretch.gpu_series_no AND shadowed.hour_no = stretch.hour_no
    LEFT JOIN contested  -- NULL, as wanted: nobody else claims the series in this hour's part
        ON contested.gpu_series_no = stretch.gpu_series_no
        AND contested.from_us < LEAST(place.to_us, (stretch.hour_no + 1) * 3600000000)
        AND contested.to_us > GREATEST(place.from_us, stretch.hour_no * 3600000000)
    WHERE shadowed.gpu_series_no IS NULL AND contested.gpu_series_no IS NULL
        AND stretch.hour_no >= epoch_us($period_start::TIMESTAMP) // 3600000000
        AND stretch.hour_no < epoch_us($period_end::TIMESTAMP) // 3600000000
),
observed AS (  -- an unknown reading ended the hold before it; of its own time it says nothing
    SELECT
        hour_no, pool_no, deployment_no, reading % 16777216 - 1 AS active_ppm,
        weight * (LEAST(reading // 16777216 + $sample_hold_us::BIGINT, later // 16777216, placed_to)
                  - GREATEST(reading // 16777216, placed_from)) AS weighed_us
    FROM (
        SELECT
            hour_no, pool_no, deployment_no, weight, placed_from, placed_to,
            unnest(readings) AS reading, unnest(list_append(readings[2:], next_reading)) AS later
        FROM placed
    )
    WHERE reading % 16777216 > 0
),
weighed AS (
    SELECT
        hour_no, pool_no, deployment_no,
        SUM(weighed_us) // 28 AS observed_us, SUM(active_ppm * weighed_us) // 28 AS active_ppm_us
    FROM observed
    WHERE weighed_us > 0
    GROUP BY hour_no, pool_no, deployment_no
)
SELECT
    make_timestamp(hour_no * 3600000000) AS charge_period_start, pool_no, deployment_no,
    observed_us::BIGINT                                  AS observed_us,
    LEAST(active_ppm_us, observed_us * 1000000)::HUGEINT AS active_ppm_us  -- parts of a microsecond may be lost to one sum alone
FROM weighed
WHERE observed_us > 0
