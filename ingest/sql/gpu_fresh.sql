-- Distinct places of devices among the incoming samples that the session has not met yet, as JSON text of the values.
CREATE OR REPLACE TEMP TABLE fresh_series AS
SELECT series_key, gpu_uuid, mig_profile, gpu, cluster, node, deployment, namespace, pod, container, count(*) AS records
FROM decoded_gpu('incoming')
WHERE series_key NOT IN (SELECT series_key FROM known_series)
GROUP BY ALL
