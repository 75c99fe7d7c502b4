-- step:   metering.pool_energy_hourly
-- grain:  charge_period_start, pool_no
-- reads:  raw.gpu_sample, raw.gpu_series, raw.gpu_device, metering.gpu_place, book.energy_rate
-- params: period_start, period_end, sample_hold_us
-- why:    a device's own counter misses nothing between two readings; where it has none, a reading of power holds as one of activity
--         does; slices have no meter, so a GPU's energy is its whole device's, and goes where the slices told in the hour run, if that is one pool
WITH priced AS (
    SELECT DISTINCT pool_no FROM book.energy_rate
    WHERE effective_from < $period_end::TIMESTAMP AND effective_to > $period_start::TIMESTAMP
),
charge_hour AS (
    SELECT unnest(range(epoch_us($period_start::TIMESTAMP) // 3600000000, epoch_us($period_end::TIMESTAMP) // 3600000000)) AS hour_no
),
slice_seen AS (
    SELECT
        epoch_us(sampled_at) // 3600000000 AS hour_no, device_no, gpu_series_no,
        MIN(epoch_us(sampled_at)) AS first_us, MAX(epoch_us(sampled_at)) AS last_us
    FROM raw.gpu_sample
    WHERE sampled_at >= $period_start::TIMESTAMP - to_microseconds($sample_hold_us::BIGINT) AND sampled_at < $period_end::TIMESTAMP
        AND device_no IN (SELECT device_no FROM raw.gpu_device WHERE mig_profile <> '')
    GROUP BY hour_no, device_no, gpu_series_no
),
slice_hour AS (
    SELECT hour_no, device_no, MAX_BY(gpu_series_no, last_us) AS last_series_no, MAX(last_us) AS last_us, LEAD(MIN(first_us)) OVER later AS next_us
    FROM slice_seen
    GROUP BY hour_no, device_no
    WINDOW later AS (PARTITION BY device_no ORDER BY hour_no)
),
slice_told AS (  -- hours that a slice was read in, or that its last reading before them holds into
    SELECT hour_no, gpu_series_no FROM slice_seen
    UNION
    SELECT hour_no + 1, last_series_no
    FROM slice_hour
    WHERE LEAST(last_us + $sample_hold_us::BIGINT, COALESCE(next_us, 9223372036854775807)) > (hour_no + 1) * 3600000000
),
pool_claim AS (
    SELECT gpu_series_no, pool_no, TRUE AS is_own, epoch_us(effective_from) AS from_us, epoch_us(effective_to) AS to_us, NULL AS hour_no
    FROM metering.gpu_place
    WHERE is_whole
    UNION
    SELECT whole.gpu_series_no, slice.pool_no, FALSE, epoch_us(slice.effective_from), epoch_us(slice.effective_to), slice_told.hour_no
    FROM slice_told
    JOIN metering.gpu_place AS slice USING (gpu_series_no)
    JOIN raw.gpu_device AS device ON device.gpu_uuid = slice.gpu_uuid AND device.mig_profile = ''
    JOIN raw.gpu_series AS whole ON whole.device_no = device.device_no
),
hour_claim AS (
    SELECT
        charge_hour.hour_no, gpu_series_no, pool_no, is_own, GREATEST(from_us, charge_hour.hour_no * 3600000000) AS claimed_from,
        LEAST(to_us, (charge_hour.hour_no + 1) * 3600000000) AS claimed_to
    FROM charge_hour
    JOIN pool_claim
        ON from_us < (charge_hour.hour_no + 1) * 3600000000 AND to_us > charge_hour.hour_no * 3600000000
        AND COALESCE(pool_claim.hour_no, charge_hour.hour_no) = charge_hour.hour_no  -- NULL: of every hour
),
edge AS (
    SELECT DISTINCT hour_no, gpu_series_no, unnest([claimed_from, claimed_to]) AS edge_us
    FROM hour_claim
),
stretch AS (
    SELECT
        hour_no, gpu_series_no, edge_us AS placed_from,
        LEAD(edge_us) OVER (PARTITION BY hour_no, gpu_series_no ORDER BY edge_us) AS placed_to
    FROM edge
),
claimed AS (  -- slices are asked at times at which nothing places the whole
    SELECT
        hour_no, gpu_series_no, placed_from, placed_to,
        COALESCE(MIN(pool_no) FILTER (is_own), MIN(pool_no)) AS pool_no, COALESCE(MAX(pool_no) FILTER (is_own), MAX(pool_no)) AS pool_last
    FROM stretch
    JOIN hour_claim USING (hour_no, gpu_series_no)
    WHERE claimed_from <= placed_from AND claimed_to >= placed_to
    GROUP BY hour_no, gpu_series_no, placed_from, placed_to
),
placement AS (  -- time that two pools claim belongs to neither
    SELECT hour_no, gpu_series_no, placed_from, placed_to, pool_no
    FROM claimed
    WHERE pool_no = pool_last AND pool_no IN (SELECT pool_no FROM priced)
),
metered AS (
    SELECT DISTINCT device_no FROM placement JOIN raw.gpu_series USING (gpu_series_no)
),
edge_reading AS (  -- of the day before and the day after only the counters next to the span matter
    SELECT device_no, MAX(sampled_at) AS sampled_at
    FROM raw.gpu_sample
    WHERE energy_millijoules IS NOT NULL AND device_no IN (SELECT device_no FROM metered)
        AND sampled_at > $period_start::TIMESTAMP - INTERVAL 24 HOUR
        AND sampled_at < $period_start::TIMESTAMP - to_microseconds($sample_hold_us::BIGINT)
    GROUP BY device_no
    UNION ALL
    SELECT device_no, MIN(sampled_at)
    FROM raw.gpu_sample
    WHERE energy_millijoules IS NOT NULL AND device_no IN (SELECT device_no FROM metered)
        AND sampled_at >= $period_end::TIMESTAMP AND sampled_at < $period_end::TIMESTAMP + INTERVAL 24 HOUR
    GROUP BY device_no
),
reading AS (
    SELECT device_no, gpu_series_no, epoch_us(sampled_at) AS at_us, energy_millijoules, power_milliwatts
    FROM raw.gpu_sample
    WHERE device_no IN (SELECT device_no FROM metered)
        AND sampled_at >= $period_start::TIMESTAMP - to_microseconds($sample_hold_us::BIGINT)
        AND sampled_at < $period_end::TIMESTAMP
    UNION ALL
    SELECT device_no, sample.gpu_series_no, epoch_us(sample.sampled_at), sample.energy_millijoules, NULL
    FROM raw.gpu_sample AS sample
    JOIN edge_reading USING (device_no, sampled_at)
),
counter AS (
    SELECT
        reading.*, LEAD(at_us) OVER later AS next_us, LEAD(gpu_series_no) OVER later AS next_series_no,
        LEAD(energy_millijoules) OVER later AS next_millijoules
    FROM reading
    WHERE energy_millijoules IS NOT NULL
    WINDOW later AS (PARTITION BY device_no ORDER BY at_us)
),
judged AS (  -- 10 kW is more than any device takes: such a counter is no meter
    SELECT
        counter.*, next_millijoules - CASE WHEN next_millijoules < energy_millijoules THEN 0 ELSE energy_millijoules END AS counted_mj,
        COALESCE(next_us - at_us <= 86400000000
                 AND next_millijoules - CASE WHEN next_millijoules < energy_millijoules THEN 0 ELSE energy_millijoules END
                     <= (next_us - at_us) * 10, FALSE) AS is_metered
    FROM counter
),
mixed AS (  -- devices whose counter is not in every reading
    SELECT DISTINCT device_no FROM reading WHERE energy_millijoules IS NULL
),
stretched AS (
    SELECT
        device_no, gpu_series_no, power_milliwatts, at_us, LEAD(at_us) OVER timeline AS next_us,
        MAX(CASE WHEN energy_millijoules IS NOT NULL THEN at_us END)
            OVER (timeline ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS counter_us
    FROM reading
    WHERE device_no IN (SELECT device_no FROM mixed)
    WINDOW timeline AS (PARTITION BY device_no ORDER BY at_us)
),
hold AS (
    SELECT gpu_series_no, power_milliwatts, at_us, next_us
    FROM judged
    WHERE NOT is_metered AND device_no NOT IN (SELECT device_no FROM mixed)
    UNION ALL
    SELECT stretched.gpu_series_no, stretched.power_milliwatts, stretched.at_us, stretched.next_us
    FROM stretched
    LEFT JOIN judged  -- NULL: no counter covers it
        ON judged.device_no = stretched.device_no AND judged.at_us = stretched.counter_us AND judged.is_metered
    WHERE judged.at_us IS NULL
),
metered_time AS (
    SELECT next_series_no AS gpu_series_no, at_us AS from_us, next_us AS to_us, counted_mj, 0 AS milliwatts
    FROM judged
    WHERE is_metered
    UNION ALL
    SELECT gpu_series_no, at_us, LEAST(at_us + $sample_hold_us::BIGINT, COALESCE(next_us, 9223372036854775807)), 0, power_milliwatts
    FROM hold
    WHERE power_milliwatts <= 10000000
),
hour_of_time AS (
    SELECT from_us // 3600000000 AS hour_no, * FROM metered_time WHERE from_us // 3600000000 = (to_us - 1) // 3600000000
    UNION ALL
    SELECT
        unnest(range(GREATEST(from_us // 3600000000, epoch_us($period_start::TIMESTAMP) // 3600000000),
                     LEAST((to_us - 1) // 3600000000, epoch_us($period_end::TIMESTAMP) // 3600000000 - 1) + 1)) AS hour_no, *
    FROM metered_time
    WHERE from_us // 3600000000 < (to_us - 1) // 3600000000
),
part AS (
    SELECT
        hour_no, placement.pool_no, counted_mj, milliwatts, to_us - from_us AS span_us,
        GREATEST(from_us, placed_from) - from_us AS begins_us, LEAST(to_us, placed_to) - from_us AS ends_us
    FROM hour_of_time
    JOIN placement USING (hour_no, gpu_series_no)
    WHERE from_us < placed_to AND to_us > placed_from
)
SELECT
    make_timestamp(hour_no * 3600000000) AS charge_period_start, pool_no,
    SUM(ends_us - begins_us)::BIGINT     AS measured_us,
    (SUM(CASE WHEN ends_us - begins_us = span_us THEN counted_mj  -- most: whole in one hour of one pool
            ELSE (counted_mj::HUGEINT * ends_us // span_us - counted_mj::HUGEINT * begins_us // span_us)::BIGINT END)
        + SUM(milliwatts * (ends_us - begins_us)) // 1000000)::BIGINT AS energy_mj
FROM part
GROUP BY hour_no, pool_no
