-- step:   metering.gpu_activity_hourly
-- grain:  charge_period_start, pool_no, deployment_no
-- reads:  raw.gpu_sample, raw.gpu_series, raw.gpu_device, book.deployment, book.deployment_key
-- params: period_start, period_end, sample_hold_us
-- why:    a sample holds until its device's next one but no longer than the hold, so silence stays unknown; a hold is at
--         most an hour and so touches at most two, and samples meet their placement by equality, never by range;
--         a MIG slice weighs what it has of its GPU's compute, in 28ths: a seventh, or a quarter where a GPU has four
WITH reading AS (
    SELECT
        gpu_series_no, active_ppm, epoch_us(sampled_at) AS held_from,
        LEAST(epoch_us(sampled_at) + $sample_hold_us::BIGINT,
              LEAD(epoch_us(sampled_at), 1, 9223372036854775807) OVER (PARTITION BY device_no ORDER BY sampled_at)) AS held_to
    FROM raw.gpu_sample
    WHERE sampled_at >= $period_start::TIMESTAMP - to_microseconds($sample_hold_us::BIGINT)
        AND sampled_at < $period_end::TIMESTAMP
),
held AS (  -- an unknown reading ended the hold before it; of its own time it says nothing
    SELECT held_from // 3600000000 + hours_on AS hour_no, gpu_series_no, active_ppm, held_from, held_to
    FROM reading
    JOIN (SELECT unnest([0, 1]) AS hours_on) AS crossing ON held_from // 3600000000 + hours_on <= (held_to - 1) // 3600000000
    WHERE active_ppm IS NOT NULL
),
seen AS (
    SELECT
        series.*, device.gpu_uuid, device.mig_profile = '' AS is_whole,
        CASE WHEN device.mig_profile = '' THEN 28
            ELSE LEAST(28, CASE WHEN series.gpu LIKE '%A30%' OR series.gpu LIKE '%RTX PRO 6000%' THEN 7 ELSE 4 END
                * GREATEST(1, COALESCE(TRY_CAST(NULLIF(regexp_extract(device.mig_profile, '^([0-9]{1,2})[cg]', 1), '') AS BIGINT), 1)))
            END AS weight
    FROM (
        SELECT DISTINCT gpu_series_no
        FROM raw.gpu_sample
        WHERE sampled_at >= $period_start::TIMESTAMP - to_microseconds($sample_hold_us::BIGINT)
            AND sampled_at < $period_end::TIMESTAMP
    ) AS sample
    JOIN raw.gpu_series AS series USING (gpu_series_no)
    JOIN raw.gpu_device AS device USING (device_no)
),
in_force AS (
    SELECT key.deployment_id, deployment.*
    FROM book.deployment AS deployment
    JOIN book.deployment_key AS key USING (deployment_no)
),
named AS (
    SELECT seen.gpu_series_no, in_force.deployment_no, in_force.pool_no, in_force.effective_from, in_force.effective_to
    FROM seen
    JOIN in_force ON in_force.deployment_id = seen.deployment
),
claim AS (  -- a pattern that is NULL asks nothing
    SELECT * FROM named
    UNION ALL
    SELECT seen.gpu_series_no, in_force.deployment_no, in_force.pool_no, in_force.effective_from, in_force.effective_to
    FROM seen
    JOIN in_force
        ON COALESCE(match_cluster, match_node, match_gpu_uuid, match_namespace, match_pod) IS NOT NULL
        AND COALESCE(seen.cluster LIKE match_cluster ESCAPE '\', TRUE)
        AND COALESCE(seen.node LIKE match_node ESCAPE '\', TRUE)
        AND COALESCE(seen.gpu_uuid LIKE match_gpu_uuid ESCAPE '\', TRUE)
        AND COALESCE(seen.namespace LIKE match_namespace ESCAPE '\', TRUE)
        AND COALESCE(seen.pod LIKE match_pod ESCAPE '\', TRUE)
    WHERE seen.gpu_series_no NOT IN (SELECT gpu_series_no FROM named)
),
contested AS (  -- time that two deployments claim: counting a GPU twice would be worse than not knowing
    SELECT
        one.gpu_series_no,
        GREATEST(one.effective_from, other.effective_from) AS contested_from,
        LEAST(one.effective_to, other.effective_to)        AS contested_to
    FROM claim AS one
    JOIN claim AS other
        ON other.gpu_series_no = one.gpu_series_no AND other.deployment_no > one.deployment_no
        AND other.effective_from < one.effective_to AND other.effective_to > one.effective_from
),
charge_hour AS (
    SELECT unnest(range($period_start::TIMESTAMP, $period_end::TIMESTAMP, INTERVAL 1 HOUR)) AS charge_period_start
),
shadowed AS (  -- where slices of a GPU tell of an hour, its whole says the same again
    SELECT DISTINCT held.hour_no, whole.gpu_series_no
    FROM held
    JOIN seen AS slice ON slice.gpu_series_no = held.gpu_series_no AND NOT slice.is_whole
    JOIN seen AS whole ON whole.gpu_uuid = slice.gpu_uuid AND whole.is_whole
),
placement AS (
    SELECT
        charge_hour.charge_period_start, epoch_us(charge_hour.charge_period_start) // 3600000000 AS hour_no,
        claim.gpu_series_no, claim.pool_no, claim.deployment_no, seen.weight,
        epoch_us(GREATEST(claim.effective_from, charge_hour.charge_period_start))              AS placed_from,
        epoch_us(LEAST(claim.effective_to, charge_hour.charge_period_start + INTERVAL 1 HOUR)) AS placed_to
    FROM charge_hour
    JOIN claim
        ON claim.effective_from < charge_hour.charge_period_start + INTERVAL 1 HOUR
        AND claim.effective_to > charge_hour.charge_period_start
    JOIN seen ON seen.gpu_series_no = claim.gpu_series_no
    LEFT JOIN shadowed  -- NULL, as wanted, as below
        ON shadowed.gpu_series_no = claim.gpu_series_no
        AND shadowed.hour_no = epoch_us(charge_hour.charge_period_start) // 3600000000
    LEFT JOIN contested  -- NULL, as wanted: nobody else claims the series in this hour's part
        ON contested.gpu_series_no = claim.gpu_series_no
        AND contested.contested_from < LEAST(claim.effective_to, charge_hour.charge_period_start + INTERVAL 1 HOUR)
        AND contested.contested_to > GREATEST(claim.effective_from, charge_hour.charge_period_start)
    WHERE contested.gpu_series_no IS NULL AND shadowed.gpu_series_no IS NULL
),
observed AS (
    SELECT
        placement.charge_period_start, placement.pool_no, placement.deployment_no, held.active_ppm,
        placement.weight * (LEAST(held.held_to, placement.placed_to) - GREATEST(held.held_from, placement.placed_from)) AS weighed_us
    FROM held
    JOIN placement USING (hour_no, gpu_series_no)
),
weighed AS (
    SELECT
        charge_period_start, pool_no, deployment_no,
        SUM(weighed_us) // 28 AS observed_us, SUM(active_ppm * weighed_us) // 28 AS active_ppm_us
    FROM observed
    WHERE weighed_us > 0
    GROUP BY charge_period_start, pool_no, deployment_no
)
SELECT
    charge_period_start, pool_no, deployment_no,
    observed_us::BIGINT                                  AS observed_us,
    LEAST(active_ppm_us, observed_us * 1000000)::HUGEINT AS active_ppm_us  -- parts of a microsecond may be lost to one sum alone
FROM weighed
WHERE observed_us > 0
