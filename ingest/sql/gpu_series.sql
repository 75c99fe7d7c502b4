-- Sound combinations get their numbers, unsound ones keep their fault: both become known to the session.
-- Reads judged_series; fills known_series, raw.gpu_device, raw.gpu_series.
INSERT INTO raw.gpu_device
SELECT (SELECT coalesce(max(device_no), 0) FROM raw.gpu_device) + row_number() OVER (ORDER BY fresh), fresh.*
FROM (
    SELECT DISTINCT gpu_uuid, mig_profile FROM judged_series WHERE fault IS NULL
    EXCEPT
    SELECT gpu_uuid, mig_profile FROM raw.gpu_device
) AS fresh;

CREATE OR REPLACE TEMP TABLE numbered_series AS
SELECT judged.*, device.device_no
FROM judged_series AS judged JOIN raw.gpu_device AS device USING (gpu_uuid, mig_profile)
WHERE judged.fault IS NULL;

INSERT INTO raw.gpu_series
SELECT (SELECT coalesce(max(gpu_series_no), 0) FROM raw.gpu_series) + row_number() OVER (ORDER BY fresh), fresh.*
FROM (
    SELECT DISTINCT device_no, gpu, cluster, node, deployment, namespace, pod, container FROM numbered_series
    EXCEPT
    SELECT device_no, gpu, cluster, node, deployment, namespace, pod, container FROM raw.gpu_series
) AS fresh;

INSERT INTO known_series
SELECT numbered.series_key, series.gpu_series_no, series.device_no, NULL, 0
FROM numbered_series AS numbered
JOIN raw.gpu_series AS series USING (device_no, gpu, cluster, node, deployment, namespace, pod, container)
UNION ALL
SELECT series_key, NULL, NULL, fault, 0 FROM judged_series WHERE fault IS NOT NULL;
