-- Places of engines that the session has not met are judged and normalised, once per distinct combination.
CREATE OR REPLACE TEMP TABLE judged_series AS
SELECT
    series_key,
    coalesce(
        text_fault('instance', instance, true, 256),
        first_fault(list_transform([
            {name: 'engine', text: engine}, {name: 'model', text: model}, {name: 'software', text: software},
            {name: 'cluster', text: cluster}, {name: 'node', text: node}, {name: 'deployment', text: deployment},
            {name: 'namespace', text: namespace}, {name: 'pod', text: pod}, {name: 'replica', text: replica}
        ], lambda field: text_fault(field.name, field.text, false, 256)))) AS fault,
    coalesce(instance->>'$', '') AS instance, coalesce(engine->>'$', '') AS engine, coalesce(model->>'$', '') AS model,
    coalesce(software->>'$', '') AS software, coalesce(cluster->>'$', '') AS cluster, coalesce(node->>'$', '') AS node,
    coalesce(deployment->>'$', '') AS deployment, coalesce(namespace->>'$', '') AS namespace, coalesce(pod->>'$', '') AS pod,
    coalesce(replica->>'$', '') AS replica
FROM fresh_series;
