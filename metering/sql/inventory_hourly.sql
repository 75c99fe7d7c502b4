-- step:   metering.inventory_hourly
-- grain:  charge_period_start, pool_no, gpu, node
-- reads:  raw.gpu_sample, raw.gpu_series, raw.gpu_device, metering.gpu_place
-- params: period_start, period_end
-- why:    which GPUs there really are, busy or not, so that a pool that grew or shrank shows; a GPU whose series disagree about the
--         pool, or that none claims, is of pool 0
WITH seen AS (
    SELECT DISTINCT date_trunc('hour', sampled_at) AS charge_period_start, gpu_series_no
    FROM raw.gpu_sample
    WHERE sampled_at >= $period_start::TIMESTAMP AND sampled_at < $period_end::TIMESTAMP
),
gpu AS (  -- a series that nothing claims is no contradiction: an idle GPU has no pod
    SELECT
        seen.charge_period_start, device.gpu_uuid, MIN(series.gpu) AS gpu, MIN(series.node) AS node,
        CASE WHEN MIN(place.pool_no) = MAX(place.pool_no) THEN MIN(place.pool_no) ELSE 0 END AS pool_no
    FROM seen
    JOIN raw.gpu_series AS series USING (gpu_series_no)
    JOIN raw.gpu_device AS device USING (device_no)
    LEFT JOIN metering.gpu_place AS place  -- NULL: no deployment takes it
        ON place.gpu_series_no = seen.gpu_series_no
        AND place.effective_from < seen.charge_period_start + INTERVAL 1 HOUR AND place.effective_to > seen.charge_period_start
    GROUP BY seen.charge_period_start, device.gpu_uuid
)
SELECT charge_period_start, pool_no, gpu, node, COUNT(*)::INTEGER AS devices
FROM gpu
GROUP BY charge_period_start, pool_no, gpu, node
