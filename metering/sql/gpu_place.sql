-- step:   metering.gpu_place
-- grain:  gpu_series_no, deployment_no, effective_from
-- reads:  raw.gpu_sample, raw.gpu_series, raw.gpu_device, book.deployment, book.deployment_key, book.energy_rate
-- params: period_start, period_end
-- why:    which deployments a GPU is of depends on its series and on the book: settled once, for all that samples tell; to the
--         instant, as its time is counted: the deployment it names while that is in force, else those whose patterns fit; a MIG
--         slice weighs what it has of its GPU's compute, in 28ths: a seventh, or a quarter where a GPU has four
WITH seen AS (  -- a hold is an hour at most; only energy is asked for as far as a day beyond the span
    SELECT DISTINCT gpu_series_no
    FROM raw.gpu_sample
    WHERE sampled_at >= $period_start::TIMESTAMP - INTERVAL 1 HOUR AND sampled_at < $period_end::TIMESTAMP
    UNION
    SELECT gpu_series_no
    FROM raw.gpu_sample
    CROSS JOIN (SELECT 1 AS one FROM book.energy_rate LIMIT 1) AS metered
    WHERE sampled_at > $period_start::TIMESTAMP - INTERVAL 24 HOUR AND sampled_at < $period_end::TIMESTAMP + INTERVAL 24 HOUR
),
series AS (
    SELECT
        series.*, device.gpu_uuid, device.mig_profile = '' AS is_whole,
        CASE WHEN device.mig_profile = '' THEN 28
            ELSE LEAST(28, CASE WHEN series.gpu LIKE '%A30%' OR series.gpu LIKE '%RTX PRO 6000%' THEN 7 ELSE 4 END
                * GREATEST(1, COALESCE(TRY_CAST(NULLIF(regexp_extract(device.mig_profile, '^([0-9]{1,2})[cg]', 1), '') AS INTEGER), 1)))
            END AS weight
    FROM seen
    JOIN raw.gpu_series AS series USING (gpu_series_no)
    JOIN raw.gpu_device AS device USING (device_no)
),
in_force AS (
    SELECT key.deployment_id, deployment.*
    FROM book.deployment AS deployment
    JOIN book.deployment_key AS key USING (deployment_no)
),
named AS (
    SELECT
        series.gpu_series_no, series.gpu_uuid, series.is_whole, series.weight,
        in_force.deployment_no, in_force.pool_no, in_force.effective_from, in_force.effective_to
    FROM series
    JOIN in_force ON in_force.deployment_id = series.deployment
),
unnamed AS (  -- the time before, between and after the ranges of the deployment that a series names; all time where it names none
    SELECT
        gpu_series_no, effective_to AS unnamed_from,
        LEAD(effective_from, 1, 'infinity'::TIMESTAMP) OVER (PARTITION BY gpu_series_no ORDER BY effective_from) AS unnamed_to
    FROM (
        SELECT gpu_series_no, effective_from, effective_to FROM named
        UNION ALL
        SELECT gpu_series_no, '-infinity'::TIMESTAMP, '-infinity'::TIMESTAMP FROM series
    )
)
SELECT * FROM named
UNION ALL  -- a pattern that is NULL asks nothing
SELECT
    series.gpu_series_no, series.gpu_uuid, series.is_whole, series.weight, in_force.deployment_no, in_force.pool_no,
    GREATEST(in_force.effective_from, unnamed.unnamed_from) AS effective_from,
    LEAST(in_force.effective_to, unnamed.unnamed_to)        AS effective_to
FROM series
JOIN unnamed ON unnamed.gpu_series_no = series.gpu_series_no AND unnamed.unnamed_from < unnamed.unnamed_to
JOIN in_force
    ON in_force.effective_from < unnamed.unnamed_to AND in_force.effective_to > unnamed.unnamed_from
    AND COALESCE(match_cluster, match_node, match_gpu_uuid, match_namespace, match_pod) IS NOT NULL
    AND COALESCE(series.cluster LIKE match_cluster ESCAPE '\', TRUE)
    AND COALESCE(series.node LIKE match_node ESCAPE '\', TRUE)
    AND COALESCE(series.gpu_uuid LIKE match_gpu_uuid ESCAPE '\', TRUE)
    AND COALESCE(series.namespace LIKE match_namespace ESCAPE '\', TRUE)
    AND COALESCE(series.pod LIKE match_pod ESCAPE '\', TRUE)
