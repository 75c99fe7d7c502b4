-- Places of devices that the session has not met are judged and normalised, once per distinct combination.
CREATE OR REPLACE TEMP TABLE judged_series AS
SELECT
    series_key,
    coalesce(
        text_fault('gpu_uuid', gpu_uuid, true, 256),
        first_fault(list_transform([
            {name: 'mig_profile', text: mig_profile}, {name: 'gpu', text: gpu}, {name: 'cluster', text: cluster}, {name: 'node', text: node},
            {name: 'deployment', text: deployment}, {name: 'namespace', text: namespace}, {name: 'pod', text: pod},
            {name: 'container', text: container}
        ], lambda field: text_fault(field.name, field.text, false, 256)))) AS fault,
    coalesce(gpu_uuid->>'$', '') AS gpu_uuid, coalesce(mig_profile->>'$', '') AS mig_profile, coalesce(gpu->>'$', '') AS gpu,
    coalesce(cluster->>'$', '') AS cluster, coalesce(node->>'$', '') AS node, coalesce(deployment->>'$', '') AS deployment,
    coalesce(namespace->>'$', '') AS namespace, coalesce(pod->>'$', '') AS pod, coalesce(container->>'$', '') AS container
FROM fresh_series;
