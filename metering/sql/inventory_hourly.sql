-- step:   metering.inventory_hourly
-- grain:  charge_period_start, pool_no, gpu, node
-- reads:  raw.gpu_sample, raw.gpu_series, raw.gpu_device, book.deployment, book.deployment_key
-- params: period_start, period_end
-- why:    which GPUs there really are, busy or not, so that a pool that grew or shrank shows; a GPU whose series disagree about the
--         pool, or that none claims, is of pool 0
WITH seen AS (
    SELECT DISTINCT date_trunc('hour', sampled_at) AS charge_period_start, gpu_series_no
    FROM raw.gpu_sample
    WHERE sampled_at >= $period_start::TIMESTAMP AND sampled_at < $period_end::TIMESTAMP
),
series AS (
    SELECT series.*, device.gpu_uuid
    FROM raw.gpu_series AS series
    JOIN raw.gpu_device AS device USING (device_no)
    WHERE gpu_series_no IN (SELECT gpu_series_no FROM seen)
),
in_force AS (
    SELECT key.deployment_id, deployment.*
    FROM book.deployment AS deployment
    JOIN book.deployment_key AS key USING (deployment_no)
),
named AS (
    SELECT series.gpu_series_no, in_force.pool_no, in_force.effective_from, in_force.effective_to
    FROM series
    JOIN in_force ON in_force.deployment_id = series.deployment
),
claim AS (  -- a pattern that is NULL asks nothing
    SELECT * FROM named
    UNION ALL
    SELECT series.gpu_series_no, in_force.pool_no, in_force.effective_from, in_force.effective_to
    FROM series
    JOIN in_force
        ON COALESCE(match_cluster, match_node, match_gpu_uuid, match_namespace, match_pod) IS NOT NULL
        AND COALESCE(series.cluster LIKE match_cluster ESCAPE '\', TRUE)
        AND COALESCE(series.node LIKE match_node ESCAPE '\', TRUE)
        AND COALESCE(series.gpu_uuid LIKE match_gpu_uuid ESCAPE '\', TRUE)
        AND COALESCE(series.namespace LIKE match_namespace ESCAPE '\', TRUE)
        AND COALESCE(series.pod LIKE match_pod ESCAPE '\', TRUE)
    WHERE series.gpu_series_no NOT IN (SELECT gpu_series_no FROM named)
),
device AS (  -- a series that nothing claims is no contradiction: an idle GPU has no pod
    SELECT
        seen.charge_period_start, series.gpu_uuid, MIN(series.gpu) AS gpu, MIN(series.node) AS node,
        CASE WHEN MIN(claim.pool_no) = MAX(claim.pool_no) THEN MIN(claim.pool_no) ELSE 0 END AS pool_no
    FROM seen
    JOIN series USING (gpu_series_no)
    LEFT JOIN claim  -- NULL: no deployment takes it
        ON claim.gpu_series_no = seen.gpu_series_no
        AND claim.effective_from < seen.charge_period_start + INTERVAL 1 HOUR AND claim.effective_to > seen.charge_period_start
    GROUP BY seen.charge_period_start, series.gpu_uuid
)
SELECT charge_period_start, pool_no, gpu, node, COUNT(*)::INTEGER AS devices
FROM device
GROUP BY charge_period_start, pool_no, gpu, node
