-- The careful landing, step two: the first sample of each device and time, with what the others add to it. A held sample that
-- gets something added becomes one of this batch, so that its hours are metered again.
CREATE OR REPLACE TEMP TABLE completed AS
SELECT
    sampled_at, device_no,
    coalesce(max(said) FILTER (field = 'gpu'), '') AS gpu, coalesce(max(said) FILTER (field = 'cluster'), '') AS cluster,
    coalesce(max(said) FILTER (field = 'node'), '') AS node, coalesce(max(said) FILTER (field = 'deployment'), '') AS deployment,
    coalesce(max(said) FILTER (field = 'namespace'), '') AS namespace, coalesce(max(said) FILTER (field = 'pod'), '') AS pod,
    coalesce(max(said) FILTER (field = 'container'), '') AS container,
    (max(said) FILTER (field = 'active_ppm'))::INTEGER AS active_ppm,
    (max(said) FILTER (field = 'sm_active_ppm'))::INTEGER AS sm_active_ppm,
    (max(said) FILTER (field = 'tensor_active_ppm'))::INTEGER AS tensor_active_ppm,
    (max(said) FILTER (field = 'dram_active_ppm'))::INTEGER AS dram_active_ppm,
    (max(said) FILTER (field = 'memory_used_bytes'))::BIGINT AS memory_used_bytes,
    (max(said) FILTER (field = 'power_milliwatts'))::BIGINT AS power_milliwatts,
    (max(said) FILTER (field = 'energy_millijoules'))::BIGINT AS energy_millijoules
FROM believed JOIN (
    SELECT DISTINCT device_no, sampled_at FROM staged JOIN verdict USING (record) WHERE verdict.outcome = 'superseded'
) AS added_to USING (device_no, sampled_at)
GROUP BY sampled_at, device_no;

INSERT INTO raw.gpu_series
SELECT (SELECT coalesce(max(gpu_series_no), 0) FROM raw.gpu_series) + row_number() OVER (ORDER BY fresh), fresh.*
FROM (
    SELECT DISTINCT device_no, gpu, cluster, node, deployment, namespace, pod, container FROM completed
    EXCEPT
    SELECT device_no, gpu, cluster, node, deployment, namespace, pod, container FROM raw.gpu_series
) AS fresh;

DELETE FROM raw.gpu_sample
WHERE sampled_at >= getvariable('window_start') AND sampled_at < getvariable('window_end')
    AND (device_no, sampled_at) IN (SELECT (device_no, sampled_at) FROM completed);

INSERT INTO raw.gpu_sample BY NAME
SELECT staged.* EXCLUDE (record), getvariable('batch_no') AS batch_no
FROM staged JOIN verdict USING (record) ANTI JOIN completed USING (device_no, sampled_at)
WHERE verdict.outcome = 'landed'
UNION ALL BY NAME
SELECT completed.* EXCLUDE (gpu, cluster, node, deployment, namespace, pod, container), series.gpu_series_no,
    getvariable('batch_no') AS batch_no
FROM completed JOIN raw.gpu_series AS series USING (device_no, gpu, cluster, node, deployment, namespace, pod, container);
