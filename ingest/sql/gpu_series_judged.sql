-- Places of devices that the session has not met are judged and normalised, once per distinct combination.
CREATE OR REPLACE TEMP TABLE judged_series AS
SELECT
    series_key,
    coalesce(
        text_fault('gpu_uuid', gpu_uuid, true, 256), text_fault('mig_profile', mig_profile, false, 256),
        text_fault('gpu', gpu, false, 256), text_fault('cluster', cluster, false, 256), text_fault('node', node, false, 256),
        text_fault('deployment', deployment, false, 256), text_fault('namespace', namespace, false, 256),
        text_fault('pod', pod, false, 256), text_fault('container', container, false, 256)) AS fault,
    coalesce(gpu_uuid->>'$', '') AS gpu_uuid, coalesce(mig_profile->>'$', '') AS mig_profile, coalesce(gpu->>'$', '') AS gpu,
    coalesce(cluster->>'$', '') AS cluster, coalesce(node->>'$', '') AS node, coalesce(deployment->>'$', '') AS deployment,
    coalesce(namespace->>'$', '') AS namespace, coalesce(pod->>'$', '') AS pod, coalesce(container->>'$', '') AS container
FROM fresh_series;
